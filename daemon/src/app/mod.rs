//! The daemon as a program: its configuration, its commands, and how the parts are joined.

pub mod config;
