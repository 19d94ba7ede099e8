//! What does a test of an account meet, from finding its server to the final dot, and what is likely wrong?
//!
//! A test goes its own way beside the worker: its connection is its own, and it is not an attempt of any job. A test mail is
//! sent with units that the worker lends, so that the quotas count it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, TryAcquireError},
    time::timeout,
};

use super::desk::{Desk, DeskError};
use crate::{
    accounts::tokens::TokenKeeper,
    domain::{
        account::{Account, AccountSettings, EhloName},
        address::Address,
        ids::AccountId,
        time::Clock,
        verdict::Phase,
    },
    platform::entropy::Entropy,
    policy::diagnosis::{Case, Diagnosis, Facts, SignInKind, diagnose},
    storage::StorageError,
    wire::{
        dial::Dial,
        steps::{Record, Recorder, Step, StepName},
    },
};

mod mailbox;
mod met;
mod smtp;

#[cfg(test)]
mod tests;

use met::Met;

/// Most tests at once, over all accounts.
const TESTS_MAX: usize = 16;
/// How long a test may take, in seconds, whatever the account's own limits are.
const TEST_SECONDS_MAX: u64 = 120;

/// Tests accounts, a few at once. A copy is the same.
#[derive(Clone, Debug)]
pub struct Trials(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tools: Tools,
    places: Semaphore,
    /// Accounts that are being tested.
    under_test: Mutex<HashSet<AccountId>>,
}

/// What tests work with.
#[derive(Clone, Debug)]
pub struct Tools {
    /// How servers are reached.
    pub dial: Arc<dyn Dial>,
    /// The access tokens of accounts that sign in with OAuth 2.
    pub tokens: TokenKeeper,
    /// Lends units of the accounts' quotas.
    pub desk: Desk,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for message ids.
    pub entropy: Arc<dyn Entropy>,
    /// This host's name, for accounts that set no EHLO name.
    pub host_name: EhloName,
}

/// What is to be tested.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The settings.
    pub settings: AccountSettings,
    /// The stored account whose settings these are, or would be.
    pub stored: Option<Arc<Account>>,
    /// Which server.
    pub server: TestedServer,
    /// To whom a test mail is sent. It needs a stored account, whose quotas count it.
    pub recipient: Option<Address>,
}

/// Servers of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestedServer {
    /// The one that takes its mail.
    Smtp,
    /// That of its mailbox.
    Mailbox,
}

/// What a test met.
#[derive(Clone, Debug)]
pub struct Report {
    /// The steps, with what was found on the way. Unless the test passed, the last step failed.
    pub record: Record,
    /// What is likely wrong; nothing when the test passed.
    pub diagnosis: Option<Diagnosis>,
    /// What is in the mailbox, when that was tested.
    pub contents: Contents,
}

/// What is in a mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The names of its folders; IMAP only.
    pub folders: Vec<String>,
    /// Its messages; of IMAP, those in INBOX.
    pub messages: u64,
}

/// Why no test was made.
#[derive(Debug, thiserror::Error)]
pub enum NotTested {
    /// The account is being tested.
    #[error("the account is being tested already")]
    AlreadyUnderTest,
    /// Too many tests are under way.
    #[error("{TESTS_MAX} tests are under way; try again in a moment")]
    TooMany,
    /// The account has no mailbox.
    #[error("the account has no mailbox")]
    NoMailbox,
    /// Neither the mailbox nor SMTP has credentials.
    #[error("neither the mailbox nor SMTP has credentials")]
    NoMailboxSignIn,
    /// A test mail needs a stored account.
    #[error("a test mail can only be sent from a stored account, whose quotas count it")]
    NotStored,
    /// The quotas have no room for a test mail, or the worker does not answer.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// How a way ends before its end.
enum Halt {
    /// Something was met.
    Met(Box<Met>),
    /// There is nothing to report.
    NotTested(NotTested),
}

impl From<Met> for Halt {
    fn from(met: Met) -> Self {
        Self::Met(Box::new(met))
    }
}

impl Trials {
    /// Tests with these.
    #[must_use]
    pub fn new(tools: Tools) -> Self {
        Self(Arc::new(Shared { tools, places: Semaphore::new(TESTS_MAX), under_test: Mutex::default() }))
    }

