//! How is news waited for without asking again and again (IDLE, RFC 2177)?

use std::{pin::pin, time::Duration};

use async_imap::imap_proto::Response;
use tokio::time::{Instant, sleep_until};

use super::{
    ImapSession,
    commands::{ANSWER_BYTES_MAX, Heard, Patience, unreadable},
};
use crate::wire::{
    mailbox::{MailboxCause, MailboxFailure},
    steps::StepName,
};

/// Longest wait at once. RFC 2177 allows 29 minutes; many routers forget a quiet connection after ten.
pub const IDLE_SECONDS_MAX: u64 = 540;

/// Why a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// There may be new messages.
    News,
    /// It has lasted as long as it may.
    Elapsed,
    /// It was told to.
    Stopped,
}

impl ImapSession {
    /// Whether the server offers IDLE.
    ///
    /// # Errors
    /// When the server refuses, or the connection fails.
    pub async fn offers_idle(&mut self) -> Result<bool, MailboxFailure> {
        self.offers("IDLE").await
    }

    /// Waits until there is news of the open folder, at most `at_most` and [`IDLE_SECONDS_MAX`], or until `stop`. News that
    /// came since [`list_from`](Self::list_from) began is news at once. Afterwards the session goes on.
    ///
    /// # Errors
    /// When the server refuses, or the connection fails.
    pub async fn idle<S>(&mut self, at_most: Duration, stop: S) -> Result<Woken, MailboxFailure>
    where
        S: Future<Output = ()> + Send,
    {
        if self.has_news {
            return Ok(Woken::News);
        }
        let until = Instant::now() + at_most.min(Duration::from_secs(IDLE_SECONDS_MAX));
        self.begin(StepName::Messages, "IDLE", ANSWER_BYTES_MAX)?;
        let mut woken = Woken::Elapsed;
        let answer = Box::pin(self.wait(until, stop, &mut woken)).await;
        self.end(answer)?;
        Ok(woken)
    }

    async fn wait<S>(&mut self, until: Instant, stop: S, woken: &mut Woken) -> Result<Result<(), String>, MailboxCause>
    where
        S: Future<Output = ()> + Send,
    {
        let patience = self.patience(0);
        let tag = self.say("IDLE").await?;
        loop {
            match self.hear(&tag, patience, &mut |_| {}).await? {
                Heard::More => {}
                Heard::GoOn => break,
                Heard::End(Ok(())) => return Err(unreadable(self.words.last())),
                Heard::End(refused) => return Ok(refused),
            }
        }
        let (mut stop, mut ignore) = (pin!(stop), |_: &Response<'_>| {});
        // A server may say nothing for as long as nothing happens.
        let silence = Patience { quiet: Duration::from_secs(2 * IDLE_SECONDS_MAX), until: until + patience.quiet };
        *woken = loop {
            if self.has_news {
                break Woken::News;
            }
            tokio::select! {
                biased;
                () = &mut stop => break Woken::Stopped,
                heard = self.hear(&tag, silence, &mut ignore) => {
                    if let Heard::End(end) = heard? {
                        return Ok(end);
                    }
                }
                () = sleep_until(until) => break Woken::Elapsed,
            }
        };
        self.say_on("DONE").await?;
        let patience = self.patience(0);
        loop {
            if let Heard::End(end) = self.hear(&tag, patience, &mut |_| {}).await? {
                return Ok(end);
            }
        }
    }
}
