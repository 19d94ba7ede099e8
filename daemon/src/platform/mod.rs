//! What the host gives us: time, chance, sealed secrets, and its wish that we stop.

pub mod clock;
pub mod entropy;
pub mod leaps;
pub mod logging;
pub mod rsa;
pub mod sealing;
pub mod shutdown;
