//! The daemon as a program: its configuration, its commands, and how the parts are joined.

pub mod commands;
pub mod config;
mod connections;
pub mod demo;
mod health;
mod host;
mod janitor;
mod listeners;
mod wiring;
