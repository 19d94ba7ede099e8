//! Is every draft either refused, or a message that an independent parser reads as it was written?

use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::{super::charset::Script, *};
use crate::domain::{
    charset::Charset,
    mail::{AutoSubmitted, ListUnsubscribe, MessageId},
    time::Timestamp,
};

/// Texts with everything in them: controls, quotes, what ISO-2022-JP has and has not, other planes, marks that combine.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "\\PC{0,120}",
        1 => "(?s).{0,40}",
        2 => "[ -~]{0,300}",
        2 => "[a-zA-Z0-9 .,\"<>@\\\\()=?_-]{0,60}",
        3 => "[ア-ンあ-ん飛脚便①㈱髙﨑ｱ-ﾝﾞﾟ〜～🚚é\u{301}a-c ]{0,90}",
        1 => "飛{600}|[飛a]{300}|x{100,300}",
    ]
}

fn any_body() -> impl Strategy<Value = String> {
    prop_oneof![
        any_text(),
        "[a-z.=\r\n\t -]{0,400}",
        "[飛脚①.\r\n]{0,200}",
        "(a{70,90}\n|\\.\n|飛{480,520}\r|=\r\n){0,5}",
        "x{990,1010}",
    ]
}

fn any_name() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(any_text())
}

prop_compose! {
    fn any_file()(
        file_name in any_text(),
        media_type in "application/octet-stream|image/png|application/json; a=\"b; c\"|.{0,9}",
        content in proptest::collection::vec(any::<u8>(), 0..200),
        content_id in proptest::option::of("[a-z0-9@.]{1,20}|.{0,5}"),
    ) -> Attachment {
        Attachment { file_name, media_type, content: content.into(), content_id }
    }
}

prop_compose! {
    fn any_draft()(
        names in [any_name(), any_name(), any_name(), any_name()],
        (subject, text, html) in (any_text(), proptest::option::of(any_body()), proptest::option::of(any_body())),
        headers in proptest::collection::vec(("X-[A-Za-z-]{1,30}|[!-~]{1,20}|.{0,9}", any_text()), 0..3),
        ids in proptest::collection::vec("[a-z]{1,9}@[a-z.]{1,20}", 0..4),
        (url, mailto, one_click) in (proptest::option::of("https://[a-z/?%]{1,20}|.{0,20}"), proptest::option::of("[a-z]@x.jp|.{0,9}"), any::<bool>()),
        is_automatic in any::<bool>(),
        attachments in proptest::collection::vec(any_file(), 0..3),
        charset in prop_oneof![
            Just(Charset::Utf8), Just(Charset::Iso2022Jp), Just(Charset::Iso2022JpReplace), Just(Charset::Iso2022JpReject)
        ],
    ) -> Draft {
        let [from, reply_to, to, cc] = names.map(|name| {
            Mailbox { name, address: "taro@example.jp".parse().expect("an address") }
        });
        let mut ids: Vec<MessageId> = ids.iter().map(|id| id.parse().expect("an id")).collect();
        let list = ListUnsubscribe { url, mailto, one_click };
        Draft {
            from,
            reply_to: vec![reply_to],
            to: vec![to],
            cc: vec![cc],
            subject,
            text,
            html,
            headers,
            in_reply_to: ids.pop(),
            references: ids,
            list_unsubscribe: is_automatic.then_some(list),
            auto_submitted: is_automatic.then_some(AutoSubmitted::Generated),
            attachments,
            charset,
        }
    }
}

fn identity() -> Identity {
    let date = Timestamp::from_millis(1_700_000_000_000);
    Identity::of_job(JobId::new(date, [7; 10]), &"t@example.jp".parse().expect("an address"), date)
}

/// A text with one kind of line end, and without the last one: that is the part's.
fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.strip_suffix('\n').unwrap_or(&text).to_owned()
}

