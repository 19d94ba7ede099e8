//! What the host gives us: clocks, chance, sealed secrets.

pub mod sealing;