    /// Makes a test, within two minutes.
    ///
    /// # Errors
    /// When none was made. What a test meets is no error.
    pub async fn run(&self, trial: Trial) -> Result<Report, NotTested> {
        let _place = match self.0.places.try_acquire() {
            Ok(place) => place,
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return Err(NotTested::TooMany),
        };
        let _turn = Turn::take(&self.0, trial.stored.as_ref().map(|account| account.id.clone()))?;
        if trial.recipient.is_some() && trial.stored.is_none() {
            return Err(NotTested::NotStored);
        }
        let recorder = Recorder::default();
        let limit = Duration::from_secs(TEST_SECONDS_MAX);
        let way = async {
            match trial.server {
                TestedServer::Smtp => Box::pin(smtp::walk(&self.0.tools, &trial)).await.map(|()| Contents::default()),
                TestedServer::Mailbox => Box::pin(mailbox::look(&self.0.tools, &trial)).await,
            }
        };
        let ended = timeout(limit, recorder.run(way)).await;
        let record = recorder.record();
        match ended {
            Ok(Ok(contents)) => Ok(Report { record, diagnosis: None, contents }),
            Ok(Err(Halt::Met(met))) => Ok(failed(record, &met, &trial)),
            Ok(Err(Halt::NotTested(why))) => Err(why),
            Err(_) => {
                let last = record.steps.last().map_or(StepName::Connect, |step| step.name);
                Ok(failed(record, &Met::too_late(last, limit), &trial))
            }
        }
    }
}

/// A report whose last step is the one that failed.
fn failed(mut record: Record, met: &Met, trial: &Trial) -> Report {
    while record.steps.last().is_some_and(|step| step.name == StepName::Quit) {
        record.steps.pop();
    }
    let note = met.to_string();
    match record.steps.last_mut() {
        Some(last) if !last.succeeded => {
            if last.note.is_empty() && last.reply.is_empty() {
                last.note = note;
            }
        }
        Some(last) if last.name == met.step => {
            last.succeeded = false;
            last.note = note;
        }
        _ => record.steps.push(Step {
            name: met.step,
            succeeded: false,
            took: Duration::ZERO,
            sent: String::new(),
            reply: String::new(),
            note,
        }),
    }
    let case = Case { phase: met.phase, trouble: met.trouble(), settings: facts(trial, met) };
    Report { diagnosis: Some(diagnose(&case)), record, contents: Contents::default() }
}

fn facts(trial: &Trial, met: &Met) -> Facts {
    let settings = &trial.settings;
    let server = match (&settings.mailbox, &settings.sign_in) {
        (Some(mailbox), _) if trial.server == TestedServer::Mailbox => &mailbox.server,
        (_, crate::domain::account::SignIn::PopBeforeSmtp(pop)) if met.step == StepName::Pop => &pop.server,
        _ => &settings.server,
    };
    Facts {
        provider: settings.server.provider,
        port: server.port.get(),
        encryption: server.encryption,
        sign_in: if met.step == StepName::Pop { SignInKind::Password } else { SignInKind::of(&settings.sign_in) },
    }
}

/// An account's turn to be tested, which ends when it is dropped.
struct Turn<'a> {
    shared: &'a Shared,
    id: Option<AccountId>,
}

impl<'a> Turn<'a> {
    fn take(shared: &'a Shared, id: Option<AccountId>) -> Result<Self, NotTested> {
        let mut under_test = shared.under_test.lock().unwrap_or_else(PoisonError::into_inner);
        match &id {
            Some(id) if !under_test.insert(id.clone()) => Err(NotTested::AlreadyUnderTest),
            _ => Ok(Self { shared, id }),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.shared.under_test.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        }
    }
}

/// The phase of a session in which a step is.
const fn phase_of(step: StepName) -> Phase {
    match step {
        StepName::Resolve => Phase::Resolve,
        StepName::Proxy | StepName::Connect => Phase::Connect,
        StepName::Tls | StepName::StartTls => Phase::Tls,
        StepName::Greeting => Phase::Greeting,
        StepName::Hello => Phase::Hello,
        StepName::Pop | StepName::Token | StepName::SignIn | StepName::Folders | StepName::Messages => Phase::SignIn,
        StepName::Mail | StepName::Quit => Phase::Mail,
        StepName::Rcpt => Phase::Rcpt,
        StepName::Data => Phase::Data,
        StepName::EndOfData => Phase::EndOfData,
    }
}

/// The step of a test in which a phase of a session is.
const fn step_of(phase: Phase) -> StepName {
    match phase {
        Phase::Resolve => StepName::Resolve,
        Phase::Connect => StepName::Connect,
        Phase::Greeting => StepName::Greeting,
        Phase::Hello => StepName::Hello,
        Phase::Tls => StepName::Tls,
        Phase::SignIn => StepName::SignIn,
        Phase::Mail => StepName::Mail,
        Phase::Rcpt => StepName::Rcpt,
        Phase::Data => StepName::Data,
        Phase::EndOfData => StepName::EndOfData,
    }
}
