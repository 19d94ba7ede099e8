//! What shows, in half a minute and without any other server, that mail is neither lost nor doubled?

pub mod capture;
mod child;
mod folder;
mod plan;
mod play;
mod proof;
mod screen;
mod tally;

pub use self::play::{DemoOptions, run};
