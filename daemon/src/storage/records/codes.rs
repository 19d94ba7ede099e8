//! Which number stands for which word in a row. Numbers are never reused.

use super::BadRow;
use crate::domain::{
    account::{
        Encryption, InDoubtPolicy, MailboxProtocol, NotifyPolicy, OauthMechanism, PasswordMechanism, ProxyKind,
        TlsVersion,
    },
    attempt::Fate,
    charset::Charset,
    inbound::{Action, Correlation, Effect, InboundField, Kind, Nature},
    job::{Control, JobState, Priority, Wish},
    limits::{CalendarSpan, OverQuota, QuotaUnit},
    mail::AutoSubmitted,
    parking::ParkingCause,
    quiet::QuietRule,
    recipient::RecipientField,
    report::ReportKind,
    suppression::{SuppressionReason, SuppressionSource},
    verdict::{Blame, ParkCause, Phase, Verdict},
};

/// A word that a row keeps as a number.
pub(super) trait Code: Copy + 'static {
    /// What kind of word it is.
    const WHAT: &'static str;
    /// All words with their numbers.
    const TABLE: &'static [(u32, Self)];

    /// The number that stands for it.
    fn code(self) -> u32;

    /// The word that a number stands for.
    fn from_code(code: u32) -> Result<Self, BadRow> {
        let found = Self::TABLE.iter().find(|(number, _)| *number == code);
        found.map(|(_, word)| *word).ok_or_else(|| BadRow::new(Self::WHAT, format_args!("unknown code {code}")))
    }
}

macro_rules! codes {
    ($word:ident, $what:literal: $($code:literal $variant:ident),+) => {
        impl Code for $word {
            const WHAT: &'static str = $what;
            const TABLE: &'static [(u32, Self)] = &[$(($code, $word::$variant)),+];

            fn code(self) -> u32 {
                match self {
                    $($word::$variant => $code),+
                }
            }
        }
    };
}

codes!(Priority, "priority": 0 Normal, 1 High, 2 Low, 3 Bulk);
codes!(Wish, "wish": 1 Cancel, 2 Hold, 3 Expire);
codes!(Control, "control": 1 Cancel, 2 Hold, 3 Release, 4 Retry, 5 Expire);
codes!(JobState, "job state": 1 Held, 2 Scheduled, 3 Queued, 4 Sending, 5 Deferred, 6 InDoubt, 7 Submitted,
    8 PartlySubmitted, 9 Failed, 10 Expired, 11 Cancelled, 12 Bounced, 13 Suppressed);
codes!(RecipientField, "recipient field": 0 To, 1 Cc, 2 Bcc);
codes!(Fate, "fate": 1 Submitted, 2 Deferred, 3 Failed, 4 GivenUp, 5 LeftInDoubt);
codes!(Phase, "phase": 1 Resolve, 2 Connect, 3 Greeting, 4 Hello, 5 Tls, 6 SignIn, 7 Mail, 8 Rcpt, 9 Data,
    10 EndOfData);
codes!(Blame, "blame": 1 Recipient, 2 Message, 3 Account, 4 Provider, 5 Us);
codes!(QuotaUnit, "quota unit": 1 Messages, 2 Recipients, 3 Bytes);
codes!(CalendarSpan, "calendar span": 1 Minute, 2 Hour, 3 Day, 4 Month);
codes!(ParkingCause, "parking cause": 1 Paused, 2 NeedsReauth, 3 QuotaExhausted, 4 Throttled, 5 SuspendedByProvider,
    6 Unreachable);
