//! From the queue to the couriers: messages are read, handed out, and marked together in one commit.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};

use super::{
    Context,
    errand::{Errand, ErrandResult, MarkStage, Return},
};
use crate::{
    domain::{account::InDoubtPolicy, ids::MessageKey, ledger::Charge},
    storage::{Consignment, StorageError, Tenure, TenureError, settlement::MarkOutcome},
};

/// A message that a courier is to carry.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) message: MessageKey,
    /// How many recipients its permit is for.
    pub(super) recipients: u32,
    /// What its mark charges to the quotas.
    pub(super) charges: Vec<Charge>,
    /// Where the courier takes errands.
    pub(super) courier: mpsc::Sender<Errand>,
}

/// Messages that are handed out together.
#[derive(Debug)]
pub(super) struct Preparation {
    pub(super) context: Context,
    pub(super) tenure: Arc<Tenure>,
    pub(super) policy: InDoubtPolicy,
    pub(super) assignments: Vec<Assignment>,
}

impl Preparation {
    /// Hands the messages to their couriers, and answers with those that did not get there.
    pub(super) async fn run(self) -> Result<Vec<Return>, TenureError> {
        let Self { context, tenure, policy, assignments } = self;
        let started = context.clock.now();
        let (mut marks, mut answers) = (Vec::new(), Vec::new());
        let (mut stranded, mut returns) = (Vec::new(), Vec::new());
        let found = join_all(assignments.iter().map(|assignment| consignment(&context, assignment))).await;
        for (assignment, found) in assignments.into_iter().zip(found) {
            let consignment = match found {
                Ok(consignment) => consignment,
                Err(Refused::Store(error)) => return Err(error.into()),
                Err(Refused::Errand(result)) => {
                    returns.push(Return { message: assignment.message, marked: false, result });
                    continue;
                }
            };
            let mark = match policy {
                // To send again what was never sent harms nobody: the mark is written while the envelope travels.
                InDoubtPolicy::Resend => {
                    let since = context.clock.now();
                    marks.push(Errand::mark_of(&consignment, started, since, assignment.charges));
                    let (answer, coming) = oneshot::channel();
                    answers.push(answer);
                    MarkStage::Coming(coming)
                }
                InDoubtPolicy::Hold => MarkStage::Due(assignment.charges),
            };
            let errand = Errand { consignment, started, mark };
            if let Err(refused) = assignment.courier.try_send(errand) {
                // The courier has just ended.
                stranded.push(refused.into_inner());
            }
        }
        if !marks.is_empty() {
            let outcomes = context.storage.mark_in_doubt(&tenure, marks).await?;
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // A courier that has gone needs no answer.
                let _ = answer.send(outcome == MarkOutcome::Marked);
            }
        }
        for errand in stranded {
            returns.push(errand.returned(ErrandResult::Recalled).await);
        }
        Ok(returns)
    }
}

enum Refused {
    Store(StorageError),
    Errand(ErrandResult),
}

async fn consignment(context: &Context, assignment: &Assignment) -> Result<Consignment, Refused> {
    let found = context.storage.consign(&[assignment.message]).await.map_err(|error| match error {
        error if error.is_fatal() => Refused::Store(error),
        error => Refused::Errand(ErrandResult::Unreadable(error)),
    })?;
    let is_as_seen = |consignment: &Consignment| consignment.recipients.len() == assignment.recipients as usize;
    found.into_iter().next().filter(is_as_seen).ok_or(Refused::Errand(ErrandResult::Changed))
}
