//! The daemon and its source seen from outside: one binary, one module a subject.

mod layers;
