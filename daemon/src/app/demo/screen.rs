//! How is the demo's progress shown: by bars on a terminal, else by one plain line a second?

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use hikyaku_client::proto::QuotaUsage;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::{plan::SENDERS, tally::Tally};

/// How often a plain line is written.
const PLAIN_EVERY: Duration = Duration::from_secs(1);

/// Standard output.
#[derive(Debug)]
pub(super) struct Screen {
    begin: Instant,
    bars: Option<Bars>,
    next_plain: Instant,
}

#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    each: Vec<ProgressBar>,
}

/// How an account stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) submitted: usize,
    pub(super) tally: Tally,
    pub(super) usage: Vec<QuotaUsage>,
}

impl Screen {
    pub(super) fn open() -> Self {
        let now = Instant::now();
        let bars = io::stdout().is_terminal().then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
            Bars { all, each: Vec::new() }
        });
        Self { begin: now, bars, next_plain: now }
    }

    /// Writes a line, above the bars if there are any. What nobody reads is no failure of the demo.
    pub(super) fn say(&self, line: &str) {
        let write = || drop(writeln!(io::stdout(), "{line}"));
        match &self.bars {
            Some(bars) => bars.all.suspend(write),
            None => write(),
        }
    }

    /// Shows how the accounts stand.
    pub(super) fn show(&mut self, standings: &[Standing]) {
        match &mut self.bars {
            Some(bars) => bars.show(standings),
            None if Instant::now() < self.next_plain => {}
            None => {
                self.next_plain += PLAIN_EVERY;
                let each: Vec<String> = standings
                    .iter()
                    .zip(SENDERS)
                    .map(|(standing, sender)| format!("{}: {}", sender.id, words(standing)))
                    .collect();
                self.say(&format!("{:>5} s  {}", self.elapsed(), each.join(" | ")));
            }
        }
    }

    /// Takes the bars away.
    pub(super) fn close(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.each.iter().for_each(ProgressBar::abandon);
        }
    }

    /// Seconds since the screen was opened, with one decimal.
    pub(super) fn elapsed(&self) -> String {
        format!("{:.1}", self.begin.elapsed().as_secs_f64())
    }
}

impl Bars {
    fn show(&mut self, standings: &[Standing]) {
        if self.each.is_empty() {
            let style = ProgressStyle::with_template("  {prefix:8} {bar:16} {msg}")
                .expect("the template is well-formed")
                .progress_chars("=> ");
            for sender in SENDERS {
                let bar = ProgressBar::new(0).with_style(style.clone()).with_prefix(sender.id);
                self.each.push(self.all.add(bar));
            }
        }
        for (bar, standing) in self.each.iter().zip(standings) {
            let done = standing.tally.sent + standing.tally.failed;
            bar.set_length(standing.submitted as u64);
            bar.set_position(done as u64);
            bar.set_message(words(standing));
        }
    }
}

fn words(standing: &Standing) -> String {
    let Tally { sent, failed, deferred, in_doubt, .. } = standing.tally;
    let left = |usage: &QuotaUsage| format!("{}/{}", usage.left, usage.quota.as_ref().map_or(0, |quota| quota.limit));
    let left: Vec<String> = standing.usage.iter().map(left).collect();
    let doubt = if in_doubt > 0 { format!(", {in_doubt} in doubt") } else { String::new() };
    format!("{sent:>3} sent, {deferred:>2} deferred, {failed:>2} failed, quota left {}{doubt}", left.join(" and "))
}
