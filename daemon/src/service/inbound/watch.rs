//! What happens in mailboxes: which events a watch of inbound mail tells.

use async_trait::async_trait;
use hikyaku_proto::v1;

use crate::{
    domain::{
        event::{Cursor, Event, EventKind},
        ids::AccountId,
        inbound::{InboundId, MailboxChange},
    },
    service::{
        convert::{
            inbound::from_change,
            values::parse,
            violations::{Violation, Violations},
        },
        visibility::View,
        watching::{Interest, Start},
    },
    storage::{SharedStorage, StorageError},
};

/// Of which accounts a caller wants to be told.
#[derive(Debug)]
pub(super) struct Wanted {
    account: Option<AccountId>,
}

impl Wanted {
    /// What a caller asked for, and from where on; `head` is the cursor after the last event.
    pub(super) fn read(request: &v1::WatchInboundRequest, head: Cursor) -> Result<(Start, Self), Vec<Violation>> {
        let mut violations = Violations::default();
        let start = Start::read(&request.cursor, head, &mut violations);
        let account = match request.account_id.as_str() {
            "" => Some(None),
            id => parse::<AccountId>(id, "account_id", &mut violations).map(Some),
        };
        violations.finish(start.zip(account).map(|(start, account)| (start, Self { account })))
    }

    /// The account of which it wants to be told, if it is only one.
    pub(super) const fn account(&self) -> Option<&AccountId> {
        self.account.as_ref()
    }
}

#[async_trait]
impl Interest for Wanted {
    type Told = v1::WatchInboundResponse;

    async fn wants(&self, event: &Event, view: &mut View<'_>) -> Result<bool, StorageError> {
        let EventKind::Mailbox(change) = &event.kind else { return Ok(false) };
        if self.account.as_ref().is_some_and(|account| *account != event.account) {
            return Ok(false);
        }
        let id = match change {
            MailboxChange::Arrived(id) => *id,
            // What happened before the account was created happened to another one of its name.
            _ => InboundId::first_at(event.at),
        };
        view.sees_mail_of(&event.account, id).await
    }

    async fn tell(
        &self,
        cursor: Cursor,
        event: &Event,
        storage: &SharedStorage,
    ) -> Result<Option<v1::WatchInboundResponse>, StorageError> {
        let EventKind::Mailbox(change) = &event.kind else { return Ok(None) };
        let mail = match change {
            MailboxChange::Arrived(id) => storage.inbound(*id).await?,
            _ => None,
        };
        Ok(from_change(cursor, event, change, mail.as_ref()))
    }
}
