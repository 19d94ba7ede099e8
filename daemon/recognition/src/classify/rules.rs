//! What a provider's reply means: the first rule that matches says it.

use std::{borrow::Cow, collections::HashSet, sync::LazyLock};

use regex::Regex;

pub use super::table::Window;
use super::{
    hint,
    mistake::RuleMistake,
    reason::Reason,
    table::{self, RULES_MAX, Rule, Subject},
};
use crate::{
    provider::ProviderKind,
    reply::{EnhancedCode, Reply},
    verdict::{Phase, Ruling, Verdict},
};

/// The rules that are compiled in.
const BUILT_IN: &str = include_str!("rules.toml");

/// An ordered table of rules that has a ruling for every reply in every phase.
#[derive(Clone, Debug)]
pub struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// The rules that come with Hikyaku.
    ///
    /// # Panics
    /// Never: a test proves that they have no mistake.
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("the built-in rules have no mistake: proven by a test")
    }

    /// Reads a table in TOML: `[[rule]]` entries in order. `rules.toml` beside this file explains the fields.
    ///
    /// # Errors
    /// Everything that is wrong with the table, in its order: syntax, unknown words, patterns that do not compile,
    /// names used twice, and replies that no rule decides.
    pub fn parse(text: &str) -> Result<Self, Vec<RuleMistake>> {
        let of_table = |reason: String| RuleMistake { rule: "(table)".into(), field: "", reason };
        let mut document: toml::Table =
            text.parse().map_err(|error: toml::de::Error| vec![of_table(error.to_string())])?;
        let Some(toml::Value::Array(entries)) = document.remove("rule") else {
            return Err(vec![of_table("has no [[rule]]".into())]);
        };
        let mut mistakes: Vec<_> = document.keys().map(|key| of_table(format!("unknown key {key:?}"))).collect();
        if entries.len() > RULES_MAX {
            mistakes.push(of_table(format!("has more than {RULES_MAX} rules")));
            return Err(mistakes);
        }
        let count = entries.len();
        let numbered = entries.into_iter().enumerate();
        let rules: Vec<Rule> =
            numbered.filter_map(|(index, entry)| table::read_rule(index + 1, entry, &mut mistakes)).collect();
        check_names(&rules, &mut mistakes);
        if rules.len() == count {
            check_completeness(&rules, &mut mistakes);
        }
        if mistakes.is_empty() { Ok(Self { rules }) } else { Err(mistakes) }
    }

    /// The window of the quota that is used up when the rule of this name decides, if the rule knows it.
    #[must_use]
    pub fn window_of(&self, rule: &str) -> Option<Window> {
        self.rules.iter().find(|own| *own.name == *rule)?.window
    }

    /// Why mail is refused when the rule of this name decides, if the rule knows it.
    #[must_use]
    pub fn reason_of(&self, rule: &str) -> Option<Reason> {
        self.rules.iter().find(|own| *own.name == *rule)?.reason
    }

    /// What `reply` means that came in `phase` from a provider of this kind. The server's own words decide how long
    /// to wait where they say it, else the rule's, if it has any.
    #[must_use]
    pub fn classify(&self, provider: ProviderKind, phase: Phase, reply: &Reply) -> Ruling {
        let words = words(reply.text());
        let enhanced = reply.enhanced().or_else(|| inner_enhanced(reply));
        let subject = Subject { provider, phase, code: reply.code(), enhanced, words: &words };
        let rule = self.rules.iter().find(|rule| rule.matches(&subject));
        let rule = rule.expect("every reply has a rule: checked in parse()");
        let can_wait = !matches!(
            rule.verdict,
            Verdict::Accepted | Verdict::RejectRecipient | Verdict::RejectMessage | Verdict::InDoubt
        );
        let wait = can_wait.then(|| hint::asked_wait(&words).or(rule.wait)).flatten();
        Ruling { verdict: rule.verdict, blame: rule.blame, wait, rule: rule.name.clone() }
    }
}

/// A reply's words on one line, without the code and the enhanced code that each line repeats, so that a pattern
/// can match across the end of a line. Each address becomes `x@x`.
fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for line in text.lines() {
        let line = line.get(..3).filter(|code| code.bytes().all(|b| b.is_ascii_digit())).map_or(line, |_| &line[3..]);
        let line = line.trim_start_matches(['-', ' ']);
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        let line = if first.parse::<EnhancedCode>().is_ok() { rest } else { line };
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(line.trim());
    }
    match ADDRESS.replace_all(&words, "x@x") {
        Cow::Borrowed(_) => words,
        Cow::Owned(words) => words,
    }
}

/// Addresses in a reply. What their parts spell (`unknown@`, `@spam.example`) is nobody's judgement.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"[^\s<>()\[\]"',;:=]+@[^\s<>()\[\]"',;:]*[^\s<>()\[\]"',;:.!?]"#).expect("tested below")
});

/// The enhanced code further inside a text, as qmail writes it, `(#5.1.1)`, or as it stands in a reply that is quoted.
fn inner_enhanced(reply: &Reply) -> Option<EnhancedCode> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:#|\b[45][0-9]{2}[ -])([45]\.[0-9]{1,3}\.[0-9]{1,3})\b").expect("tested below")
    });
    let mut codes = PATTERN.captures_iter(reply.text()).filter_map(|found| found[1].parse::<EnhancedCode>().ok());
    codes.find(|code| u16::from(code.class) == reply.code() / 100)
}

fn check_names(rules: &[Rule], mistakes: &mut Vec<RuleMistake>) {
    let mut names = HashSet::new();
    for rule in rules {
        if !names.insert(&rule.name) {
            mistakes.push(RuleMistake { rule: rule.name.to_string(), field: "name", reason: "is used twice".into() });
        }
    }
}

/// Whatever a server says must have a ruling, so each phase and code needs a rule without further conditions.
fn check_completeness(rules: &[Rule], mistakes: &mut Vec<RuleMistake>) {
    for phase in Phase::ALL {
        let open = (200..600).find(|code| !rules.iter().any(|rule| rule.decides_alone(phase, *code)));
        if let Some(code) = open {
            let reason = format!("no rule without further conditions decides {code} in phase {phase}");
            mistakes.push(RuleMistake { rule: "(table)".into(), field: "", reason });
        }
    }
}

#[cfg(test)]
mod tests;
