//! What was each step on the way to a server, what was said in it, and how long did it take?
//!
//! Nothing is kept unless somebody records. A recorder belongs to the task that runs with it, so that the ways to a server
//! need not know whether they are watched; what is done in other tasks is not recorded.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::tls::TlsFacts;

/// Most steps that are kept.
const STEPS_MAX: usize = 64;
/// Most bytes that are kept of each text of a step.
const TEXT_BYTES_MAX: usize = 4_096;
/// Most capabilities that are kept.
const CAPABILITIES_MAX: usize = 100;

tokio::task_local! {
    static RECORDER: Recorder;
}

/// Records the steps of what it runs. A copy is the same recorder.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Record>>);

/// What was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The steps in the order in which they ended.
    pub steps: Vec<Step>,
    /// Facts of the connection that was encrypted last.
    pub tls: Option<TlsFacts>,
    /// Capabilities that the server offered last, a line each.
    pub capabilities: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// Whether it succeeded.
    pub succeeded: bool,
    /// How long it took.
    pub took: Duration,
    /// What was said to the server, without secrets and content; its lines are separated by line feeds.
    pub sent: String,
    /// What the server answered, without secrets; its lines are separated by line feeds.
    pub reply: String,
    /// What was found besides, or the error when there was no reply.
    pub note: String,
}

/// Steps on the way to a server and on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the step of that name")]
pub enum StepName {
    Resolve,
    Proxy,
    Connect,
    Tls,
    Greeting,
    Hello,
    StartTls,
    Pop,
    Token,
    SignIn,
    Mail,
    Rcpt,
    Data,
    EndOfData,
    Folders,
    Messages,
    Quit,
}

/// A step that has begun. When it is dropped without an end it was given up.
#[derive(Debug)]
#[must_use = "a step that is dropped was given up"]
pub struct Running(Option<Begun>);

#[derive(Debug)]
struct Begun {
    recorder: Recorder,
    name: StepName,
    at: Instant,
}

/// What was said in a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialogue {
    /// By us; lines separated by line feeds.
    pub sent: String,
    /// By the server; lines separated by line feeds.
    pub reply: String,
}

impl Recorder {
    /// Runs `work` and records its steps, also when it is dropped before its end.
    pub async fn run<F: Future>(&self, work: F) -> F::Output {
        RECORDER.scope(self.clone(), work).await
    }

    /// What was recorded so far.
    #[must_use]
    pub fn record(&self) -> Record {
        self.locked().clone()
    }

    fn push(&self, step: Step) {
        let mut record = self.locked();
        if record.steps.len() < STEPS_MAX {
            record.steps.push(step);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins a step, which is kept if somebody records.
pub fn begin(name: StepName) -> Running {
    let recorder = RECORDER.try_with(Recorder::clone).ok();
    Running(recorder.map(|recorder| Begun { recorder, name, at: Instant::now() }))
}

/// Keeps the facts of a connection that was just encrypted, if somebody records.
pub(super) fn saw_tls(facts: &TlsFacts) {
    let _ = RECORDER.try_with(|recorder| recorder.locked().tls = Some(facts.clone()));
}

/// Keeps what a server offers, a capability in each line, if somebody records.
pub(super) fn saw_capabilities<'a>(lines: impl Iterator<Item = &'a str>) {
    let _ = RECORDER.try_with(|recorder| {
        let kept = lines.take(CAPABILITIES_MAX).map(|line| bounded(line.to_owned()));
        recorder.locked().capabilities = kept.collect();
    });
}

impl Running {
    /// Whether somebody records, so that it is worth while to find words.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Ends it as it came out, with what was said and what was found besides; an error's words stand as the note.
    pub fn end(self, said: Dialogue, outcome: Result<impl Display, impl Display>) {
        let (succeeded, note) = match &outcome {
            _ if !self.is_recorded() => return,
            Ok(note) => (true, note.to_string()),
            Err(error) => (false, error.to_string()),
        };
        self.close(succeeded, said, note);
    }

    /// Keeps nothing of it: it was not needed.
    pub fn forget(mut self) {
        self.0 = None;
    }

    fn close(mut self, succeeded: bool, said: Dialogue, note: String) {
        if let Some(begun) = self.0.take() {
            begun.close(succeeded, said, note);
        }
    }
}

impl Begun {
    fn close(self, succeeded: bool, said: Dialogue, note: String) {
        let Self { recorder, name, at } = self;
        let (sent, reply, note) = (bounded(said.sent), bounded(said.reply), bounded(note));
        recorder.push(Step { name, succeeded, took: at.elapsed(), sent, reply, note });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(begun) = self.0.take() {
            begun.close(false, Dialogue::default(), "given up before it ended".to_owned());
        }
    }
}

fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

impl StepName {
    /// The word for it on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Proxy => "proxy",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
            Self::Hello => "hello",
            Self::StartTls => "starttls",
            Self::Pop => "pop",
            Self::Token => "token",
            Self::SignIn => "sign-in",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::EndOfData => "end-of-data",
            Self::Folders => "folders",
            Self::Messages => "messages",
            Self::Quit => "quit",
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    async fn step(name: StepName, outcome: Result<&str, &str>) {
        let step = begin(name);
        sleep(Duration::from_secs(2)).await;
        step.end(Dialogue { sent: "C".to_owned(), reply: "S".to_owned() }, outcome);
    }

    #[tokio::test(start_paused = true)]
    async fn steps_are_kept_with_their_times_only_while_somebody_records() {
        step(StepName::Hello, Ok("unseen")).await;
        let recorder = Recorder::default();
        recorder.run(step(StepName::Mail, Ok("fine"))).await;
        recorder.run(step(StepName::Rcpt, Err("bad"))).await;
        let steps = recorder.record().steps;
        let shown: Vec<_> =
            steps.iter().map(|step| (step.name, step.succeeded, step.took.as_secs(), step.note.as_str())).collect();
        assert_eq!(shown, [(StepName::Mail, true, 2, "fine"), (StepName::Rcpt, false, 2, "bad")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_is_given_up_is_told() {
        let recorder = Recorder::default();
        let work = recorder.run(step(StepName::Greeting, Ok("")));
        assert!(timeout(Duration::from_secs(1), work).await.is_err());
        let steps = recorder.record().steps;
        assert_eq!((steps[0].name, steps[0].succeeded), (StepName::Greeting, false));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded() {
        let recorder = Recorder::default();
        let long = "飛".repeat(TEXT_BYTES_MAX);
        for _ in 0..STEPS_MAX + 5 {
            recorder.run(step(StepName::Rcpt, Err(&long))).await;
        }
        let steps = recorder.record().steps;
        assert_eq!(steps.len(), STEPS_MAX);
        assert!(steps.iter().all(|step| step.note.len() <= TEXT_BYTES_MAX));
    }
}
