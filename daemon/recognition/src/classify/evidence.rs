//! What words mean that somebody else passes on: a bounce's diagnostic, a line of a log, a reply without its context.

use std::sync::LazyLock;

use regex::Regex;

use super::{reason::Reason, rules::Rules};
use crate::{
    provider::ProviderKind,
    reply::{EnhancedCode, Reply, keep},
    verdict::{Phase, Ruling, Verdict},
};

/// What is known of a refusal that was passed on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// The status that the report gives beside the words (RFC 3463).
    pub status: Option<EnhancedCode>,
    /// The words, with a reply's codes or without; only the first [`crate::reply::REPLY_TEXT_BYTES_MAX`] bytes count.
    pub words: &'a str,
    /// More of the report, which may tell when the refusal came.
    pub context: &'a str,
    /// Where the words were found.
    pub origin: Origin,
}

/// Where words were found that somebody passes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// In a text that names neither the recipient nor the step for certain, such as a line of a log.
    #[default]
    Loose,
    /// In a report on this very recipient, for which the server that wrote it answers.
    Report,
}

/// What evidence comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What the rules say of the words as a reply to RCPT.
    pub ruling: Ruling,
    /// Why it was refused.
    pub reason: Reason,
    /// The status: the report's own, else the one in the words.
    pub status: Option<EnhancedCode>,
    /// Whether the refusal was said to be for now: a status or code of class 4.
    pub transient: bool,
}

impl Judgement {
    /// Whether the address is dead for good.
    #[must_use]
    pub const fn is_hard(&self) -> bool {
        self.reason.is_dead_address() && !self.transient
    }
}

/// A reply code with what makes it one: an enhanced code, a separator, or the end. Not part of an address, a date or a
/// longer number.
static REPLY_CODE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?:^|[\s\[:(;'#>=,])(4(?:0[0-9]|[245][0-9]|3[0-2]|71)|5(?:0[0-5]|[1-5][0-9]|7[01]))(?:[ -]+[45]\.[0-9]{1,3}\.[0-9]{1,3}|[ -]+[^0-9]|-[0-9]|[,;]?[ :]+|[)\]]*$)",
    )
        .expect("tested below")
});

/// An enhanced code anywhere in a text, not part of an IP address or version.
static ENHANCED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^0-9.A-Za-z-]|[0-9]{3}-)([45]\.[0-9]{1,2}\.[0-9]{1,3})(?:$|[^0-9.]|\.(?:$|[^0-9]))")
        .expect("tested below")
});

/// Words that say that the message itself had been sent when the refusal came.
static AFTER_DATA: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(after|to|in|reply to|response to) end of (data|message)|after (I sent the message|end of data|sending the (message|data))|STEP: *(DATA|EOD)|\[?(end_of_)?data\]? command\)?\s*$")
        .expect("tested below")
});

/// Words that say that it was the recipient that was refused, before any of the message was sent.
static AT_RCPT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\bRCPT(?:\b|_)|does not like recipient|recipient (?:address )?(?:was )?(?:rejected|refused)|(?:reject|refus)(?:ed|s)? (?:the |this |your )?(?:following )?(?:recipient|address)|unknown local user",
    )
    .expect("tested below")
});

/// The enhanced code that a text holds (RFC 3463), if any.
#[must_use]
pub fn enhanced_in(text: &str) -> Option<EnhancedCode> {
    ENHANCED.captures_iter(text).find_map(|found| found[1].parse().ok())
}

impl Rules {
    /// What words mean that were passed on. Nothing is known of the phase; a refusal that names a recipient is nearly
    /// always one of RCPT.
    #[must_use]
    pub fn judge(&self, evidence: &Evidence<'_>) -> Judgement {
        let full = without_marks(keep(evidence.words).split_whitespace().collect::<Vec<_>>().join(" "));
        let (code, said) = reply_in(&full);
        let inner = enhanced_in(said).or_else(|| enhanced_in(&full));
        let class = |status: EnhancedCode| status.class;
        let class =
            evidence.status.map(class).or_else(|| code.map(|c| if c < 500 { 4 } else { 5 })).or(inner.map(class));
        let specific = evidence.status.filter(|status| (status.subject, status.detail) != (0, 0));
        let enhanced = inner.or(specific);
        let transient = class == Some(4);
        let (mut ruling, mut reason) = self.at_rcpt(code.unwrap_or(550), enhanced, said);
        // A class 4 code hides what the words say, and a wrapper's words may say what the reply does not.
        for words in [said, full.as_str()] {
            if reason == Reason::Undetermined {
                let (other, other_reason) = self.at_rcpt(550, enhanced.map(permanent), words);
                if code.is_none_or(|code| code >= 500) {
                    ruling = other;
                }
                reason = other_reason;
            }
        }
        // A server that took the recipient and refuses "the user" after the message knows the user well.
        let names_a_mailbox = enhanced.is_some_and(|code| code.subject == 1);
        if reason == Reason::UserUnknown && !names_a_mailbox {
            let is_passed_on = evidence.origin == Origin::Loose && code == Some(550) && !begins_with(&full, said);
            if may_be_a_filter(&full, keep(evidence.context), is_passed_on) {
                reason = Reason::Filtered;
            }
        }
        Judgement { ruling, reason, status: evidence.status.or(inner), transient }
    }

