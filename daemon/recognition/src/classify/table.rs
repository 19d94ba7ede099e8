//! How the table of rules is written, and what can be wrong with it.

use std::time::Duration;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;

use super::{hint::WAIT_MAX, mistake::RuleMistake, reason::Reason};
use crate::{
    provider::ProviderKind,
    reply::EnhancedCode,
    verdict::{Blame, ParkCause, Phase, Verdict},
};

/// Most rules of a table.
pub(super) const RULES_MAX: usize = 1_000;
/// Longest text pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 2_000;
/// Most memory that a compiled text pattern may take, in bytes.
const PATTERN_COMPILED_BYTES_MAX: usize = 1 << 20;

/// One checked rule. An empty list matches everything.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: Box<str>,
    providers: Vec<ProviderKind>,
    pub(super) phases: Vec<Phase>,
    codes: Vec<CodePattern>,
    enhanced: Vec<EnhancedPattern>,
    text: Option<Regex>,
    pub(super) verdict: Verdict,
    pub(super) blame: Option<Blame>,
    pub(super) wait: Option<Duration>,
    pub(super) window: Option<Window>,
    pub(super) reason: Option<Reason>,
}

/// The stretch of time over which a quota counts that a reply says to be used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the table")]
pub enum Window {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    /// It is no quota of time.
    None,
}

/// What a rule is held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) provider: ProviderKind,
    pub(super) phase: Phase,
    pub(super) code: u16,
    pub(super) enhanced: Option<EnhancedCode>,
    pub(super) words: &'a str,
}

impl Rule {
    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        (self.providers.is_empty() || self.providers.contains(&subject.provider))
            && self.decides(subject.phase, subject.code)
            && (self.enhanced.is_empty()
                || subject.enhanced.is_some_and(|code| self.enhanced.iter().any(|pattern| pattern.matches(code))))
            && self.text.as_ref().is_none_or(|text| text.is_match(subject.words))
    }

    /// Whether the rule holds for every reply with this code in this phase.
    pub(super) fn decides_alone(&self, phase: Phase, code: u16) -> bool {
        self.providers.is_empty() && self.enhanced.is_empty() && self.text.is_none() && self.decides(phase, code)
    }

    fn decides(&self, phase: Phase, code: u16) -> bool {
        (self.phases.is_empty() || self.phases.contains(&phase))
            && (self.codes.is_empty() || self.codes.iter().any(|pattern| pattern.matches(code)))
    }
}

/// A reply code such as `550`, or one with `x` for any digit such as `4xx`.
#[derive(Clone, Copy, Debug)]
struct CodePattern([Option<u8>; 3]);

impl CodePattern {
    fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 3] = text.as_bytes().try_into().ok()?;
        let valid = matches!(digits[0], b'2'..=b'5') && digits.iter().all(|d| d.is_ascii_digit() || *d == b'x');
        valid.then(|| Self(digits.map(|d| d.is_ascii_digit().then(|| d - b'0'))))
    }

    fn matches(self, code: u16) -> bool {
        let digits = [code / 100, code / 10 % 10, code % 10];
        self.0.iter().zip(digits).all(|(pattern, digit)| pattern.is_none_or(|p| u16::from(p) == digit))
    }
}

/// An enhanced code such as `5.7.1`, with `*` for any number in a place.
#[derive(Clone, Copy, Debug)]
struct EnhancedPattern([Option<u16>; 3]);

impl EnhancedPattern {
    fn parse(text: &str) -> Option<Self> {
        let mut places = text.split('.').map(|place| match place {
            "*" => Some(None),
            digits if (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().map(Some)
            }
            _ => None,
        });
        let pattern = [places.next()??, places.next()??, places.next()??];
        let class_exists = pattern[0].is_none_or(|class| matches!(class, 2 | 4 | 5));
        (class_exists && places.next().is_none()).then_some(Self(pattern))
    }

    fn matches(self, code: EnhancedCode) -> bool {
        let places = [u16::from(code.class), code.subject, code.detail];
        self.0.iter().zip(places).all(|(pattern, place)| pattern.is_none_or(|p| p == place))
    }
}

/// A rule as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: String,
    #[serde(default)]
    providers: Vec<String>,
    #[serde(default)]
    phases: Vec<String>,
    #[serde(default)]
    codes: Vec<String>,
    #[serde(default)]
    enhanced: Vec<String>,
    text: Option<String>,
    verdict: String,
    blame: Option<String>,
    wait_seconds: Option<u64>,
    window: Option<String>,
    reason: Option<String>,
    why: String,
}

/// Reads one entry of the table; adds everything that is wrong with it to `mistakes`.
pub(super) fn read_rule(number: usize, entry: toml::Value, mistakes: &mut Vec<RuleMistake>) -> Option<Rule> {
    let label = match entry.get("name").and_then(toml::Value::as_str) {
        Some(name) if !name.is_empty() => name.chars().take(80).collect(),
        _ => format!("#{number}"),
    };
    let raw: RawRule = match entry.try_into() {
        Ok(raw) => raw,
        Err(error) => {
            mistakes.push(RuleMistake { rule: label, field: "", reason: error.message().to_owned() });
            return None;
        }
    };
    let before = mistakes.len();
    let mut wrong = |field: &'static str, reason: String| {
        mistakes.push(RuleMistake { rule: label.clone(), field, reason });
    };
    let rule = check_rule(&raw, &mut wrong);
    if rule.is_some() && mistakes.len() == before { rule } else { None }
}

