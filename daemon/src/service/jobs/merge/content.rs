//! What the head of a merge job becomes: its content made ready to be filled in, and at the end the job.

use super::{Opening, incoming::Whole};
use crate::{
    compose::{
        identity::{ComposeError, Identity},
        merge::{Renderer, read_template},
    },
    domain::{
        account::{Account, AccountSettings},
        ids::{JobId, MessageKey},
        job::{Approval, Audience, Job, Schedule},
        merge::{MergeTemplate, progress::MergeProgress},
        time::Timestamp,
    },
    policy::admission::{self, Content, Submission},
    service::{
        convert::{draft::Order, violations::Violation},
        jobs::{
            attached::{Attached, check_sizes},
            compose::{beginning, on_the_wire, template_draft_of},
        },
    },
};

/// The content of a merge job that may be accepted, if its recipients may.
#[derive(Debug)]
pub(super) struct MergeContent {
    pub(super) template: MergeTemplate,
    pub(super) renderer: Renderer,
    /// That of the first message.
    pub(super) identity: Identity,
}

/// Checks the head of a merge job and reads its templates. The job's id comes with the proof of its first message.
pub(super) fn content_of(
    order: &Order,
    settings: &AccountSettings,
    (id, proof): (JobId, &str),
    now: Timestamp,
) -> Result<MergeContent, Vec<Violation>> {
    let mut violations = order.address_violations(&settings.content);
    let from = order.from.clone().unwrap_or_else(|| settings.from.clone());
    let draft = template_draft_of(order, &from, settings);
    let submission = Submission {
        content: Content::Draft(&draft),
        to: &[],
        cc: &[],
        bcc: &[],
        message_bytes: None,
        send_at: order.send_at,
        expires_at: order.expires_at,
        labels: order.labels.len(),
        priority: order.priority,
    };
    for found in admission::check_merge(&submission, settings, now) {
        violations.add(on_the_wire(&found.field), found.reason);
    }
    let bytes_max = admission::message_bytes_max(&settings.limits, order.priority);
    if let Err(too_large) = check_sizes(order, &Attached::default(), bytes_max) {
        violations.add(too_large.field, too_large.description);
        return violations.finish(None);
    }
    let made = read_template(draft).and_then(|template| Ok((Renderer::new(&template, id)?, template)));
    let made = made.map_err(|ComposeError { field, reason }| violations.add(on_the_wire(&field), reason)).ok();
    let first = MessageKey { job: id, index: 0 };
    let identity = Identity::of_merge(first, proof.to_owned(), &from.address, now);
    violations.finish(made.map(|(renderer, template)| MergeContent { template, renderer, identity }))
}

/// The job, in its first state.
pub(super) fn job_of(opening: Opening, account: &Account, template: &MergeTemplate, incoming: &Whole) -> Job {
    let Opening { order, visitor, id, now, .. } = opening;
    let due = order.send_at.map_or(now, |send_at| send_at.max(now));
    Job {
        id,
        account: account.id.clone(),
        caller: visitor.into_caller(),
        accepted_at: now,
        sender: account.settings.results.sender_of(&template.draft.from.address),
        audience: Audience::Each(Box::new(
            MergeProgress::new(incoming.recipients, due).with_message_bytes_max(incoming.bytes_max),
        )),
        subject: beginning(&template.draft.subject),
        message: incoming.first.clone(),
        priority: order.priority,
        labels: order.labels,
        expires_at: order.expires_at,
        schedule: if order.hold { Schedule::Held { due } } else { Schedule::Waiting { due } },
        attempts_made: 0,
        first_attempt_at: None,
        attempts: Vec::new(),
        wish: None,
        fallbacks: None,
        approval: order.approval_required.then_some(Approval::Awaited),
        resent: None,
        override_suppression: false,
    }
}
