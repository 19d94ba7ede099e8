//! Bounces that are written for people: who failed, and in what words.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    address::{ADDRESS, addresses_in, clean, is_address, same},
    dsn::RECIPIENTS_MAX,
    finding::Action,
    format::{FORMATS, Format, Said},
    mail::Mail,
    returned::{copy_of, returned},
    signs::Signs,
};

/// How much of a text is read, in bytes; what a server says stands at its beginning.
const TEXT_BYTES_MAX: usize = 48 * 1_024;
/// Most bytes of the words that are kept of one recipient, before they are cut as a reply is.
const SAID_BYTES_MAX: usize = 4_096;

/// Most addresses that are read beside the first one of a line.
const BESIDE_MAX: usize = 20;

/// Most addresses of a text that are looked at when one of them must be the recipient.
const ONLY_MAX: usize = 50;

/// One recipient as a text has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// The address that we sent to.
    pub(super) recipient: String,
    /// What it became, when that is another address.
    pub(super) final_recipient: Option<String>,
    /// The words of the server that refused.
    pub(super) said: String,
    pub(super) action: Action,
    /// The format's name.
    pub(super) format: &'static str,
}

/// Where the returned copy begins in a text: the words of many systems, and the first line of its header.
static COPY: LazyLock<Regex> = LazyLock::new(|| {
    multi_line(
        r"^(?:[ \t]*[-=_*#>]{2,}[ \t]*)?(?:(?:below this line|enclosed|included|this|attached|following|here|below) is (?:a copy|the (?:original|first|returned|header)|your)[^\n]{0,60}(?:message|mail|header)|(?:the )?(?:original|unsent|returned|undelivered|bounced|rejected) (?:e-?mail|message|mail)(?: (?:text|headers?|body|info(?:rmation)?))?[ \t]*(?:follows|below|is attached|reads|:|-|={2,}|$)|original mail info|message (?:headers?|text|body|contents?) follows?|message headers?:|your (?:original )?message (?:reads|follows|is (?:attached|enclosed))|start of (?:the )?returned|header of the original|(?:ursprüngliche|original-) ?nachricht|message d.origine|mensaje original|mensagem original|messaggio originale|oorspronkelijk bericht|исходное сообщение|元のメール|原文|メッセージの?(?:内容|ヘッダ)|(?:content|copy) of (?:the |your )?(?:original )?message)|^(?:Received|Return-Path): ?\S|^From \S+  ?\w{3} \w{3} [ \d]\d ",
    )
});

/// Words without which a text says nothing of a delivery, in the languages that mail systems speak.
static FAILURE: LazyLock<Regex> = LazyLock::new(|| {
    multi_line(
        r"(?:not|n.t|never) (?:yet )?(?:be(?:en)? )?(?:deliver|sent|reach|accept|receiv|relay|forward|transmit)|unable to (?:deliver|send|relay)|undeliver|deliver(?:y|ing)[^\n]{0,60}(?:fail|error|problem|abort|impossible|delay|reject)|fail(?:ed|ure)|returned|reject|refus|could ?n.t (?:deliver|be)|could not (?:deliver|be)|unknown|no such|invalid|not (?:found|known|exist|listed|accept)|bounce|blocked|exceed|over ?quota|mailbox|fatal error|permanent error|non-?deliver|\b[45]\d\d[ -][45]\.\d|unzustellbar|konnte nicht|nicht (?:zugestellt|gefunden)|n.a pas (?:pu|été)|échec|no (?:se )?(?:pudo|puede|ha podido|existe|entregad)|não (?:foi|pôde|existe)|non (?:è stato|può|esiste|consegn)|inexist|descono?c|sconosciut|inconnu|unbekannt|onbekend|no recibi|impossibile|niet (?:worden|bezorgd|afgeleverd)|не (?:может|доставл|удалось|существ)|できません|エラー|失敗|ありません|存在|不明|無法|无法|失败|退信|退回",
    )
});

/// Words that say that delivery is still tried.
static STILL_TRIED: LazyLock<Regex> = LazyLock::new(|| {
    multi_line(
        r"this is (?:just |only )?a warning|warning (?:message )?only|(?:not|n.t) (?:need|have) to (?:resend|re-?send|do anything|take any action)|will (?:be (?:re)?tried|keep trying|continue (?:trying|to|for|until)|try again|retry|be retried)|still being (?:re)?tried|has not yet been delivered|not yet (?:been )?delivered|delivery attempts will continue|has been delayed|is delayed|was delayed|transient non-fatal|delivery (?:has been |is )?(?:temporarily )?(?:delayed|suspended)|erneut versuch|weiterhin versuch|nouvelles? tentatives?|seguirá intentando|再送を試み|引き続き|попытки (?:доставки )?(?:будут|продолж)",
    )
});

