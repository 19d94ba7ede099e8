//! What the host gives us: time, chance, and its wish that we stop.

pub mod clock;
pub mod entropy;
pub mod logging;
pub mod shutdown;
