//! Stretches of the week in which mail had better not be sent.

/// Most quiet windows of one account.
pub const QUIET_WINDOWS_MAX: usize = 50;
/// Minutes of a day.
pub const DAY_MINUTES: u16 = 24 * 60;

/// A stretch of the week in which mail had better not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietWindow {
    /// The days on which it begins.
    pub days: Weekdays,
    /// When it begins, in minutes after local midnight; below [`DAY_MINUTES`].
    pub from: u16,
    /// When it ends, in minutes after local midnight; at most [`DAY_MINUTES`]. On the next day when it is not after `from`.
    pub to: u16,
    /// The zone's name in the IANA database, such as `Asia/Tokyo`; known to exist.
    pub zone: String,
    /// What it does.
    pub rule: QuietRule,
}

/// Days of the week: bit 0 is Monday, bit 6 Sunday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays(u8);

impl Weekdays {
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);

    /// These days, 0 for Monday to 6 for Sunday; others are left out. Every day when there are none.
    #[must_use]
    pub fn new(days: impl IntoIterator<Item = u8>) -> Self {
        let bits = days.into_iter().filter(|day| *day < 7).fold(0, |bits, day| bits | 1 << day);
        if bits == 0 { Self::ALL } else { Self(bits) }
    }

    /// Whether a day is among them, 0 for Monday to 6 for Sunday.
    #[must_use]
    pub const fn contains(self, day: u8) -> bool {
        day < 7 && self.0 & (1 << day) != 0
    }

    /// The days in their order, 0 for Monday.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..7).filter(move |day| self.contains(*day))
    }
}

/// What a quiet window does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuietRule {
    /// Jobs are accepted with a warning, and sent.
    Warn,
    /// Nothing is sent in it.
    Defer,
    /// Jobs that would be sent in it are refused; what was accepted waits.
    Reject,
}