/// Words that say that all went well, unless [`NEGATION`] stands somewhere.
static SUCCESS: LazyLock<Regex> = LazyLock::new(|| {
    multi_line(
        r"success(?:fully)?\W+(?:been\W+)?(?:deliver|relay|sent)|(?:was|been|were) (?:successfully )?(?:delivered|relayed|displayed|read|expanded)\b|delivery .{0,80}(?:is complete|was successful|succeeded)|配信(?:されました|しました|に成功)|zugestellt worden|a été remis",
    )
});

static NEGATION: LazyLock<Regex> = LazyLock::new(|| {
    multi_line(r"\bnot\b|n.t\b|fail|error|unable|unknown|undeliver|refus|reject|warning|ません|失敗|nicht|\bpas\b")
});

/// A recipient's words that say that the message was taken.
static TAKEN: LazyLock<Regex> = LazyLock::new(|| {
    multi_line(
        r"\b2[0-9]{2}[ -]2\.[0-9]\.[0-9]|^(?:delivery via|delivered to|relayed to)\b|^\(?(?:relayed|delivered|successful)",
    )
});

static REFUSED: LazyLock<Regex> = LazyLock::new(|| {
    multi_line(r"\b[45][0-9]{2}\b|\b[45]\.[0-9]\.[0-9]|\bnot\b|n.t\b|fail|error|unable|unknown|refus|reject")
});

/// Words that say that it is over.
static GIVEN_UP: LazyLock<Regex> = LazyLock::new(|| {
    multi_line(
        r"permanent(?:ly)?|given? up|gave up|will not (?:be )?(?:re)?tr(?:y|ied)|not (?:continue|keep) trying|has been (?:removed|deleted|returned|cancelled)|fatal delivery errors|no further attempts|failed permanently|undeliverable mail",
    )
});

/// The text of a report and the copy behind it.
pub(super) fn split(text: &str) -> (&str, &str) {
    let text = cut(text, TEXT_BYTES_MAX);
    let at = COPY.find_iter(text).map(|found| found.start()).find(|at| !text[..*at].trim().is_empty());
    text.split_at(at.unwrap_or(text.len()))
}

/// Every recipient that the mail's text says not to have been reached.
pub(super) fn read(mail: &Mail, signs: &Signs, report: &str, copy: &str) -> Vec<Heard> {
    if signs.success_subject && !signs.failure_subject && !signs.failed_header {
        return Vec::new();
    }
    if SUCCESS.is_match(report) && !NEGATION.is_match(report) && !signs.failed_header {
        return Vec::new();
    }
    let action = action_of(signs, report);
    let subject = mail.headers.decoded("subject").unwrap_or_default();
    let from = mail.headers.decoded("from").unwrap_or_default();
    let may_be_bounce = signs.may_be_bounce();
    let is_likely_bounce = signs.is_likely_bounce();
    let own: Vec<&str> = ["from", "to", "delivered-to", "reply-to", "sender", "return-path"]
        .iter()
        .flat_map(|name| mail.headers.all(name))
        .flat_map(addresses_in)
        .collect();
    let speaks_of_failure = signs.failure_subject || FAILURE.is_match(report);
    let mut heard = Vec::new();
    for format in FORMATS.iter() {
        let has_marks = format.body.as_ref().is_none_or(|mark| mark.is_match(report))
            && format.subject.as_ref().is_none_or(|mark| mark.is_match(&subject))
            && format.from.as_ref().is_none_or(|mark| mark.is_match(&from));
        let is_likely =
            format.alone || if format.loose { is_likely_bounce && speaks_of_failure } else { may_be_bounce };
        if has_marks && is_likely {
            let text = if format.loose { without_signature(report) } else { report };
            read_format(format, text, action, &own, &mut heard);
            complete(format, mail, &mut heard);
        }
        if !heard.is_empty() {
            break;
        }
    }
    expand(report, &mut heard);
    if may_be_bounce && !heard.iter().any(|one| one.format == "fml") {
        with_failed_header(mail, report, action, &mut heard);
        if heard.is_empty() && speaks_of_failure {
            from_copy(mail, signs, report, copy, action, &mut heard);
        }
        if heard.is_empty() && speaks_of_failure && signs.from_system && signs.failure_subject && !signs.vague_subject {
            from_only_address(mail, without_signature(report), action, &mut heard);
        }
    }
    heard
}

fn action_of(signs: &Signs, report: &str) -> Action {
    let is_delay = (signs.delay_subject && !signs.failure_subject)
        || (STILL_TRIED.is_match(report) && (signs.delay_subject || !GIVEN_UP.is_match(report)));
    if is_delay { Action::Delayed } else { Action::Failed }
}

