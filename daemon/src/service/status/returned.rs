//! What is said of calls about mail that came back, mailboxes and suppressions that are not done.

use std::time::Duration;

use tonic::Code;

use super::telling::{SOON, Telling};
use crate::{
    domain::{ids::AccountId, inbound::InboundId, suppression::SuppressionKey},
    service::mailboxes::NotRead,
};

/// Why such a call is not done.
#[derive(Debug, thiserror::Error)]
pub(in crate::service) enum Returned {
    /// There is no such mail.
    #[error("there is no inbound mail {0}")]
    NoMail(InboundId),
    /// The mail has no such file, or the file is no longer there.
    #[error("the mail has no such file, or it is no longer in the account's attachments folder")]
    NoFile,
    /// There is no such suppression.
    #[error("{} is not suppressed {}", .0.mailbox.as_str(), .0.scope)]
    NoSuppression(SuppressionKey),
    /// The account has no mailbox.
    #[error("account {0} has no mailbox: give it one in its settings")]
    NoMailbox(AccountId),
    /// The mailbox was not read.
    #[error("{0}")]
    NotRead(#[from] NotRead),
    /// It takes long to read the mailbox.
    #[error("the mailbox is still being read: ask for its status later")]
    StillReading,
    /// A stream of suppressions does not go on.
    #[error("nothing has come for {} s: what was answered is stored", .0.as_secs())]
    Silent(Duration),
    /// The caller of a stream does not read it.
    #[error("nothing of the answer was read for {} s: what had been made of it is above", .0.as_secs())]
    Unread(Duration),
}

impl Returned {
    pub(super) fn telling(&self) -> Telling {
        match self {
            Self::NoMail(_) => Telling::new(Code::NotFound, "INBOUND_NOT_FOUND"),
            Self::NoFile => Telling::new(Code::NotFound, "ATTACHMENT_NOT_FOUND"),
            Self::NoSuppression(_) => Telling::new(Code::NotFound, "SUPPRESSION_NOT_FOUND"),
            Self::NoMailbox(_) => Telling::new(Code::FailedPrecondition, "NO_MAILBOX"),
            Self::NotRead(NotRead::Failed(_)) => Telling::new(Code::Unavailable, "MAILBOX_UNREADABLE").retry(SOON),
            Self::NotRead(NotRead::Busy) => Telling::new(Code::ResourceExhausted, "TOO_MANY_CALLS").retry(SOON),
            Self::NotRead(NotRead::Unattended) => Telling::new(Code::Unavailable, "MAILBOX_UNATTENDED").retry(SOON),
            Self::StillReading => Telling::new(Code::Unavailable, "MAILBOX_BEING_READ").retry(SOON),
            Self::Silent(_) => Telling::new(Code::DeadlineExceeded, "STREAM_SILENT"),
            Self::Unread(_) => Telling::new(Code::DeadlineExceeded, "STREAM_UNREAD"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;
    use crate::{domain::time::Timestamp, service::status::Refusal};

    #[track_caller]
    fn check(returned: Returned, code: Code, message: &str) {
        let status = Status::from(Refusal::from(returned));
        assert_eq!((status.code(), status.message()), (code, message));
    }

    #[test]
    fn each_says_what_is_missing() {
        let account: AccountId = "sales".parse().expect("an id");
        let key = SuppressionKey::new(
            crate::domain::suppression::SuppressionScope::Account(account.clone()),
            &"Taro@example.jp".parse().expect("an address"),
        );
        let mail = InboundId::new(Timestamp::from_millis(5), [0; 10]);
        check(Returned::NoMail(mail), Code::NotFound, &format!("there is no inbound mail {mail}"));
        let text = "taro@example.jp is not suppressed for account sales";
        check(Returned::NoSuppression(key), Code::NotFound, text);
        let text = "account sales has no mailbox: give it one in its settings";
        check(Returned::NoMailbox(account), Code::FailedPrecondition, text);
        let failed = NotRead::Failed("-ERR no".into());
        check(failed.into(), Code::Unavailable, "the mailbox cannot be read: -ERR no");
    }
}
