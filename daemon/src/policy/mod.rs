//! Pure decisions: what to do next, given the facts. No I/O, no clock, no chance of its own.

pub mod quota;