fn check_rule(raw: &RawRule, wrong: &mut impl FnMut(&'static str, String)) -> Option<Rule> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if raw.name.is_empty() || raw.name.len() > 64 || !raw.name.chars().all(is_name) {
        wrong("name", "must be 1 to 64 of the characters a-z 0-9 -".into());
    }
    if raw.why.trim().is_empty() {
        wrong("why", "must name the source of the rule".into());
    }
    let providers = each(&raw.providers, "providers", "provider kind", |text| text.parse().ok(), wrong);
    let phases = each(&raw.phases, "phases", "phase", phase, wrong);
    let codes = each(&raw.codes, "codes", "reply code", CodePattern::parse, wrong);
    let enhanced = each(&raw.enhanced, "enhanced", "enhanced code pattern", EnhancedPattern::parse, wrong);
    let text = raw.text.as_deref().and_then(|pattern| compile(pattern, wrong));
    let wait = raw.wait_seconds.map(Duration::from_secs);
    if wait.is_some_and(|wait| wait.is_zero() || wait > WAIT_MAX) {
        wrong("wait_seconds", format!("must be from 1 to {}", WAIT_MAX.as_secs()));
    }
    let Some(verdict) = verdict(&raw.verdict) else {
        wrong("verdict", format!("unknown verdict {:?}", raw.verdict));
        return None;
    };
    let blame = match (verdict, raw.blame.as_deref()) {
        (Verdict::Accepted, None) => None,
        (Verdict::Accepted, Some(_)) => {
            wrong("blame", "nobody is to blame for what was accepted".into());
            None
        }
        (_, word) => match word.and_then(self::blame) {
            Some(blame) => Some(blame),
            None => {
                wrong("blame", "must be recipient, message, account, provider or us".into());
                None
            }
        },
    };
    let window = raw.window.as_deref().and_then(|word| {
        window(word).or_else(|| {
            wrong("window", format!("unknown window {word:?}"));
            None
        })
    });
    let reason = raw.reason.as_deref().and_then(|word| {
        Reason::named(word).or_else(|| {
            wrong("reason", format!("unknown reason {word:?}"));
            None
        })
    });
    check_phases(verdict, &phases, wrong);
    let name = raw.name.as_str().into();
    Some(Rule { name, providers, phases, codes, enhanced, text, verdict, blame, wait, window, reason })
}

/// Before MAIL there is nothing to reject, and before the final dot nothing to doubt.
fn check_phases(verdict: Verdict, phases: &[Phase], wrong: &mut impl FnMut(&'static str, String)) {
    let all = if phases.is_empty() { &Phase::ALL[..] } else { phases };
    let allowed: fn(Phase) -> bool = match verdict {
        Verdict::RejectRecipient | Verdict::RejectMessage => |phase| !phase.is_before_mail(),
        Verdict::InDoubt => |phase| phase == Phase::EndOfData,
        _ => |_| true,
    };
    if let Some(phase) = all.iter().find(|phase| !allowed(**phase)) {
        wrong("phases", format!("this verdict makes no sense in phase {phase}"));
    }
}

fn each<T>(
    words: &[String],
    field: &'static str,
    what: &str,
    parse: impl Fn(&str) -> Option<T>,
    wrong: &mut impl FnMut(&'static str, String),
) -> Vec<T> {
    let mut parsed = Vec::with_capacity(words.len());
    for word in words {
        match parse(word) {
            Some(value) => parsed.push(value),
            None => wrong(field, format!("unknown {what} {word:?}")),
        }
    }
    parsed
}

fn compile(pattern: &str, wrong: &mut impl FnMut(&'static str, String)) -> Option<Regex> {
    if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
        wrong("text", format!("must have 1 to {PATTERN_BYTES_MAX} bytes"));
        return None;
    }
    match RegexBuilder::new(pattern).case_insensitive(true).size_limit(PATTERN_COMPILED_BYTES_MAX).build() {
        Ok(regex) => Some(regex),
        Err(error) => {
            wrong("text", error.to_string());
            None
        }
    }
}

fn phase(word: &str) -> Option<Phase> {
    Phase::ALL.into_iter().find(|phase| phase.as_str() == word)
}

fn verdict(word: &str) -> Option<Verdict> {
    Some(match word {
        "accepted" => Verdict::Accepted,
        "retry-later" => Verdict::RetryLater,
        "retry-slower" => Verdict::RetrySlower,
        "reject-recipient" => Verdict::RejectRecipient,
        "reject-message" => Verdict::RejectMessage,
        "park-quota" => Verdict::ParkAccount(ParkCause::Quota),
        "park-sign-in" => Verdict::ParkAccount(ParkCause::SignIn),
        "park-suspended" => Verdict::ParkAccount(ParkCause::Suspended),
        "retry-on-new-connection" => Verdict::RetryOnNewConnection,
        "in-doubt" => Verdict::InDoubt,
        _ => return None,
    })
}

fn window(word: &str) -> Option<Window> {
    Some(match word {
        "second" => Window::Second,
        "minute" => Window::Minute,
        "hour" => Window::Hour,
        "day" => Window::Day,
        "month" => Window::Month,
        "none" => Window::None,
        _ => return None,
    })
}

fn blame(word: &str) -> Option<Blame> {
    Some(match word {
        "recipient" => Blame::Recipient,
        "message" => Blame::Message,
        "account" => Blame::Account,
        "provider" => Blame::Provider,
        "us" => Blame::Us,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
