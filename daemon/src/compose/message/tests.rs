//! Which bytes a draft becomes, and which drafts are refused.

use proptest::prelude::*;

use super::*;
use crate::domain::{
    ids::JobId,
    mail::{AutoSubmitted, ListUnsubscribe, Mailbox, MessageId},
    time::Timestamp,
};

fn mailbox(name: &str, address: &str) -> Mailbox {
    let name = (!name.is_empty()).then(|| name.to_owned());
    Mailbox { name, address: address.parse().expect(address) }
}

fn identity() -> Identity {
    let date = Timestamp::from_millis(1_700_000_000_000);
    Identity::of_job(JobId::new(date, [7; 10]), &"t@example.jp".parse().expect("an address"), date)
}

fn draft() -> Draft {
    Draft {
        from: mailbox("Taro", "taro@example.jp"),
        reply_to: Vec::new(),
        to: vec![mailbox("", "hanako@example.jp")],
        cc: Vec::new(),
        subject: "Hello".into(),
        text: Some("Hi\n.\nbye\n".into()),
        html: None,
        headers: Vec::new(),
        in_reply_to: None,
        references: Vec::new(),
        list_unsubscribe: None,
        auto_submitted: None,
        attachments: Vec::new(),
        charset: crate::domain::charset::Charset::default(),
    }
}

fn file(file_name: &str, content_id: Option<&str>) -> Attachment {
    Attachment {
        file_name: file_name.into(),
        media_type: "image/png".into(),
        content: Bytes::from_static(b"\x89PNG\r\n\0"),
        content_id: content_id.map(Into::into),
    }
}

fn text_of(draft: &Draft) -> String {
    let message = compose(draft, &identity()).expect("composes");
    String::from_utf8(message.bytes.to_vec()).expect("text")
}

#[test]
fn a_plain_text_is_one_part() {
    let job = identity().job;
    let expected = format!(
        "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\
         From: Taro <taro@example.jp>\r\n\
         To: hanako@example.jp\r\n\
         Subject: Hello\r\n\
         Message-ID: <{job}@example.jp>\r\n\
         X-Hikyaku-Job: {job}\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 7bit\r\n\
         \r\n\
         Hi\r\n.\r\nbye\r\n"
    );
    assert_eq!(text_of(&draft()), expected);
}

#[test]
fn parts_are_nested_as_readers_expect() {
    let full = Draft {
        html: Some("<p>Hi <img src=\"cid:logo\"></p>".into()),
        attachments: vec![file("図.png", None), file("logo.png", Some("<logo>"))],
        ..draft()
    };
    let text = text_of(&full);
    let order = [
        "Content-Type: multipart/mixed;",
        "Content-Type: multipart/alternative;",
        "Content-Type: text/plain; charset=utf-8\r\n",
        "Content-Type: multipart/related;",
        "Content-Type: text/html; charset=utf-8\r\n",
        "Content-Type: image/png;\r\n name=\"logo.png\"\r\n",
        "Content-Disposition: inline;\r\n filename=\"logo.png\"\r\n",
        "Content-ID: <logo>\r\n",
        "Content-Disposition: attachment;\r\n filename*=utf-8''%E5%9B%B3.png\r\n",
    ];
    let mut from = 0;
    for line in order {
        let found = text[from..].find(line).unwrap_or_else(|| panic!("{line} after {from} in {text}"));
        from += found;
    }
    assert_eq!(text_of(&full), text, "the same draft gives the same bytes");
}

#[test]
fn a_text_is_made_from_the_html() {
    let text = text_of(&Draft { text: None, html: Some("<p>Good <b>day</b></p>".into()), ..draft() });
    assert!(text.contains("\r\n\r\nGood day\r\n--="), "{text}");
}

#[test]
fn everything_beyond_ascii_is_encoded() {
    let japanese = Draft {
        from: mailbox("飛脚太郎", "taro@example.jp"),
        subject: "お知らせ".into(),
        text: Some("こんにちは\r本文".into()),
        headers: vec![("X-Note".into(), "注".into())],
        attachments: vec![file("見積書.pdf", None)],
        ..draft()
    };
    let message = compose(&japanese, &identity()).expect("composes");
    assert!(!message.is_eight_bit);
    let address = Draft { to: vec![mailbox("", "太郎@例え.jp")], ..draft() };
    assert!(compose(&address, &identity()).expect("composes").is_eight_bit);
}

