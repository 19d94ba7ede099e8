//! Does the delivery loop keep its promises? A worker, a store in memory, and a server at the end of a pipe, in paused time.

mod crowd;
mod desk;
mod fallbacks;
mod hours;
mod house;
mod laboratory;
mod limits;
mod obstacles;
mod outcomes;
mod pop;
mod suppression;
mod tokens;
