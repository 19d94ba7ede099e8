//! Which random choices does a seed make?

use std::{ops::RangeInclusive, time::Duration};

use hikyaku_daemon::platform::entropy::{Entropy, SeededEntropy};

/// A stream of choices that a seed repeats. Streams with different names differ.
#[derive(Debug)]
pub(crate) struct Chance(SeededEntropy);

impl Chance {
    /// The stream of this name.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        // FNV-1a.
        let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(SeededEntropy::new(name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, mix)))
    }

    /// A number below `end`; 0 when there is none.
    pub(crate) fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(end).unwrap_or(0)
    }

    /// A number of this range.
    pub(crate) fn among(&self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// A whole number of seconds of this range.
    pub(crate) fn seconds(&self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.among(range))
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("it is below a length")]
    }

    /// Bytes for a name that nobody else has.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }
}
