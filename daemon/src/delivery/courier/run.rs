//! Messages in runs, by BDAT: several are sent before the first is answered.

use std::sync::atomic::Ordering;

use super::{
    super::{
        errand::{Errand, ErrandResult},
        exchange::Sorted,
        session::OpenSession,
    },
    AHEAD_IN_RUNS_MAX, Courier,
};
use crate::{
    domain::{attempt::Response, reply::Reply, verdict::Phase},
    policy::{
        assess::{Connection, Met},
        classify::broken::{Breakage, classify_broken},
    },
    wire::smtp::{Carried, EnvelopeFailure},
};

/// Replies that say that a command is unknown, malformed, out of order or not implemented (RFC 5321 4.2.4). To BDAT, they
/// say nothing of the message: what the server offered does not work there.
const BDAT_FAILS_CODES: [u16; 6] = [500, 501, 502, 503, 504, 555];

impl Courier {
    /// Carries a message, and those that are at hand.
    pub(super) async fn carry_run(&mut self, first: Errand, open: &mut OpenSession) {
        let errands = self.collect(first, open).await;
        if errands.is_empty() {
            return;
        }
        let mut connection = open.wear.connection();
        let mut trials = Vec::with_capacity(errands.len());
        {
            let messages: Vec<_> =
                errands.iter().map(|errand| (&errand.consignment.envelope, &errand.consignment.message)).collect();
            let mut run = open.session.run(&messages);
            while let Some(outcome) = run.next().await {
                let Some(errand) = errands.get(trials.len()) else { continue };
                // What fails in BDAT says as little of the message as what fails on a connection that has served its time.
                let is_failed = matches!(&outcome, Ok(Carried::Answered { reply, .. }) if fails(reply));
                let seen_as = if is_failed { Connection::Used } else { connection };
                let met = self.met(&errand.consignment.recipients, outcome);
                trials.push(self.trial(errand, seen_as, met));
                connection = Connection::Used;
            }
        }
        for (errand, trial) in errands.into_iter().zip(trials) {
            self.tried(errand, trial, &mut open.wear).await;
        }
    }

    /// The messages of a run: marked, and neither void nor withdrawn.
    async fn collect(&mut self, first: Errand, open: &OpenSession) -> Vec<Errand> {
        let left = open.wear.left(&self.account.settings().limits) as usize;
        let mut found = vec![first];
        while found.len() < AHEAD_IN_RUNS_MAX.min(left)
            && let Ok(next) = self.post.errands.try_recv()
        {
            found.push(next);
        }
        let mut ready = Vec::with_capacity(found.len());
        for mut errand in found {
            let result = if errand.has_expired(self.context.clock.now()) {
                Some(ErrandResult::Expired)
            } else {
                self.hindrance(&mut errand).await
            };
            match result {
                None => ready.push(errand),
                Some(result) => self.bring_back(errand, result).await,
            }
        }
        ready
    }

    fn met(&self, recipients: &[u32], outcome: Result<Carried, EnvelopeFailure>) -> Vec<Met> {
        let judge = self.judge();
        match outcome {
            Ok(Carried::Answered { envelope, reply }) => {
                let Sorted { accepted, mut met } = judge.sort(recipients, &envelope);
                met.push(if fails(&reply) {
                    self.failed_in_run(accepted, &reply)
                } else {
                    judge.replied(accepted, Phase::EndOfData, &reply)
                });
                met
            }
            Ok(Carried::Refused { envelope }) => judge.sort(recipients, &envelope).met,
            Err(failure) => judge.failed(recipients, failure),
        }
    }

    /// The server does not know what it offers: the message goes again, by DATA.
    fn failed_in_run(&self, recipients: Vec<u32>, reply: &Reply) -> Met {
        if !self.fails_in_runs.swap(true, Ordering::Relaxed) {
            tracing::warn!(account = %self.tenure.account, %reply, "the server offers CHUNKING and fails in it: DATA is used");
        }
        let response = Response::Replied(reply.clone());
        let ruling = classify_broken(Phase::Data, Breakage::Closed);
        Met { recipients, phase: Phase::Data, response, ruling }
    }
}

fn fails(reply: &Reply) -> bool {
    BDAT_FAILS_CODES.contains(&reply.code())
}
