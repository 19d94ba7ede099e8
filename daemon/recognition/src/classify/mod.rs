//! What a provider's reply means: rules as data, and what a missing reply means.

pub mod broken;
pub mod evidence;
pub mod hint;
pub mod mistake;
pub mod reason;
pub mod rules;
mod table;
