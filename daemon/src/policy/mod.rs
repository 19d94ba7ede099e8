//! Pure decisions: no tokio, no socket, no clock.

pub mod classify;
