//! Which folders has the mailbox, and what is in the one that is opened?

use async_imap::imap_proto::{
    AttributeValue, MailboxDatum, MailboxListData, NameAttribute, Response, ResponseCode, Status, StatusAttribute,
};

use super::{
    ImapSession,
    commands::{Order, quoted, unreadable},
    folder_name,
};
use crate::{
    domain::folder::{Folder, SpecialUse},
    wire::{
        mailbox::{FOLDERS_MAX, MailboxCause, MailboxFailure},
        steps::StepName,
    },
};

/// What a folder is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read: the server changes nothing in it, not even what it holds to be recent (EXAMINE, RFC 3501 6.3.2).
    Read,
    /// To delete messages, too (SELECT, RFC 3501 6.3.1).
    Change,
}

/// What is in an open folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderState {
    /// Which numbering of UIDs this is. When it has changed since, UIDs of before mean nothing (RFC 3501 2.3.1.1).
    pub uid_validity: u32,
    /// The UID that the next message has at least.
    pub uid_next: u32,
    /// How many messages are in it.
    pub messages: u32,
}

impl ImapSession {
    /// The folders, at most [`FOLDERS_MAX`] (LIST, RFC 3501 6.3.8).
    ///
    /// # Errors
    /// When the server refuses, or the connection fails.
    pub async fn folders(&mut self) -> Result<Vec<Folder>, MailboxFailure> {
        let mut folders = Vec::new();
        let mut visit = |response: &Response<'_>| {
            if let Response::MailboxData(MailboxDatum::List(listed)) = response
                && folders.len() < FOLDERS_MAX
            {
                folders.push(folder(listed));
            }
        };
        self.command(&Order::on_folders("LIST \"\" \"*\""), &mut visit).await?;
        Ok(folders)
    }

    /// How many messages are in INBOX (STATUS, RFC 3501 6.3.10).
    ///
    /// # Errors
    /// When the server refuses, or the connection fails.
    pub async fn messages(&mut self) -> Result<u64, MailboxFailure> {
        let mut messages = 0;
        let mut visit = |response: &Response<'_>| {
            if let Response::MailboxData(MailboxDatum::Status { status, .. }) = response {
                let told = status.iter().find_map(|attribute| match attribute {
                    StatusAttribute::Messages(messages) => Some(*messages),
                    _ => None,
                });
                messages = told.map_or(messages, u64::from);
            }
        };
        self.command(&Order::on_folders("STATUS \"INBOX\" (MESSAGES)"), &mut visit).await?;
        Ok(messages)
    }

    /// Opens a folder by the name that the server has for it ([`Folder::name`]), and closes the one that was open.
    ///
    /// # Errors
    /// When the server refuses, has no UIDs, or the connection fails. Then no folder is open.
    pub async fn open_folder(&mut self, name: &str, access: Access) -> Result<FolderState, MailboxFailure> {
        let verb = match access {
            Access::Read => "EXAMINE",
            Access::Change => "SELECT",
        };
        let name = quoted(name).map_err(|cause| self.refuse(cause))?;
        (self.messages, self.uid_next) = (0, None);
        self.can_change = false;
        let (mut uid_validity, mut uid_next, mut can_change) = (None, None, access == Access::Change);
        let mut visit = |response: &Response<'_>| {
            let (Response::Data { status: Status::Ok, outcome } | Response::Done { outcome, .. }) = response else {
                return;
            };
            match outcome.code {
                Some(ResponseCode::ReadOnly) => can_change = false,
                Some(ResponseCode::UidValidity(told)) => uid_validity = Some(told),
                Some(ResponseCode::UidNext(told)) => uid_next = Some(told),
                _ => {}
            }
        };
        self.command(&Order::on_folders(format!("{verb} {name}")), &mut visit).await?;
        (self.has_news, self.was_listed, self.can_change) = (false, false, can_change);
        let Some(uid_validity) = uid_validity else {
            return Err(self.refuse(MailboxCause::NotOffered("UIDVALIDITY")));
        };
        let uid_next = match uid_next {
            Some(uid_next) => uid_next.max(1),
            None => self.learn_uid_next().await?,
        };
        self.uid_next = Some(uid_next);
        Ok(FolderState { uid_validity, uid_next, messages: self.messages })
    }

    /// The UID after that of the last message, for servers which do not tell.
    async fn learn_uid_next(&mut self) -> Result<u32, MailboxFailure> {
        if self.messages == 0 {
            return Ok(1);
        }
        let mut last = None;
        let mut visit = |response: &Response<'_>| {
            let Response::Fetch(_, items) = response else { return };
            let uids =
                items.iter().filter_map(|item| if let AttributeValue::Uid(uid) = item { Some(*uid) } else { None });
            last = last.max(uids.max());
        };
        self.command(&Order::on_folders("UID FETCH * (UID)"), &mut visit).await?;
        match last {
            Some(last) => Ok(last.saturating_add(1)),
            None => Err(self.refuse(unreadable(self.words.last()))),
        }
    }

    /// A failure about which nothing was said.
    pub(super) fn refuse(&mut self, cause: MailboxCause) -> MailboxFailure {
        self.talk.begin(StepName::Folders, "");
        self.talk.failure(cause)
    }
}

fn folder(listed: &MailboxListData<'_>) -> Folder {
    let name = folder_name::unescaped(&listed.name);
    let attributes = &listed.name_attributes;
    // RFC 5258 3: \NonExistent implies \Noselect.
    let is_closed = attributes.iter().any(|attribute| match attribute {
        NameAttribute::NoSelect => true,
        NameAttribute::Extension(word) => word.eq_ignore_ascii_case("\\NonExistent"),
        _ => false,
    });
    let uses = || attributes.iter().filter_map(special_use);
    let sent = uses().find(|special_use| *special_use == SpecialUse::Sent);
    Folder {
        decoded_name: folder_name::decoded(&name),
        name,
        delimiter: listed.delimiter.as_deref().and_then(|delimiter| folder_name::unescaped(delimiter).chars().next()),
        special_use: sent.or_else(|| uses().next()),
        is_selectable: !is_closed,
    }
}

const fn special_use(attribute: &NameAttribute<'_>) -> Option<SpecialUse> {
    match attribute {
        NameAttribute::All => Some(SpecialUse::All),
        NameAttribute::Archive => Some(SpecialUse::Archive),
        NameAttribute::Drafts => Some(SpecialUse::Drafts),
        NameAttribute::Flagged => Some(SpecialUse::Flagged),
        NameAttribute::Junk => Some(SpecialUse::Junk),
        NameAttribute::Sent => Some(SpecialUse::Sent),
        NameAttribute::Trash => Some(SpecialUse::Trash),
        _ => None,
    }
}
