//! How long do the pure functions take that every message passes?
fn main() { divan::main(); }
