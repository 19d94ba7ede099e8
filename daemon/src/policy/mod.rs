//! Pure decisions: no tokio, no socket, no clock.

pub mod admission;
pub mod classify;
pub mod parking;
pub mod retry_schedule;
