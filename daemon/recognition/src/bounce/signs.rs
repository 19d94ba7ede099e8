//! What a mail's header says of its author: a mail system, a program that answers for somebody, or neither.

use std::sync::LazyLock;

use regex::Regex;

use super::mail::Mail;

/// The signs that a header carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// Written by a mail system: its From says so.
    pub(super) from_system: bool,
    /// The Subject is one that mail systems give to failures.
    pub(super) failure_subject: bool,
    /// The Subject has words of a failure only behind others, as tickets and answers have as well.
    pub(super) vague_subject: bool,
    /// A mailing list or a newsletter (RFC 2369, RFC 2919).
    pub(super) of_list: bool,
    /// The Subject is one that mail systems give to delays.
    pub(super) delay_subject: bool,
    /// The Subject is one that mail systems give to good news.
    pub(super) success_subject: bool,
    /// X-Failed-Recipients is there (Exim, Gmail).
    pub(super) failed_header: bool,
    /// The null sender (RFC 5321 4.5.5), which automatic replies use as well.
    pub(super) null_sender: bool,
    /// The Subject or another field says that a program answers for a person.
    pub(super) answers: bool,
    /// RFC 3834: Auto-Submitted says that no person wrote it.
    pub(super) automatic: bool,
}

// Names that mail systems write under: RFC 5321 4.5.1 (postmaster), Sendmail and its descendants (MAILER-DAEMON), and what
// others chose.
static SYSTEM: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\W*(mailer[-_.]?daemon|po+st[-_]?master|mail-?daemon|mdaemon|mailerdaemon|mail[-_.]?deliver\w*|microsoftexchange\w+|mailadmin|mailsystem|mail-?admin|smtp-?admin|bounces?|no-?reply-bounce|system administrator)(\W|$)|mail(er)? (delivery|administrator|router|system)|delivery (sub)?system|\bmail-?er[- ]?daemon\b|^\W*(system administrator|microsoft (outlook|exchange)|post ?master|internet mail)\b|mail delivery|delivery agent|システム管理者|メール配信",
    )
});

static FAILURE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\[bounce\]|^(\[[^\]]*\] *|\*+ *)*((mail|message|e-?mail) (delivery )?(system )?(failed|failure|error|returned)|returned? (mail|e-?mail|message)|undeliver(able|ed)|undelivered (mail|message)|(mail )?deliver(y|ing) (status )?(notification|report|failure|failed|problems?|error|has failed)|delivery status|failure (notice|delivery)|permanent (delivery )?(failure|error)|non-?deliver|nondeliver|notification d'échec|could not (be )?(deliver|send)|unable to deliver|(warning|notice)[: ].*(deliver|not (been )?(sent|delivered))|mail (system|could|not)|(e-?mail|message) (you sent|not deliver(ed|able)|could not|blocked|rejected|undeliverable)|bounced (mail|message)|there was an error sending|unzustellbar|nicht zustellbar|nicht zugestellt|échec de|non (remis|livr|distribu)|no se (puede|pudo|ha podido) entregar|(mensaje|correo) (no entregado|devuelto)|devuelto|messaggio non (consegnato|recapitato)|mensagem (não entregue|devolvida)|message non (délivré|distribué|remis)|não (entregue|foi poss)|mancat[oa] (recapito|consegna)|impossibile recapitare|onbestelbaar|niet-?bezorg|nie dostarcz|не ?доставлен|недоставлен|配信(不能|エラー|できません|失敗)|送信(エラー|できません|失敗)|(配達|配送)(不能|エラー|できません)|エラーメール|メール送信エラー|退信|投递失败|无法(送达|投递)|未送達|배달)",
    )
});

/// The same further inside a Subject, behind that of the mail that failed.
static FAILURE_INSIDE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(delivery (failed|failure)|undeliverable|non[- ]remis|mail failure|returned to sender|returning message|could not be delivered|was not delivered|not member|postmaster notify)",
    )
});

/// What people and their programs put before the Subject of what they answer or pass on.
static ANSWERED: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)^\s*(re|aw|antw|sv|rv|res|回复)\s*(\[\d+\])?\s*[:：]\s*"));
static PASSED_ON: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)^\s*(fwd?|wg|tr|i|enc|転送)\s*[:：]"));

static DELAY: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\bdelay(ed)?\b|still being retried|could not send message for past|not yet (been )?delivered|warning: .*(not|delay)|verzöger|retard|retras|遅延|задерж",
    )
});

static SUCCESS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^((re|fw): *)?(delivered|relayed|expanded|read|not read|gelesen|lu|leído|letto|開封|既読)\s*[:：]|success(ful)?|return receipt|read receipt|read[- ]notification|\(relayed\)|\(success\)|delivery confirmation|zugestellt:|\bremis( :|:)|entregado:|配信済み|開封(済み|通知|確認)",
    )
});

// Subjects of automatic replies and of filters that ask the sender to prove to be human.
static ANSWER: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)^\W*((re|aw|antw|sv): *)?(auto(matic|mated|matisch\w*)?[ -_]?(re(ply|sponse|spond\w*)|antwort|response|acknowledg\w*)|out of (the )?office|vacation|away (from|message)|on (vacation|holiday|leave)|i am (away|out|on)|absence|abwesen|absent|réponse automatique|respuesta autom|resposta autom|risposta autom|autorespon|automatische|automatyczna|автоответ|自動(応答|返信|回复|回覆)|不在(通知|応答|の)|자동)|\b(autoreply|auto-reply|auto reply|out of office)\b|(confirm|verif).{0,30}(you are human|human|your (e-?mail|message|address))|challenge|sender (verification|confirmation)|your message .*(awaits|requires|needs) (confirmation|verification)|spamarrest|boxbe|please (confirm|verify) your",
    )
});

