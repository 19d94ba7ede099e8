//! The settings of accounts as a tree of keys, in files and in lists of differences.

pub(crate) mod account;
pub(crate) mod changes;
pub(crate) mod document;
pub(crate) mod fields;
pub(crate) mod json_table;
pub(crate) mod limits;
pub(crate) mod mailbox;
pub(crate) mod preset;
pub(crate) mod reading;
pub(crate) mod resolving;
pub(crate) mod secret;
pub(crate) mod server;
pub(crate) mod sign_in;
pub(crate) mod toml_text;
pub(crate) mod writing;

#[cfg(test)]
mod tests;
