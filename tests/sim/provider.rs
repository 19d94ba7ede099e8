//! A provider as a simulated host: an SMTP server of our own for many accounts, and what it has seen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hikyaku_daemon::domain::time::Timestamp;
use tokio::task::JoinSet;
use turmoil::net::TcpListener;

use self::{conduct::Conduct, session::Session};
use crate::{log::Log, plan};

pub(crate) mod conduct;
mod session;

const SMTP_PORT: u16 = 25;

/// A provider; what it has seen outlives its restarts.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) conduct: Conduct,
    log: Log,
    seen: Arc<Mutex<Seen>>,
}

/// What all providers have seen, in the order in which it happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Each MAIL, whatever was said to it.
    pub(crate) served: Vec<Served>,
    /// Each message that was taken.
    pub(crate) taken: Vec<Taken>,
    /// How often a provider misbehaved.
    pub(crate) mishaps: u64,
}

/// A MAIL command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    pub(crate) at: Timestamp,
    /// When it had come at the earliest: a provider that waits reads later what came together.
    pub(crate) came_at: Timestamp,
    pub(crate) job: usize,
}

/// A message that a provider took.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) at: Timestamp,
    pub(crate) job: usize,
    /// Indexes into the job's recipients.
    pub(crate) recipients: Vec<usize>,
    /// The length of the message as it came.
    pub(crate) bytes: u64,
    /// The check sum of the message as it came.
    pub(crate) digest: u64,
}

/// Looks at what the providers have seen.
pub(crate) fn look(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The check sum of a message (FNV-1a).
pub(crate) fn digest(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

impl Provider {
    pub(crate) fn new(number: usize, conduct: Conduct, log: Log, seen: Arc<Mutex<Seen>>) -> Arc<Self> {
        Arc::new(Self { name: plan::provider_name(number), conduct, log, seen })
    }

    /// What a simulated host runs: an SMTP server, until its tasks are dropped.
    pub(crate) async fn live(self: Arc<Self>) -> turmoil::Result {
        let listener = TcpListener::bind(("0.0.0.0", SMTP_PORT)).await?;
        let mut sessions = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            sessions.spawn(Session::new(Arc::clone(&self), stream).run());
            while let Some(ended) = sessions.try_join_next() {
                ended?;
            }
        }
    }

    fn note_mishap(&self, at: Timestamp, what: &str) {
        look(&self.seen).mishaps += 1;
        self.log.line(at, format_args!("{} {what}", self.name));
    }

    fn note_served(&self, served: Served) {
        self.log.line(served.at, format_args!("{} is asked to take job {}", self.name, served.job));
        look(&self.seen).served.push(served);
    }

    fn note_taken(&self, taken: Taken) {
        let Taken { at, job, recipients, .. } = &taken;
        self.log.line(*at, format_args!("{} takes job {job} for recipients {recipients:?}", self.name));
        look(&self.seen).taken.push(taken);
    }
}
