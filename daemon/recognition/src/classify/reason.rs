//! Why mail was refused, in words that mean the same for live replies and for bounces.

/// Why a recipient or a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// There is no such mailbox.
    UserUnknown,
    /// There is no such domain or host.
    HostUnknown,
    /// The mailbox has moved or was given up.
    Moved,
    /// The domain or host says that it takes no mail (RFC 7504, RFC 7505).
    NotAccepting,
    /// The mailbox is full.
    MailboxFull,
    /// The mailbox exists and is disabled, suspended or inactive.
    Suspended,
    /// The recipient's own settings refuse this mail.
    Filtered,
    /// The address is a list or group, and the sender may not write to it.
    NotMember,
    /// The message is too large.
    TooBig,
    /// The content or its form is refused.
    Content,
    /// A virus or a dangerous attachment was found.
    Virus,
    /// The message looks like spam.
    Spam,
    /// The sending host or domain is listed or has a bad reputation.
    Blocked,
    /// The receiving site's policy refuses it.
    Policy,
    /// SPF, DKIM, DMARC or the reverse name of the sending host does not hold.
    Unauthenticated,
    /// The sender's address is refused, or is not the account's.
    SenderRefused,
    /// The server does not relay to this domain.
    RelayingDenied,
    /// Too much mail in a time, too many connections or recipients.
    RateLimited,
    /// The sending account's quota is used up.
    Quota,
    /// The sending account has to sign in, or is suspended.
    SignIn,
    /// The way to the server fails.
    Unreachable,
    /// The message was tried for too long.
    Expired,
    /// The message goes round in circles.
    Loop,
    /// The receiving system fails: its disk, its configuration, its programs.
    SystemError,
    /// The two sides do not understand each other.
    ProtocolError,
    /// A recipient complains of the mail (RFC 5965).
    Complaint,
    /// Nothing says it.
    Undetermined,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 27] = [
        Self::UserUnknown,
        Self::HostUnknown,
        Self::Moved,
        Self::NotAccepting,
        Self::MailboxFull,
        Self::Suspended,
        Self::Filtered,
        Self::NotMember,
        Self::TooBig,
        Self::Content,
        Self::Virus,
        Self::Spam,
        Self::Blocked,
        Self::Policy,
        Self::Unauthenticated,
        Self::SenderRefused,
        Self::RelayingDenied,
        Self::RateLimited,
        Self::Quota,
        Self::SignIn,
        Self::Unreachable,
        Self::Expired,
        Self::Loop,
        Self::SystemError,
        Self::ProtocolError,
        Self::Complaint,
        Self::Undetermined,
    ];

    /// The reason's name in rules, tables and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserUnknown => "user-unknown",
            Self::HostUnknown => "host-unknown",
            Self::Moved => "moved",
            Self::NotAccepting => "not-accepting",
            Self::MailboxFull => "mailbox-full",
            Self::Suspended => "suspended",
            Self::Filtered => "filtered",
            Self::NotMember => "not-member",
            Self::TooBig => "too-big",
            Self::Content => "content",
            Self::Virus => "virus",
            Self::Spam => "spam",
            Self::Blocked => "blocked",
            Self::Policy => "policy",
            Self::Unauthenticated => "unauthenticated",
            Self::SenderRefused => "sender-refused",
            Self::RelayingDenied => "relaying-denied",
            Self::RateLimited => "rate-limited",
            Self::Quota => "quota",
            Self::SignIn => "sign-in",
            Self::Unreachable => "unreachable",
            Self::Expired => "expired",
            Self::Loop => "loop",
            Self::SystemError => "system-error",
            Self::ProtocolError => "protocol-error",
            Self::Complaint => "complaint",
            Self::Undetermined => "undetermined",
        }
    }

    /// The reason of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// Whether the address is dead: no mail to it will ever arrive, whoever sends it and whatever it says.
    #[must_use]
    pub const fn is_dead_address(self) -> bool {
        matches!(self, Self::UserUnknown | Self::HostUnknown | Self::Moved | Self::NotAccepting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_survive_their_names() {
        for reason in Reason::ALL {
            assert_eq!(Reason::named(reason.as_str()), Some(reason));
        }
        assert_eq!(Reason::named("dead"), None);
    }

    #[test]
    fn only_four_reasons_mean_a_dead_address() {
        assert_eq!(Reason::ALL.into_iter().filter(|reason| reason.is_dead_address()).count(), 4);
    }
}
