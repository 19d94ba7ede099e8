//! What does a capturing server allow, and how does it behave?

use std::time::Duration;

use crate::domain::secret::Secret;

/// What a capturing server allows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The name it gives itself.
    pub name: String,
    /// The largest message that it takes, in bytes; announced by SIZE.
    pub message_bytes_max: u64,
    /// The password that any user signs in with; without one there is no sign-in.
    pub password: Option<Secret<String>>,
    /// How long it waits before each write, as if it were far away.
    pub answer_after: Duration,
    /// Whether contents are kept, besides their length and Message-ID.
    pub keep_contents: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            name: String::from("capture.test"),
            message_bytes_max: 25 << 20,
            password: None,
            answer_after: Duration::ZERO,
            keep_contents: false,
        }
    }
}
