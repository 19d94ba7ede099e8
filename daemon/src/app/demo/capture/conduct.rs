//! What does a recipient's address ask the server to do?

/// What the server does about a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conduct {
    /// Takes it.
    Take,
    /// Refuses it for good at RCPT.
    Refuse,
    /// Refuses it for now at RCPT, so many times.
    Defer { tries: u32 },
    /// Refuses the message at the end of data.
    RefuseAtDot,
    /// Refuses the message at the end of data, because the account has sent enough today.
    OverQuota,
    /// Takes the message, and closes the connection instead of saying so.
    Vanish,
}

impl Conduct {
    /// The conduct that the local part of `recipient` asks for.
    pub(super) fn of(recipient: &str) -> Self {
        let recipient = recipient.to_ascii_lowercase();
        if recipient.starts_with("refused") {
            Self::Refuse
        } else if let Some(rest) = recipient.strip_prefix("deferred") {
            let digits = rest.strip_prefix('-').unwrap_or_default();
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            Self::Defer { tries: digits[..end].parse().unwrap_or(1) }
        } else if recipient.starts_with("dot-refused") {
            Self::RefuseAtDot
        } else if recipient.starts_with("over-quota") {
            Self::OverQuota
        } else if recipient.starts_with("drop") {
            Self::Vanish
        } else {
            Self::Take
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(recipient: &str, expected: Conduct) {
        assert_eq!(Conduct::of(recipient), expected, "{recipient}");
    }

    #[test]
    fn the_local_part_scripts_the_server() {
        check("taro@example.jp", Conduct::Take);
        check("Refused.taro@example.jp", Conduct::Refuse);
        check("deferred-2@example.jp", Conduct::Defer { tries: 2 });
        check("deferred-13.taro@example.jp", Conduct::Defer { tries: 13 });
        check("deferred@example.jp", Conduct::Defer { tries: 1 });
        check("dot-refused7@example.jp", Conduct::RefuseAtDot);
        check("over-quota@example.jp", Conduct::OverQuota);
        check("drop-1@example.jp", Conduct::Vanish);
        check("not-refused@example.jp", Conduct::Take);
    }
}
