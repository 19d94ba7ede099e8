//! How far a long command has come, on stderr: a bar on a terminal, else a line every few seconds.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows progress once a command has taken longer than a second.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    unit: Unit,
    began: Instant,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Steps,
    Bytes,
}

/// Time between two looks at a call that is under way.
const TICK: Duration = Duration::from_millis(500);
/// A command that ends sooner shows nothing.
const QUIET: Duration = Duration::from_secs(1);
/// Time between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

impl Progress {
    /// Begins a stretch of work with `total` steps; 0 when their number is not known.
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        Self::of(what, total, Unit::Steps)
    }

    /// Begins a stretch of work on so many bytes; 0 when their number is not known.
    pub(crate) fn of_bytes(what: &'static str, total: u64) -> Self {
        Self::of(what, total, Unit::Bytes)
    }

    fn of(what: &'static str, total: u64, unit: Unit) -> Self {
        let began = Instant::now();
        Self { what, total, unit, began, bar: None, last_line: began }
    }

    /// Waits for a call, and says meanwhile what `seen` tells of it.
    pub(crate) async fn during<T>(&mut self, call: impl Future<Output = T>, seen: impl Fn() -> (u64, String)) -> T {
        let mut call = std::pin::pin!(call);
        loop {
            if let Ok(answer) = tokio::time::timeout(TICK, &mut call).await {
                return answer;
            }
            let (done, note) = seen();
            self.at(done, &note);
        }
    }

    /// Says that `done` steps are done, with a word on how things stand. Call it at least each second.
    pub(crate) fn at(&mut self, done: u64, note: &str) {
        if self.began.elapsed() < QUIET {
            return;
        }
        if io::stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| visible_bar(self.what, self.total, self.unit));
            bar.set_position(done);
            bar.set_message(note.to_owned());
        } else if self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            let line = match self.unit {
                Unit::Steps => progress_line(self.what, done, self.total, note),
                Unit::Bytes => progress_line(self.what, done >> 10, self.total >> 10, &format!("KiB  {note}")),
            };
            // Progress is a courtesy: without a stderr the work goes on.
            let _ = writeln!(io::stderr().lock(), "{line}");
        }
    }

    /// The total turned out to be another.
    pub(crate) fn set_total(&mut self, total: u64) {
        self.total = total;
        if let Some(bar) = &self.bar {
            bar.set_length(total);
        }
    }

    /// How long it has taken so far.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn visible_bar(what: &'static str, total: u64, unit: Unit) -> ProgressBar {
    let bar = ProgressBar::with_draw_target((total > 0).then_some(total), ProgressDrawTarget::stderr());
    let template = match unit {
        _ if total <= 1 => "{prefix} {spinner} {elapsed}  {msg}",
        Unit::Steps => "{prefix} [{bar:30}] {pos}/{len}  {per_sec}  {elapsed}  {msg}",
        Unit::Bytes => "{prefix} [{bar:30}] {bytes}/{total_bytes}  {bytes_per_sec}  {elapsed}  {msg}",
    };
    bar.set_style(ProgressStyle::with_template(template).expect("the template is a constant that parses"));
    bar.set_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn progress_line(what: &str, done: u64, total: u64, note: &str) -> String {
    let gap = if note.is_empty() { "" } else { "  " };
    if total == 0 { format!("{what} {done}{gap}{note}") } else { format!("{what} {done}/{total}{gap}{note}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_work_and_total() {
        assert_eq!(progress_line("submitting", 5, 10, ""), "submitting 5/10");
        assert_eq!(progress_line("checking", 5, 0, "records"), "checking 5  records");
    }

    #[test]
    fn bars_can_be_made_for_known_and_unknown_totals() {
        for total in [0, 1, 10] {
            visible_bar("submitting", total, Unit::Steps).finish_and_clear();
            visible_bar("uploading", total, Unit::Bytes).finish_and_clear();
        }
    }
}
