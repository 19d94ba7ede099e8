//! The daemon and its source seen from outside: one binary, one module a subject.

mod bad_configs;
mod delivery;
mod layers;