#[test]
fn custom_headers_keep_their_order_and_repeat() {
    let headers = vec![("X-Tag".into(), "a".into()), ("List-Unsubscribe".into(), "<https://x.jp/u>".into())];
    let headers = [headers, vec![("X-Tag".into(), "b".into())]].concat();
    let text = text_of(&Draft { headers, ..draft() });
    assert!(text.contains("X-Tag: a\r\nList-Unsubscribe: <https://x.jp/u>\r\nX-Tag: b\r\n"), "{text}");
}

fn id(text: &str) -> MessageId {
    text.parse().expect(text)
}

#[test]
fn an_answer_names_what_it_answers() {
    let answered = Some("c@x");
    for (in_reply_to, references, expected) in [
        (answered, vec![], "In-Reply-To: <c@x>\r\nReferences: <c@x>\r\n"),
        (answered, vec!["a@x", "b@x"], "In-Reply-To: <c@x>\r\nReferences: <a@x>\r\n <b@x>\r\n <c@x>\r\n"),
        (answered, vec!["a@x", "<c@x>"], "In-Reply-To: <c@x>\r\nReferences: <a@x>\r\n <c@x>\r\n"),
        (None, vec!["a@x"], "References: <a@x>\r\n"),
        (None, vec![], ""),
    ] {
        let references = references.into_iter().map(id).collect();
        let text = text_of(&Draft { in_reply_to: in_reply_to.map(id), references, ..draft() });
        let job = identity().job;
        let expected = format!("Message-ID: <{job}@example.jp>\r\n{expected}X-Hikyaku-Job: ");
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn lists_and_programs_are_told_in_the_header() {
    let list = ListUnsubscribe { url: Some("https://x.jp/u".into()), mailto: Some("u@x.jp".into()), one_click: true };
    let text = text_of(&Draft {
        list_unsubscribe: Some(list),
        auto_submitted: Some(AutoSubmitted::Generated),
        headers: vec![("X-Tag".into(), "a".into())],
        ..draft()
    });
    let expected = "Auto-Submitted: auto-generated\r\nX-Tag: a\r\nList-Unsubscribe: <https://x.jp/u>,\r\n \
                    <mailto:u@x.jp>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nX-Hikyaku-Job: ";
    assert!(text.contains(expected), "{text}");
    let replied = text_of(&Draft { auto_submitted: Some(AutoSubmitted::Replied), ..draft() });
    assert!(replied.contains("Auto-Submitted: auto-replied\r\n"), "{replied}");
}

#[test]
fn a_header_that_a_field_writes_is_protected_beside_it() {
    let with = |name: &str| vec![(name.to_owned(), "<a@x>".to_owned())];
    for name in ["In-Reply-To", "references", "List-Unsubscribe", "LIST-UNSUBSCRIBE-POST", "Auto-Submitted"] {
        let alone = Draft { headers: with(name), ..draft() };
        assert!(text_of(&alone).contains(&format!("{name}: <a@x>\r\n")), "{name}");
        check_refused(|d| d.headers = [with(name), with(name)].concat(), "job.headers[1].name");
        check_refused(|d| d.headers = vec![(name.into(), "é".into())], "job.headers[0].value");
    }
    let thread = ["In-Reply-To", "References"];
    thread.iter().for_each(|name| {
        check_refused(|d| (d.headers, d.references) = (with(name), vec![id("a@x")]), "job.headers[0].name")
    });
    thread.iter().for_each(|name| {
        check_refused(|d| (d.headers, d.in_reply_to) = (with(name), Some(id("a@x"))), "job.headers[0].name")
    });
    let list = ListUnsubscribe { url: None, mailto: Some("u@x.jp".into()), one_click: false };
    for name in ["List-Unsubscribe", "List-Unsubscribe-Post"] {
        check_refused(|d| (d.headers, d.list_unsubscribe) = (with(name), Some(list.clone())), "job.headers[0].name");
    }
    let replied = Some(AutoSubmitted::Replied);
    check_refused(|d| (d.headers, d.auto_submitted) = (with("Auto-Submitted"), replied), "job.headers[0].name");
    check_refused(
        |d| d.list_unsubscribe = Some(ListUnsubscribe { one_click: true, ..list.clone() }),
        "job.list_unsubscribe.one_click",
    );
    check_refused(|d| d.references = vec![id("a@x"); 101], "job.references");
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut Draft), field: &str) {
    let mut draft = draft();
    change(&mut draft);
    let error = compose(&draft, &identity()).expect_err(field);
    assert_eq!(error.field, field, "{error}");
}

#[test]
fn headers_cannot_be_injected() {
    let evil = "x\r\nBcc: spy@example.jp";
    check_refused(|d| d.subject = evil.into(), "job.subject");
    check_refused(|d| d.subject = "a\0".into(), "job.subject");
    check_refused(|d| d.from.name = Some(evil.into()), "job.from.name");
    check_refused(|d| d.to[0].name = Some("a\nb".into()), "job.to[0].name");
    check_refused(|d| d.reply_to = vec![mailbox("a\rb", "x@y.jp")], "job.reply_to[0].name");
    check_refused(|d| d.headers = vec![("X-A".into(), evil.into())], "job.headers[0].value");
    check_refused(|d| d.headers = vec![("X-A: b\r\nBcc".into(), "x".into())], "job.headers[0].name");
    check_refused(|d| d.attachments = vec![file(evil, None)], "job.attachments[0].file_name");
    check_refused(|d| d.attachments = vec![file("a", Some("x>\r\nBcc: y"))], "job.attachments[0].content_id");
    let typed = |media_type: &str| vec![Attachment { media_type: media_type.into(), ..file("a", None) }];
    for bad in ["", "png", "image/png\r\nBcc: x@y.jp", "multipart/mixed", "message/rfc822", "a/b; c", "a/b; name=c"] {
        check_refused(|d| d.attachments = typed(bad), "job.attachments[0].media_type");
    }
}

#[test]
fn protected_headers_are_refused() {
    for name in
        ["From", "BCC", "content-type", "Message-Id", "X-Hikyaku-Job", "Received", "Resent-To", "DKIM-Signature"]
    {
        check_refused(|d| d.headers = vec![(name.into(), "x".into())], "job.headers[0].name");
    }
    for name in ["", "a b", "ä", "x:"] {
        check_refused(|d| d.headers = vec![(name.into(), "x".into())], "job.headers[0].name");
    }
    check_refused(|d| d.headers = vec![("X-A".into(), "x".repeat(1_500))], "job.headers");
    check_refused(|d| d.text = Some("a\0b".into()), "job.text");
}

fn is_clean(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\r\n")
        && !bytes.contains(&0)
        && bytes.split(|b| *b == b'\n').all(|line| line.len() <= LINE_BYTES_MAX + 1)
        && bytes.windows(2).all(|pair| (pair[0] == b'\r') == (pair[1] == b'\n'))
}

prop_compose! {
    fn any_file()(
        file_name in "\\PC{0,80}|.{0,20}",
        media_type in "[a-z]{1,8}/[a-z0-9.+-]{1,20}|.{0,20}|text/plain; charset=\"[ -~]{0,20}\"",
        content in proptest::collection::vec(any::<u8>(), 0..300),
        content_id in proptest::option::of("[!-~]{0,30}|.{0,5}"),
    ) -> Attachment {
        Attachment { file_name, media_type, content: content.into(), content_id }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_message_is_clean(
        subject in "\\PC{0,200}|.{0,40}|[ -~]{0,1500}",
        name in proptest::option::of("\\PC{0,90}|[ -~]{0,300}"),
        text in proptest::option::of("(?s).{0,400}|[a-z\r\n. =-]{0,1500}"),
        html in proptest::option::of("[a-z<>/\"'&;#= \r\n-]{0,800}|(?s).{0,200}"),
        header in ("[!-~]{1,40}", "[ -~]{0,1200}|\\PC{0,200}"),
        files in proptest::collection::vec(any_file(), 0..3),
    ) {
        let mut draft = Draft { subject, text, html, attachments: files, headers: vec![header], ..draft() };
        draft.to[0].name = name;
        if let Ok(message) = compose(&draft, &identity()) {
            prop_assert!(is_clean(&message.bytes), "{}", String::from_utf8_lossy(&message.bytes));
            prop_assert!(!message.is_eight_bit);
            let head = message.bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a blank line");
            let head = String::from_utf8_lossy(&message.bytes[..head]).to_ascii_lowercase();
            prop_assert!(!head.contains("\r\nbcc:"));
            prop_assert_eq!(head.matches("\r\nfrom:").count(), 1);
        }
    }
}
