//! The daemon as a program: its commands.

pub mod demo;