/// Gives the domain of the mail's own sender to recipients that a format names without one.
fn complete(format: &Format, mail: &Mail, heard: &mut Vec<Heard>) {
    let domain = mail.headers.address("from").and_then(|from| from.rsplit_once('@')).map(|(_, domain)| domain);
    if let (true, Some(domain)) = (format.completes, domain) {
        for one in heard.iter_mut().filter(|one| !one.recipient.contains('@')) {
            one.recipient = format!("{}@{domain}", one.recipient);
        }
    }
    heard.retain(|one| is_address(&one.recipient));
}

fn read_format(format: &'static Format, report: &str, action: Action, own: &[&str], heard: &mut Vec<Heard>) {
    let mut found: Vec<_> = format.recipients.iter().flat_map(|pattern| pattern.captures_iter(report)).collect();
    found.sort_by_key(|found| found.get(0).map_or(0, |all| all.start()));
    let starts: Vec<(usize, &str)> =
        found.iter().filter_map(|one| Some((one.get(0)?.start(), clean(one.name("to")?.as_str())))).collect();
    let mut taken = None;
    for one in &found {
        let (Some(all), Some(to)) = (one.get(0), one.name("to")) else { continue };
        let to_address = clean(to.as_str());
        let address = one.name("orig").map_or(to_address, |orig| clean(orig.as_str()));
        let is_own = format.loose && own.iter().any(|own| same(own, address));
        let is_known = heard.iter().any(|known| same(&known.recipient, address));
        // Of two patterns that match in one place, the first one counts.
        let is_taken = taken == Some(all.start());
        let is_named = is_address(address) || (format.completes && !address.is_empty());
        if is_taken || !is_named || is_own || is_known || heard.len() >= RECIPIENTS_MAX {
            continue;
        }
        if format.loose && is_contact(report, all.start(), address) {
            continue;
        }
        // Servers repeat the address in their words; only another one ends them.
        let next = starts.iter().find(|(start, other)| *start > all.start() && !same(other, to_address));
        let next = next.map_or(report.len(), |(start, _)| *start);
        let behind = &report[all.end().min(next)..next];
        let said = match (one.name("said"), format.said) {
            (Some(said), _) => said.as_str(),
            (None, Said::Block) => block(behind),
            (None, Said::Rest) => behind,
            (None, Said::Whole) => report,
        };
        taken = Some(all.start());
        if TAKEN.is_match(said) && !REFUSED.is_match(said) {
            continue;
        }
        let one = Heard {
            recipient: address.to_owned(),
            final_recipient: (!same(to_address, address) && is_address(to_address)).then(|| to_address.to_owned()),
            said: tidy(said),
            action: format.action.unwrap_or(action),
            format: &format.name,
        };
        let beside = if format.loose { beside(&report[to.end()..]) } else { Vec::new() };
        let others = beside.into_iter().map(|other| Heard { recipient: other.to_owned(), ..one.clone() });
        let is_other = |other: &Heard| !own.iter().any(|own| same(own, &other.recipient));
        for one in [one.clone()].into_iter().chain(others.filter(is_other)) {
            if heard.len() < RECIPIENTS_MAX && !heard.iter().any(|known| same(&known.recipient, &one.recipient)) {
                heard.push(one);
            }
        }
    }
}

/// Puts the address that we sent to in the place of what an alias or a redirection made of it, where a text tells.
fn expand(report: &str, heard: &mut [Heard]) {
    static EXPANDED: LazyLock<Regex> = LazyLock::new(|| {
        multi_line(&format!(
            r"<?(?P<to>{ADDRESS})>?:?\s+\((?:(?:ultimately )?generated (?:from|by)|expanded from):? <?(?P<orig>{ADDRESS})>?\)"
        ))
    });
    for pair in EXPANDED.captures_iter(report) {
        let (made, sent) = (clean(&pair["to"]), clean(&pair["orig"]));
        if let Some(one) = heard.iter_mut().find(|one| same(&one.recipient, made)).filter(|_| is_address(sent)) {
            one.final_recipient = Some(std::mem::replace(&mut one.recipient, sent.to_owned()));
        }
    }
}

/// The addresses that follow one on its line, after commas.
fn beside(behind: &str) -> Vec<&str> {
    static NEXT: LazyLock<Regex> =
        LazyLock::new(|| multi_line(&format!(r"\A[>\])\x22']*[ \t]*[,;][ \t]*[<\[(\x22']?(?P<to>{ADDRESS})")));
    let mut rest = behind;
    let mut others = Vec::new();
    while let Some(found) = NEXT.captures(rest).and_then(|found| found.name("to")).filter(|_| others.len() < BESIDE_MAX)
    {
        others.push(clean(found.as_str()));
        rest = &rest[found.end()..];
    }
    others
}

