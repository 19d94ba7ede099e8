//! Which mail was written by a program and is no bounce: vacation notices, challenges, receipts.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    finding::Nature,
    mail::{Mail, PartKind},
    signs::Signs,
};

/// What the mail is if a program answers in it for a person: such mail never says anything of a delivery.
pub(super) fn nature(mail: &Mail, signs: &Signs) -> Option<Nature> {
    let content_type = mail.headers.lower("content-type");
    // RFC 8098 3: the report is for the reader's program; what it says of the message is that it was shown or deleted.
    let is_receipt = mail.of(PartKind::Disposition).next().is_some()
        || (content_type.starts_with("multipart/report") && content_type.contains("disposition-notification"));
    if is_receipt {
        return Some(Nature::Receipt);
    }
    let has_report = mail.of(PartKind::DeliveryStatus).next().is_some();
    let answers = signs.answers_for_a_person() || (!signs.from_system && !signs.failed_header && challenges(mail));
    (!has_report && answers).then_some(Nature::AutoReply)
}

/// Whether a text asks its reader to prove to be human before a message is let through.
fn challenges(mail: &Mail) -> bool {
    static CHALLENGE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?is)prove.{0,30}\bhuman|not a (robot|spammer|machine)|(being|is) held (because|until|for)|(approved|allowed|authori[sz]ed|trusted) senders? list|(click|follow|visit|reply).{0,80}(confirm|verify|release) (that |your |the |this )",
        )
        .expect("tested below")
    });
    CHALLENGE.is_match(&mail.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mail: &str, want: Option<Nature>) {
        let mail = Mail::read(mail.as_bytes());
        assert_eq!(nature(&mail, &Signs::of(&mail)), want);
    }

    #[test]
    fn programs_that_answer_for_people_are_known() {
        let receipt = "From: hanako@example.jp\nSubject: Read: plan\n\
            Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\n\nRead.\n--b\n\
            Content-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; hanako@example.jp\n\
            Disposition: manual-action/MDN-sent-manually; displayed\n--b--\n";
        check(receipt, Some(Nature::Receipt));
        check("From: a@b.jp\nSubject: Vacation: back on Monday\n\nMail me at c@d.jp.\n", Some(Nature::AutoReply));
        check("From: a@b.jp\nSubject: Please confirm your message\n\nClick.\n", Some(Nature::AutoReply));
        let held = "From: a@b.jp\nSubject: Your message could not be delivered\n\nIt is held until you click to confirm that you \
            wrote it: http://b.jp/1 <a@b.jp>\n";
        check(held, Some(Nature::AutoReply));
        check("From: a@b.jp\nSubject: lunch\n\nAt one?\n", None);
        check("From: mailer-daemon@b.jp\nAuto-Submitted: auto-replied\nSubject: failure notice\n\n.\n", None);
    }
}
