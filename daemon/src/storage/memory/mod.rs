//! The reference model: what a store does, in plain maps that are gone with the process.
//!
//! Nothing in it is derived: the ready order, the tallies and the states are worked out from the jobs whenever someone
//! asks. It is as slow as that sounds, and serves tests, which compare every other engine with it.

mod engine;
mod jobs;
mod model;
mod queue;

pub use engine::MemoryStore;