codes!(Encryption, "encryption": 1 None, 2 StartTls, 3 Tls);
codes!(PasswordMechanism, "password mechanism": 0 Auto, 1 Plain, 2 Login, 3 CramMd5);
codes!(InDoubtPolicy, "in-doubt policy": 0 Resend, 1 Hold, 2 Reconcile);
codes!(ReportKind, "report kind": 1 Hard, 2 Soft, 3 Complaint, 4 Delayed);
codes!(Kind, "kind of finding": 1 Hard, 2 Soft, 3 Complaint, 4 AutoReply, 5 None);
codes!(Nature, "nature of mail": 0 Ordinary, 1 Bounce, 2 SuccessReport, 3 Complaint, 4 FeedbackReport, 5 AutoReply, 6 Receipt);
codes!(Action, "action": 1 Failed, 2 Delayed, 3 Delivered, 4 Relayed, 5 Expanded);
codes!(Correlation, "correlation": 1 Verp, 2 Header, 3 MessageId, 4 ProviderId, 5 Recipient);
codes!(Effect, "effect": 0 None, 1 Bounced, 2 Complained, 3 Noted, 4 Repeated);
codes!(InboundField, "inbound field": 1 To, 2 Cc, 3 From);
codes!(SuppressionReason, "suppression reason": 1 HardBounce, 2 SoftBounces, 3 Complaint, 4 Unsubscribed, 5 Manual);
codes!(SuppressionSource, "suppression source": 1 Bounce, 2 Reply, 3 Feedback, 4 Call, 5 Import);
codes!(TlsVersion, "TLS version": 0 V1_2, 1 V1_3);
codes!(ProxyKind, "proxy kind": 1 Socks5, 2 HttpConnect);
codes!(OauthMechanism, "OAuth mechanism": 0 Auto, 1 Xoauth2, 2 Oauthbearer);
codes!(Charset, "charset": 0 Utf8, 1 Iso2022Jp, 2 Iso2022JpReplace, 3 Iso2022JpReject);
codes!(AutoSubmitted, "auto-submitted": 1 Generated, 2 Replied);
codes!(NotifyPolicy, "notify policy": 0 Never, 1 Always, 2 Failures);
codes!(MailboxProtocol, "mailbox protocol": 1 Pop3, 2 Imap);
codes!(QuietRule, "quiet rule": 1 Warn, 2 Defer, 3 Reject);
codes!(OverQuota, "over-quota policy": 0 Queue, 1 Reject);

impl Code for Verdict {
    const WHAT: &'static str = "verdict";
    const TABLE: &'static [(u32, Self)] = &[
        (1, Self::Accepted),
        (2, Self::RetryLater),
        (3, Self::RetrySlower),
        (4, Self::RejectRecipient),
        (5, Self::RejectMessage),
        (6, Self::RetryOnNewConnection),
        (7, Self::InDoubt),
        (20, Self::ParkAccount(ParkCause::Quota)),
        (21, Self::ParkAccount(ParkCause::SignIn)),
        (22, Self::ParkAccount(ParkCause::Suspended)),
    ];

    fn code(self) -> u32 {
        match self {
            Self::Accepted => 1,
            Self::RetryLater => 2,
            Self::RetrySlower => 3,
            Self::RejectRecipient => 4,
            Self::RejectMessage => 5,
            Self::RetryOnNewConnection => 6,
            Self::InDoubt => 7,
            Self::ParkAccount(ParkCause::Quota) => 20,
            Self::ParkAccount(ParkCause::SignIn) => 21,
            Self::ParkAccount(ParkCause::Suspended) => 22,
        }
    }
}

/// A word that may be missing, where no word has the number 0.
pub(super) fn optional<T: Code>(code: u32) -> Result<Option<T>, BadRow> {
    if code == 0 { Ok(None) } else { T::from_code(code).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: Code + PartialEq + std::fmt::Debug>() {
        for (code, word) in T::TABLE {
            assert_eq!(word.code(), *code);
            assert_eq!(T::from_code(*code), Ok(*word));
        }
        assert!(T::from_code(9_999).unwrap_err().0.starts_with(T::WHAT));
    }

    #[test]
    fn every_word_survives_its_code() {
        check::<Priority>();
        check::<Wish>();
        check::<Control>();
        check::<JobState>();
        check::<RecipientField>();
        check::<ReportKind>();
        check::<SuppressionReason>();
        check::<SuppressionSource>();
        check::<Kind>();
        check::<Nature>();
        check::<Action>();
        check::<Correlation>();
        check::<Effect>();
        check::<InboundField>();
        check::<Fate>();
        check::<Phase>();
        check::<Blame>();
        check::<QuotaUnit>();
        check::<CalendarSpan>();
        check::<ParkingCause>();
        check::<Charset>();
        check::<AutoSubmitted>();
        check::<Encryption>();
        check::<PasswordMechanism>();
        check::<InDoubtPolicy>();
        check::<TlsVersion>();
        check::<ProxyKind>();
        check::<OauthMechanism>();
        check::<Charset>();
        check::<AutoSubmitted>();
        check::<NotifyPolicy>();
        check::<MailboxProtocol>();
        check::<QuietRule>();
        check::<OverQuota>();
        check::<Verdict>();
    }
}
