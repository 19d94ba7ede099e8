//! Trying an account's servers, step by step.

use std::sync::Arc;

use hikyaku_proto::v1;

use super::{Accounts, one_id};
use crate::{
    delivery::{
        desk::DeskError,
        trial::{NotTested, TestedServer, Trial},
    },
    domain::{account::Account, address::Address, ids::Caller, time::Clock},
    service::{
        convert::{account::to_settings, trial::from_report, violations::Violations},
        status::Refusal,
    },
};

impl Accounts {
    /// Tries a server of an account. What is met is part of the answer and no refusal.
    pub(super) async fn test(
        &self,
        request: v1::TestAccountRequest,
        _caller: &Caller,
    ) -> Result<v1::TestAccountResponse, Refusal> {
        let trial = self.trial(request).await?;
        let name = trial.stored.as_ref().map(|account| account.id.clone());
        let report = self.trials.run(trial).await.map_err(|why| refused(why, &*self.clock))?;
        let cause = report.diagnosis.as_ref().map(|diagnosis| diagnosis.cause.as_str());
        tracing::info!(account = name.map(tracing::field::display), cause, "account tested");
        Ok(v1::TestAccountResponse { test: Some(from_report(report)) })
    }

    async fn trial(&self, request: v1::TestAccountRequest) -> Result<Trial, Refusal> {
        let stored = match request.account_id.as_str() {
            "" => None,
            id => Some(Arc::new(self.record(&one_id(id)?).await?.account)),
        };
        let mut violations = Violations::default();
        let server = match request.server() {
            v1::TestedServer::Unspecified | v1::TestedServer::Smtp => TestedServer::Smtp,
            v1::TestedServer::Mailbox => TestedServer::Mailbox,
        };
        let recipient = match request.recipient.as_str() {
            "" => None,
            address => {
                let is_lenient = stored.as_ref().is_some_and(|account| account.settings.content.lenient_addresses);
                let read = if is_lenient { Address::from_lenient(address) } else { address.parse() };
                violations.keep("recipient", read)
            }
        };
        if recipient.is_some() && stored.is_none() {
            violations.add("recipient", "needs a stored account, whose quotas count the test mail");
        }
        if recipient.is_some() && server == TestedServer::Mailbox {
            violations.add("recipient", "is for a test of SMTP only");
        }
        let settings = match (request.settings, stored.as_deref()) {
            (None, Some(Account { settings, .. })) => violations.finish(Some(settings.clone()))?,
            (settings, old) => to_settings(settings, old.map(|account| &account.settings), violations)?.settings,
        };
        Ok(Trial { settings, stored, server, recipient })
    }
}

fn refused(why: NotTested, clock: &dyn Clock) -> Refusal {
    match why {
        NotTested::AlreadyUnderTest => Refusal::TooMany("tests of this account"),
        NotTested::TooMany => Refusal::TooMany("tests"),
        NotTested::NoMailbox => Refusal::field("settings.mailbox", "is not set: there is no mailbox to test"),
        NotTested::NoMailboxSignIn => {
            Refusal::field("settings.mailbox.sign_in", "is not set, and SMTP has no credentials of its own")
        }
        NotTested::NotStored => Refusal::field("recipient", "needs a stored account"),
        NotTested::Desk(DeskError::Exhausted(exhausted)) => {
            let until = (!exhausted.is_for_ever()).then_some(exhausted.until);
            Refusal::OverQuota { until, now: clock.now() }
        }
        NotTested::Desk(DeskError::Unavailable) => Refusal::WorkerAway,
        NotTested::Storage(error) => error.into(),
    }
}