fn check_bytes(bytes: &[u8], draft: &Draft) {
    assert!(bytes.ends_with(b"\r\n") && bytes.is_ascii() && !bytes.contains(&0));
    assert!(bytes.windows(2).all(|pair| (pair[0] == b'\r') == (pair[1] == b'\n')), "a bare CR or LF");
    assert!(bytes.split(|b| *b == b'\n').all(|line| line.len() <= LINE_BYTES_MAX + 1), "a line is too long");
    let text = std::str::from_utf8(bytes).expect("ASCII");
    let (header, _) = text.split_once("\r\n\r\n").expect("a blank line");
    let names: Vec<_> = header.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])).collect();
    let names: Vec<_> = names.iter().map(|line| line.split_once(':').expect("a field").0).collect();
    let own = [
        ["Date", "From", "Reply-To", "To", "Cc", "Subject", "Message-ID"].as_slice(),
        if draft.in_reply_to.is_some() { &["In-Reply-To", "References"] } else { &[] },
        if draft.auto_submitted.is_some() { &["Auto-Submitted"] } else { &[] },
    ];
    let custom = draft.headers.iter().map(|(name, _)| name.as_str());
    let list = draft.list_unsubscribe.as_ref();
    let list = [list.map(|_| "List-Unsubscribe"), list.filter(|list| list.one_click).map(|_| "List-Unsubscribe-Post")];
    let expected = own.concat().into_iter().chain(custom).chain(list.into_iter().flatten());
    let expected: Vec<_> = expected.chain(["X-Hikyaku-Job", "MIME-Version"]).collect();
    assert_eq!(names[..expected.len()], expected, "nothing but what was asked for");
    assert!(names[expected.len()..].iter().all(|name| name.starts_with("Content-")), "{names:?}");
}

fn check_read(bytes: &[u8], draft: &Draft, script: Script) {
    let message = MessageParser::default().parse(bytes).expect("a message");
    assert_eq!(message.subject().unwrap_or_default(), script.writable(&draft.subject).trim_end_matches(' '), "subject");
    let all = [
        (message.from(), std::slice::from_ref(&draft.from)),
        (message.reply_to(), &draft.reply_to),
        (message.to(), &draft.to),
        (message.cc(), &draft.cc),
    ];
    for (read, written) in all {
        let read: Vec<_> = read
            .expect("mailboxes")
            .iter()
            .map(|one| (one.name().unwrap_or_default(), one.address().unwrap_or_default()))
            .collect();
        let name = |one: &Mailbox| script.writable(one.name.as_deref().unwrap_or_default().trim()).trim().to_owned();
        let written: Vec<_> = written.iter().map(|one| (name(one), one.address.as_str())).collect();
        let written: Vec<_> = written.iter().map(|(name, address)| (name.as_str(), *address)).collect();
        assert_eq!(read, written, "mailboxes");
    }
    let text = draft.text.clone().or_else(|| draft.html.as_deref().map(plain_text::from_html)).unwrap_or_default();
    assert_eq!(lines(&message.body_text(0).unwrap_or_default()), lines(&script.writable(&text)), "text");
    if let Some(html) = &draft.html {
        assert_eq!(lines(&message.body_html(0).unwrap_or_default()), lines(&script.writable(html)), "html");
    }
    let inline_first = |file: &&Attachment| file.content_id.is_none() || draft.html.is_none();
    let mut files: Vec<_> = draft.attachments.iter().collect();
    files.sort_by_key(inline_first);
    let read: Vec<_> = message.attachments().collect();
    assert_eq!(read.len(), files.len(), "files");
    for (read, file) in read.into_iter().zip(files) {
        let name = script.writable(&file.file_name);
        // This parser decodes the first section of a name by its charset and the others as UTF-8 (against RFC 2231 4.1).
        let is_in_sections = FileDisposition::new("", &name, script).written().contains("*0*=");
        if script == Script::Utf8 || !is_in_sections {
            assert_eq!(read.attachment_name().unwrap_or_default(), name, "name of a file");
        }
        assert_eq!(read.contents(), file.content, "bytes of a file");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_draft_is_refused_or_read_as_it_was_written(draft in any_draft()) {
        if let Ok(message) = compose(&draft, &identity()) {
            check_bytes(&message.bytes, &draft);
            let script = script_for(draft.charset, texts_of(&draft)).expect("it was composed");
            check_read(&message.bytes, &draft, script);
        }
    }
}