    fn at_rcpt(&self, code: u16, enhanced: Option<EnhancedCode>, words: &str) -> (Ruling, Reason) {
        let enhanced = enhanced.map(|code| format!("{code} ")).unwrap_or_default();
        let words = words.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches([' ', '-']);
        let reply = Reply::from_lines(&format!("{code} {enhanced}{words}")).expect("begins with a code");
        let ruling = self.classify(ProviderKind::Generic, Phase::Rcpt, &reply);
        let reason = self.reason_of(&ruling.rule).unwrap_or(Reason::Undetermined);
        debug_assert!(ruling.verdict != Verdict::Accepted, "only codes of class 4 and 5 get here");
        (ruling, reason)
    }
}

/// Whether "no such user" may be the disguise of a filter. It is when it came after the message; and it is not certain to be
/// more when another system passes on a bare 550 without the step at which it came: only a server's answer to RCPT, or what
/// the reporting server says of its own users, speaks of the address alone. To lose one dead address costs less than to
/// suppress a sound one.
fn may_be_a_filter(full: &str, context: &str, is_passed_on: bool) -> bool {
    came_after_data(full)
        || came_after_data(context)
        || (is_passed_on && !AT_RCPT.is_match(full) && !AT_RCPT.is_match(context))
}

/// Words without the codes that each line of a reply begins with (RFC 5321 4.2.1), once the lines are joined.
fn without_marks(words: String) -> String {
    static MARK: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r" ([45][0-9]{2})(-)(?:([45]\.[0-9]{1,3}\.[0-9]{1,3}) )?| ([45][0-9]{2}) (?:[45]\.[0-9]{1,3}\.[0-9]{1,3} )",
        )
        .expect("tested below")
    });
    let (_, said) = reply_in(&words);
    let Some(code) = said.get(..3).filter(|_| said.get(3..4) == Some("-")) else { return words };
    let (code, begin) = (code.to_owned(), words.len() - said.len() + 4);
    let (head, tail) = words.split_at(begin);
    let strip = |found: &regex::Captures<'_>| {
        let is_same = found.get(1).or_else(|| found.get(4)).is_some_and(|own| own.as_str() == code);
        if is_same { " ".to_owned() } else { found[0].to_owned() }
    };
    format!("{head}{}", MARK.replace_all(tail, strip))
}

/// Whether nothing stands before a reply but what quotes it, or its type (`smtp;`, RFC 3464 2.3.6).
fn begins_with(full: &str, said: &str) -> bool {
    let before = full[..full.len() - said.len()].trim();
    let is_type =
        before.strip_suffix(';').is_some_and(|kind| kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    is_type || before.chars().all(|c| matches!(c, '<' | '(' | '[' | '"' | '\''))
}

/// Whether words tell that the server had taken the recipient before it refused.
fn came_after_data(words: &str) -> bool {
    // Sendmail and Courier show the last command they sent. Where they pipelined, the reply may still be that to RCPT;
    // Sendmail says so below it.
    static AT_DATA: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)>>> DATA\s+<<< 5\d\d").expect("tested below"));
    AFTER_DATA.is_match(words) || (AT_DATA.is_match(words) && !words.to_lowercase().contains("... user unknown"))
}

const fn permanent(code: EnhancedCode) -> EnhancedCode {
    EnhancedCode { class: 5, ..code }
}

/// The reply that is quoted in a text: the first one of class 5, else of class 4, with all that follows it.
fn reply_in(text: &str) -> (Option<u16>, &str) {
    let codes = || REPLY_CODE.captures_iter(text).filter_map(|found| found.get(1));
    let permanent = codes().find(|code| code.as_str().starts_with('5'));
    match permanent.or_else(|| codes().next()) {
        Some(code) => (code.as_str().parse().ok(), &text[code.start()..]),
        None => (None, text),
    }
}

#[cfg(test)]
mod tests;
