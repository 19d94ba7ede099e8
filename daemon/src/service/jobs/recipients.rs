//! The recipients of one job, in pages: those of a plain job are in it, those of a merge job beside it.

use hikyaku_proto::v1;
use prost::Message as _;

use super::service::Jobs;
use crate::{
    domain::{
        ids::JobId,
        job::{Job, Schedule},
        merge::MessageClass,
        time::Timestamp,
    },
    service::{
        convert::{
            job::{flight_of, from_merge_message, from_recipient},
            values::{from_time, parse},
            violations::Violations,
        },
        paging::{PageSeal, Tokens, page_size},
        status::Refusal,
        visibility::Visitor,
    },
    storage::{JobRecord, RecipientPage},
};

/// Most bytes of one page, unless a single recipient has more. Clients take 4 MiB unless they are told otherwise.
const PAGE_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// Which recipients a caller wants.
struct Wanted {
    id: JobId,
    /// Any when empty.
    states: Vec<v1::RecipientState>,
    limit: usize,
    after: Option<u32>,
    tokens: Tokens,
}

impl Jobs {
    /// One page of a job's recipients.
    pub(super) async fn recipients(
        &self,
        request: v1::ListRecipientsRequest,
        visitor: &Visitor,
    ) -> Result<v1::ListRecipientsResponse, Refusal> {
        let wanted = Wanted::read(request, &self.pages)?;
        let record = visitor.job(&self.storage, wanted.id).await?.ok_or(Refusal::NoJob(wanted.id))?;
        let now = self.clock.now();
        if record.job.merge().is_none() {
            return Ok(wanted.page(plain(&record, &wanted, now), None));
        }
        let page = RecipientPage { after: wanted.after, limit: wanted.limit, classes: wanted.classes() };
        let found = self.storage.merge_recipients(wanted.id, page).await?.ok_or(Refusal::NoJob(wanted.id))?;
        let listed = found.messages.iter().map(|message| from_merge_message(&record.job, message, now));
        let listed = listed.filter(|one| wanted.includes(one)).collect();
        Ok(wanted.page(listed, found.next))
    }
}

impl Wanted {
    fn read(request: v1::ListRecipientsRequest, pages: &PageSeal) -> Result<Self, Refusal> {
        let mut violations = Violations::default();
        let list = v1::ListRecipientsRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let tokens = pages.tokens::<u32>(&list);
        let id = parse::<JobId>(&request.job_id, "job_id", &mut violations);
        let mut states = Vec::new();
        for (index, number) in request.states.iter().enumerate() {
            match v1::RecipientState::try_from(*number) {
                Ok(v1::RecipientState::Unspecified) | Err(_) => {
                    violations.add(format_args!("states[{index}]"), "is no state of a recipient");
                }
                Ok(state) => states.push(state),
            }
        }
        let limit = page_size(request.page_size, &mut violations);
        let after = tokens.read(&request.page_token, &mut violations);
        let read = id.zip(limit).zip(after);
        Ok(violations.finish(read.map(|((id, limit), after)| Self { id, states, limit, after, tokens }))?)
    }

    fn includes(&self, listed: &v1::ListedRecipient) -> bool {
        let state = listed.recipient.as_ref().map(v1::Recipient::state);
        self.states.is_empty() || state.is_some_and(|state| self.states.contains(&state))
    }

    /// The classes that hold the wanted states; none when any will do.
    fn classes(&self) -> Vec<MessageClass> {
        let mut classes: Vec<_> = self.states.iter().map(|state| class_of(*state)).collect();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    /// The page with these recipients, or with as many of them as an answer can hold.
    fn page(&self, listed: Vec<v1::ListedRecipient>, next: Option<u32>) -> v1::ListRecipientsResponse {
        let mut next = next;
        let mut bytes = 0;
        let mut recipients: Vec<v1::ListedRecipient> = Vec::with_capacity(listed.len());
        for one in listed {
            bytes += one.encoded_len();
            let is_full = bytes > PAGE_BYTES_MAX || recipients.len() == self.limit;
            if is_full && let Some(last) = recipients.last() {
                next = Some(last.index);
                break;
            }
            recipients.push(one);
        }
        let next_page_token = next.map(|last| self.tokens.after(&last)).unwrap_or_default();
        v1::ListRecipientsResponse { recipients, next_page_token }
    }
}

/// All wanted recipients of a plain job from the page's beginning on.
fn plain(record: &JobRecord, wanted: &Wanted, now: Timestamp) -> Vec<v1::ListedRecipient> {
    let Job { schedule, attempts_made, .. } = &record.job;
    let due = match schedule {
        Schedule::Waiting { due } | Schedule::Held { due } => Some(*due),
        Schedule::Idle => None,
    };
    let flight = flight_of(record);
    let all = (0..).zip(record.job.recipients());
    let rest = all.skip_while(|(index, _)| wanted.after.is_some_and(|after| *index <= after));
    let listed = rest.map(|(index, recipient)| v1::ListedRecipient {
        index,
        recipient: Some(from_recipient(&record.job, index, recipient, flight, now)),
        attempts_made: *attempts_made,
        due_at: due.filter(|_| recipient.state.is_pending()).map(from_time),
    });
    listed.filter(|one| wanted.includes(one)).collect()
}

const fn class_of(state: v1::RecipientState) -> MessageClass {
    match state {
        v1::RecipientState::Unspecified
        | v1::RecipientState::Held
        | v1::RecipientState::Scheduled
        | v1::RecipientState::Queued
        | v1::RecipientState::Sending
        | v1::RecipientState::Deferred => MessageClass::Waiting,
        v1::RecipientState::Submitted => MessageClass::Submitted,
        v1::RecipientState::Failed => MessageClass::Failed,
        v1::RecipientState::InDoubt => MessageClass::InDoubt,
        v1::RecipientState::Expired => MessageClass::Expired,
        v1::RecipientState::Cancelled => MessageClass::Cancelled,
        v1::RecipientState::Bounced => MessageClass::Bounced,
        v1::RecipientState::Complained => MessageClass::Complained,
        v1::RecipientState::Suppressed => MessageClass::Suppressed,
    }
}
