//! What replies and returned mail mean: pure functions and rules as data, with no socket, no store and no clock.

pub mod bounce;
pub mod classify;
pub mod provider;
pub mod reply;
pub mod verdict;
