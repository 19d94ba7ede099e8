//! What happened in a run, line by line in the order in which it happened: two runs of one seed write the same.

use std::{
    fmt::{Display, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hikyaku_daemon::domain::time::Timestamp;

/// The log of a run; all hosts write into one.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    text: String,
    /// Long runs keep only the number of lines.
    is_kept: bool,
    count: u64,
}

impl Log {
    /// An empty log. One that is not kept only counts its lines.
    pub(crate) fn new(is_kept: bool) -> Self {
        Self(Arc::new(Mutex::new(Lines { text: String::new(), is_kept, count: 0 })))
    }

    /// Writes a line.
    pub(crate) fn line(&self, at: Timestamp, what: impl Display) {
        let mut lines = self.lines();
        lines.count += 1;
        if lines.is_kept {
            writeln!(lines.text, "{at} {what}").expect("a string takes every line");
        }
    }

    /// How many lines there are.
    pub(crate) fn count(&self) -> u64 {
        self.lines().count
    }

    /// All lines, as far as they were kept.
    pub(crate) fn take(&self) -> String {
        std::mem::take(&mut self.lines().text)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