/// A text without the signature below it (RFC 3676 4.3), whose addresses are not those of recipients.
fn without_signature(report: &str) -> &str {
    let end = report.find("\n-- \n").or_else(|| report.find("\n--\n")).filter(|end| !report[..*end].trim().is_empty());
    &report[..end.unwrap_or(report.len())]
}

/// The words up to the first blank line behind some.
fn block(behind: &str) -> &str {
    let start = behind.len() - behind.trim_start().len();
    let end = behind[start..].find("\n\n").map_or(behind.len(), |at| start + at);
    &behind[..end]
}

/// Whether an address is one to ask for help, not one that failed.
fn is_contact(report: &str, at: usize, address: &str) -> bool {
    static CONTACT: LazyLock<Regex> = LazyLock::new(|| {
        multi_line(
            r"contact|assistance|help|support|question|inquir|abuse|feel this|in error|please reply|お問い?合わせ|連絡|kontakt|contacter",
        )
    });
    let local = address.split('@').next().unwrap_or_default().to_ascii_lowercase();
    let is_role =
        matches!(local.as_str(), "postmaster" | "mailer-daemon" | "abuse" | "support" | "helpdesk" | "hostmaster");
    let line_start = report[..at].rfind('\n').map_or(0, |end| end + 1);
    let line_end = report[at..].find('\n').map_or(report.len(), |end| at + end);
    let before = report[..line_start].trim_end();
    let before = before.rsplit('\n').next().unwrap_or_default();
    is_role
        || CONTACT.is_match(&report[line_start..line_end])
        || (CONTACT.is_match(before) && !FAILURE.is_match(before))
}

/// What X-Failed-Recipients names goes before what was read (Exim, Gmail); the words are those of the text.
fn with_failed_header(mail: &Mail, report: &str, action: Action, heard: &mut Vec<Heard>) {
    let named: Vec<&str> =
        mail.headers.all("x-failed-recipients").flat_map(addresses_in).take(RECIPIENTS_MAX).collect();
    if named.is_empty() {
        return;
    }
    let mut failed: Vec<Heard> = Vec::new();
    for address in named {
        let is_it = |one: &&Heard| {
            same(&one.recipient, address) || one.final_recipient.as_deref().is_some_and(|other| same(other, address))
        };
        let read = heard.iter().find(is_it);
        let said = read.map_or_else(|| tidy(report), |one| one.said.clone());
        let format = read.map_or("x-failed-recipients", |one| one.format);
        if !failed.iter().any(|one| same(&one.recipient, address)) {
            failed.push(Heard { recipient: address.to_owned(), final_recipient: None, said, action, format });
        }
    }
    *heard = failed;
}

/// The text names nobody: the only recipient of the copy that came back must be it.
fn from_copy(mail: &Mail, signs: &Signs, report: &str, copy: &str, action: Action, heard: &mut Vec<Heard>) {
    if Signs::of(&Mail::read(copy_of(mail, copy).as_bytes())).from_system {
        return;
    }
    let returned = returned(mail, copy);
    let is_sure = signs.from_system || (signs.null_sender && signs.failure_subject);
    if let ([only], true) = (returned.to.as_slice(), is_sure) {
        heard.push(Heard {
            recipient: only.to_string(),
            final_recipient: None,
            said: tidy(report),
            action,
            format: "returned-copy",
        });
    }
}

/// A failure in words of no known form: the only address that is neither ours nor there to be asked must be it.
fn from_only_address(mail: &Mail, report: &str, action: Action, heard: &mut Vec<Heard>) {
    if TAKEN.is_match(report) {
        return;
    }
    let domain = |address: &str| address.rsplit_once('@').map_or(String::new(), |(_, domain)| domain.to_lowercase());
    let ours: Vec<String> = mail.headers.all("to").flat_map(addresses_in).map(domain).collect();
    let is_ours = |address: &str| ours.contains(&domain(address));
    let is_asked = |address: &str| report.find(address).is_some_and(|at| is_contact(report, at, address));
    let mut others = addresses_in(report).take(ONLY_MAX).filter(|address| !is_ours(address) && !is_asked(address));
    let Some(only) = others.next() else { return };
    if others.all(|other| same(only, other)) {
        heard.push(Heard {
            recipient: only.to_owned(),
            final_recipient: None,
            said: tidy(report),
            action,
            format: "only-address",
        });
    }
}

/// Words on one line, bounded.
pub(super) fn tidy(said: &str) -> String {
    cut(said, SAID_BYTES_MAX).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn multi_line(pattern: &str) -> Regex {
    Regex::new(&format!("(?im){pattern}")).expect("tested below")
}