impl Signs {
    pub(super) fn of(mail: &Mail) -> Self {
        let headers = &mail.headers;
        let from = headers.decoded("from").unwrap_or_default();
        let subject = headers.decoded("subject").unwrap_or_default();
        let subject = subject.trim();
        let from_system =
            from.split(['<', '(', '"', '>', ')']).map(str::trim).any(|part| !part.is_empty() && SYSTEM.is_match(part))
                || from.trim() == "<>";
        let submitted = headers.lower("auto-submitted");
        let precedence = headers.lower("precedence");
        let reply_headers =
            ["x-autoreply", "x-autorespond", "x-autoreply-from", "x-auto-reply", "x-mail-autoreply", "x-vacation"];
        let answers = (ANSWER.is_match(subject) && !FAILURE.is_match(subject))
            || matches!(precedence.as_str(), "auto_reply" | "auto-reply")
            || submitted.starts_with("auto-replied (vacation")
            || reply_headers.iter().any(|name| headers.has(name));
        let failure = failure_in(subject);
        Self {
            from_system,
            failure_subject: failure.is_some(),
            vague_subject: failure == Some(Failure::Vague),
            of_list: ["list-id", "list-unsubscribe", "list-post"].iter().any(|name| headers.has(name)),
            delay_subject: DELAY.is_match(subject),
            success_subject: SUCCESS.is_match(subject),
            failed_header: headers.has("x-failed-recipients"),
            null_sender: headers.get("return-path").is_some_and(|path| path.replace(' ', "") == "<>"),
            answers,
            automatic: submitted.starts_with("auto-"),
        }
    }

    /// Whether it may be a bounce at all: a mail system's work, or said to be one.
    pub(super) const fn may_be_bounce(&self) -> bool {
        let is_named = !self.of_list && (self.failure_subject || self.delay_subject);
        !self.answers_for_a_person() && (self.from_system || self.failed_header || is_named)
    }

    /// Whether it is a bounce for certain enough to look for recipients in a text of no known format.
    pub(super) const fn is_likely_bounce(&self) -> bool {
        let is_clear = self.failure_subject && !self.vague_subject;
        self.may_be_bounce() && (self.from_system || self.failed_header || is_clear || self.null_sender)
    }

    /// Whether a program answers for a person (RFC 3834).
    pub(super) const fn answers_for_a_person(&self) -> bool {
        let is_clear = self.failure_subject && !self.vague_subject;
        let of_a_system = self.failed_header || (!self.answers && (is_clear || self.from_system));
        (self.answers || self.automatic) && !of_a_system
    }
}

/// How clearly a Subject tells of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// It begins with the words of a mail system.
    Clear,
    /// It has them behind others.
    Vague,
}

fn failure_in(subject: &str) -> Option<Failure> {
    if PASSED_ON.is_match(subject) {
        return None;
    }
    match ANSWERED.find(subject) {
        // Some systems answer with the old Subject and put theirs behind it; a person's answer to a bounce begins with it.
        Some(prefix) => {
            let subject = &subject[prefix.end()..];
            (FAILURE_INSIDE.is_match(subject) && !FAILURE.is_match(subject)).then_some(Failure::Vague)
        }
        None if FAILURE.is_match(subject) => Some(Failure::Clear),
        None => FAILURE_INSIDE.is_match(subject).then_some(Failure::Vague),
    }
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("tested below")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, may_be_bounce: bool, answers: bool) {
        let signs = Signs::of(&Mail::read(format!("{header}\n\n").as_bytes()));
        assert_eq!(
            (signs.may_be_bounce(), signs.answers_for_a_person()),
            (may_be_bounce, answers),
            "{header} {signs:?}"
        );
    }

    #[test]
    fn mail_systems_are_known_by_their_names_and_subjects() {
        check("From: MAILER-DAEMON@mx.example.jp (Mail Delivery System)\nSubject: x", true, false);
        check("From: Mail Delivery Subsystem <x@example.jp>\nSubject: x", true, false);
        check("From: \"Postmaster\" <postmaster@example.jp>\nSubject: hello", true, false);
        check("From: taro@example.jp\nSubject: Undelivered Mail Returned to Sender", true, false);
        check("From: taro@example.jp\nSubject: x\nX-Failed-Recipients: a@b.jp", true, false);
        check("From: x@example.jp\nSubject: =?utf-8?B?44Oh44O844Or6YWN5L+h44Ko44Op44O8?=", false, false);
    }

    #[test]
    fn people_and_their_programs_are_no_mail_systems() {
        check("From: Taro <taro@example.jp>\nSubject: lunch", false, false);
        check("From: Taro <taro@example.jp>\nSubject: Fwd: the delivery of the parcel", false, false);
        check("From: Taro <taro@example.jp>\nSubject: Fwd: failure notice", false, false);
        check("From: Taro <taro@example.jp>\nSubject: Re: Undeliverable: plan", false, false);
        check("From: Taro <taro@example.jp>\nSubject: Out of office: lunch", false, true);
        check("From: Taro <taro@example.jp>\nSubject: x\nAuto-Submitted: auto-replied", false, true);
        check("From: Taro <taro@example.jp>\nSubject: Automatic reply: Undeliverable", false, true);
        check("From: Taro <taro@example.jp>\nSubject: x\nPrecedence: auto_reply", false, true);
    }
}
