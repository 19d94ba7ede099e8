//! Which messages one content becomes, and what is refused before any is made.

use proptest::prelude::*;

use super::*;
use crate::{
    compose::message::compose,
    domain::mail::{Attachment, ListUnsubscribe},
};

const DATE: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn mailbox(name: &str, address: &str) -> Mailbox {
    Mailbox { name: Some(name.to_owned()).filter(|name| !name.is_empty()), address: address.parse().expect(address) }
}

fn draft(subject: &str, text: Option<&str>, html: Option<&str>) -> Draft {
    Draft {
        from: mailbox("Shop", "shop@example.jp"),
        reply_to: vec![mailbox("", "answers@example.jp")],
        to: Vec::new(),
        cc: Vec::new(),
        subject: subject.into(),
        text: text.map(Into::into),
        html: html.map(Into::into),
        headers: vec![("X-Campaign".into(), "autumn".into())],
        in_reply_to: None,
        references: Vec::new(),
        list_unsubscribe: None,
        auto_submitted: None,
        attachments: Vec::new(),
        charset: Charset::Utf8,
    }
}

fn file(file_name: &str, media_type: &str, content_id: Option<&str>) -> Attachment {
    let content = Bytes::from_static(b"Subject: =_hikyaku\n\nfile\n");
    Attachment {
        file_name: file_name.into(),
        media_type: media_type.into(),
        content,
        content_id: content_id.map(Into::into),
    }
}

fn key(index: u32) -> MessageKey {
    MessageKey { job: JobId::new(DATE, [7; 10]), index }
}

fn identity(index: u32) -> Identity {
    Identity::of_merge(key(index), "proof".into(), &mailbox("", "shop@example.jp").address, DATE)
}

fn recipient(values: &[&str]) -> MergeRecipient {
    let Mailbox { name, address } = mailbox("Taro, Yamada", "taro@example.jp");
    MergeRecipient { address, name, values: values.iter().map(|value| Some((*value).to_owned())).collect() }
}

fn renderer(draft: Draft) -> Renderer {
    let template = read_template(draft).expect("a template");
    Renderer::new(&template, key(0).job).expect("a renderer")
}

/// That a merge gives what the plain composer makes of the same words.
#[track_caller]
fn check_same(template: Draft, values: &[&str], plain: Draft) {
    let renderer = renderer(template);
    let recipient = recipient(values);
    let bytes_max = renderer.check(&recipient).expect("a good recipient");
    let message = renderer.render(&recipient, &identity(3)).expect("a good recipient");
    let to = vec![Mailbox { name: recipient.name.clone(), address: recipient.address.clone() }];
    let expected = compose(&Draft { to, ..plain }, &identity(3)).expect("a good draft");
    assert_eq!(String::from_utf8_lossy(&message.bytes), String::from_utf8_lossy(&expected.bytes));
    assert_eq!(message, expected);
    assert_eq!(Ok(message.bytes.len()), renderer.message_bytes(&recipient, &identity(3)));
    assert!(message.bytes.len() <= bytes_max, "{} of {bytes_max}", message.bytes.len());
}

#[test]
fn a_merge_composes_like_a_plain_mail() {
    let text = Some("Dear {{ name }},\nyour code is {{ code }}.\n");
    let html = Some("<p>Dear <b>{{ name }}</b>, {{ code }}</p>");
    let filled_text = Some("Dear 太郎,\nyour code is <7>.\n");
    let filled_html = Some("<p>Dear <b>太郎</b>, &lt;7&gt;</p>");
    let values = ["太郎", "<7>"];
    let subject = "For {{ name }}";
    check_same(draft(subject, text, None), &values, draft("For 太郎", filled_text, None));
    check_same(draft(subject, text, html), &values, draft("For 太郎", filled_text, filled_html));
    check_same(draft(subject, None, html), &values, draft("For 太郎", None, filled_html));
    let with_files = |draft: Draft| Draft {
        attachments: vec![
            file("a.bin", "application/octet-stream", None),
            file("logo.png", "image/png", Some("logo")),
            file("mail.eml", "message/rfc822", None),
        ],
        ..draft
    };
    let plain = with_files(draft("For 太郎", filled_text, filled_html));
    check_same(with_files(draft(subject, text, html)), &values, plain);
    check_same(with_files(draft(subject, text, None)), &values, with_files(draft("For 太郎", filled_text, None)));
    check_same(draft("Same for all", Some("x"), None), &[], draft("Same for all", Some("x"), None));
}

#[test]
fn each_message_has_its_own_name_and_keeps_it() {
    let renderer = renderer(draft("Hi", Some("{{ name }}"), None));
    let recipient = recipient(&["Taro"]);
    let render = |index| renderer.render(&recipient, &identity(index)).expect("a good recipient");
    let first = render(777_777);
    assert_eq!(first, render(777_777));
    let text = String::from_utf8(first.bytes.to_vec()).expect("text");
    let job = key(0).job;
    assert!(text.contains(&format!("Message-ID: <{job}.777777@example.jp>\r\n")), "{text}");
    assert!(text.contains(&format!("X-Hikyaku-Job: {job}/777777/proof\r\n")), "{text}");
    assert!(text.contains("To: \"Taro, Yamada\" <taro@example.jp>\r\n"), "{text}");
    assert_ne!(text.as_bytes(), render(1).bytes);
}

#[test]
fn the_renderers_used_last_are_kept() {
    let template = read_template(draft("Hi", Some("{{ name }}"), None)).expect("a template");
    let job = |number: u8| JobId::new(DATE, [number; 10]);
    let mut renderers = Renderers::default();
    let made = || Arc::new(Renderer::new(&template, job(0)).expect("a renderer"));
    let first = made();
    assert!(renderers.of(job(0)).is_none());
    renderers.keep(job(0), Arc::clone(&first));
    (1..4).for_each(|number| renderers.keep(job(number), made()));
    assert!(Arc::ptr_eq(&first, &renderers.of(job(0)).expect("kept")));
    (4..7).for_each(|number| renderers.keep(job(number), made()));
    assert!(renderers.of(job(0)).is_some() && renderers.of(job(3)).is_none());
    (8..12).for_each(|number| renderers.keep(job(number), made()));
    assert!(renderers.of(job(0)).is_none());
}

#[track_caller]
fn check_refused(draft: Draft, field: &str, reason: &str) {
    let error = read_template(draft).and_then(|template| Renderer::new(&template, key(0).job)).expect_err(reason);
    assert_eq!(error.field, field, "{error}");
    assert!(error.reason.contains(reason), "{error}");
}

#[test]
fn what_is_no_template_is_refused_with_its_field() {
    check_refused(draft("{{ name", Some("x"), None), "job.subject", "line 1, column 4: unexpected end of input");
    check_refused(draft("", Some("a\n{% if x %}"), None), "job.text", "line 2, column 9: unexpected end of input");
    check_refused(draft("", None, Some("{{ a.b }}")), "job.html", "line 1, column 4: values have no parts");
    check_refused(draft("a\nb", Some("x"), None), "job.subject", "control character");
    check_refused(draft("", Some("\0"), None), "job.text", "NUL");
    let headers = vec![("X-Code".to_owned(), "{{ code }}".to_owned())];
    let headed = Draft { headers, ..draft("", Some("x"), None) };
    check_refused(headed, "job.headers[0].value", "headers are no templates");
    let headers = vec![("Bcc".to_owned(), "x@example.jp".to_owned())];
    check_refused(Draft { headers, ..draft("", Some("x"), None) }, "job.headers[0].name", "cannot be set");
    let headers = vec![("X-Long".to_owned(), "x".repeat(2_000))];
    check_refused(Draft { headers, ..draft("", Some("x"), None) }, "job.headers", "exceed 998");
}

#[track_caller]
fn check_values(values: &[&str], expected: Result<(), (&str, &str)>) {
    let renderer = renderer(draft("{{ a }}", Some("{{ b }}"), Some("{{ b }}")));
    let found = renderer.check(&recipient(values)).map(|_| ());
    match (found, expected) {
        (Err(error), Err((field, reason))) => {
            assert_eq!(error.field, field, "{error}");
            assert!(error.reason.contains(reason), "{error}");
        }
        (found, expected) => assert_eq!(found.is_ok(), expected.is_ok(), "{found:?}"),
    }
}

#[test]
fn values_that_can_be_written_nowhere_are_refused() {
    check_values(&["x", "line\r\n.\r\nline"], Ok(()));
    check_values(&["", ""], Ok(()));
    check_values(&["x\r\nBcc: evil@example.jp", ""], Err(("variables.a", "control character")));
    check_values(&["x\u{85}", ""], Err(("variables.a", "control character")));
    check_values(&["", "\0"], Err(("variables.b", "NUL")));
    check_values(&["x"], Err(("variables", "1 values for 2 variables")));
    check_values(&["", &"x".repeat(16 * 1_024)], Ok(()));
    check_values(&["", &"x".repeat(16 * 1_024 + 1)], Err(("variables", "more than 16384")));
    check_values(&[&"x".repeat(10_001), ""], Err(("variables", "subject would be longer")));
}

#[test]
fn templates_that_decide_compose_like_a_plain_mail() {
    let subject = "{{ name|upper }}{% if plan == 'gold' %}!{% endif %}";
    let text = Some("Dear {{ name|default('friend') }},\n{% for item in items|split(',') %}- {{ item }}\n{% endfor %}");
    let html = Some("<ul>{% for item in items|split(',') %}<li>{{ item }}</li>{% endfor %}</ul>");
    let values = ["taro", "gold", "tea,<rice>"];
    let filled_text = Some("Dear taro,\n- tea\n- <rice>\n");
    let filled_html = Some("<ul><li>tea</li><li>&lt;rice&gt;</li></ul>");
    check_same(draft(subject, text, html), &values, draft("TARO!", filled_text, filled_html));
    check_same(draft(subject, None, html), &values, draft("TARO!", None, filled_html));
    let japanese = |draft: Draft| Draft { charset: Charset::Iso2022Jp, ..draft };
    let text = Some("{{ name ~ '様' }}{% if plan == 'x' %}{{ items }}{% endif %}");
    for (name, plan, filled) in [("太郎", "x", "太郎様🍣"), ("太郎", "", "太郎様")] {
        let template = japanese(draft("{{ name }}", text, None));
        check_same(template, &[name, plan, "🍣"], japanese(draft(name, Some(filled), None)));
    }
}

/// The text that is made from HTML may have characters that no value and no template has.
#[test]
fn the_text_made_from_html_decides_on_the_charset_too() {
    let japanese = |html: &str, charset| Draft { charset, ..draft("飛脚", None, Some(html)) };
    for (html, value, filled) in [
        ("&#{{ n }};", "127843", "&#127843;"),
        ("{{ n|safe }}", "&#x1F363;", "&#x1F363;"),
        ("{% if n %}&#x{{ n }};{% endif %}", "1F363", "&#x1F363;"),
        ("<p>{{ n }}", "&#127843;", "<p>&amp;#127843;"),
        ("&#{{ n }};", "39138", "&#39138;"),
    ] {
        check_same(japanese(html, Charset::Iso2022Jp), &[value], japanese(filled, Charset::Iso2022Jp));
        let renderer = renderer(japanese(html, Charset::Iso2022JpReject));
        let is_outside = filled == "&#127843;" || filled == "&#x1F363;";
        assert_eq!(renderer.check(&recipient(&[value])).is_err(), is_outside, "{html}");
    }
}

#[test]
fn readers_leave_by_places_of_their_own() {
    let listed = |url: &str, mailto: Option<&str>| Draft {
        list_unsubscribe: Some(ListUnsubscribe {
            url: Some(url.into()),
            mailto: mailto.map(Into::into),
            one_click: true,
        }),
        ..draft("Hi", Some("{{ name }}"), None)
    };
    let each = listed("https://example.jp/{{ list }}?u={{ name }}", Some("leave-{{ list }}@example.jp"));
    let plain = listed("https://example.jp/a%2Fb?u=%E5%A4%AA%26", Some("leave-a%2Fb@example.jp"));
    check_same(each.clone(), &["太&", "a/b"], Draft { text: Some("太&".into()), ..plain });
    let same = listed("https://example.jp/", None);
    check_same(same.clone(), &["x"], Draft { text: Some("x".into()), ..same });
    check_refused(listed("http://example.jp/", None), "job.list_unsubscribe.url", "https");
    check_refused(listed("https://example.jp/{{ a", None), "job.list_unsubscribe.url", "line 1, column 23");
    let long = renderer(each).check(&recipient(&["x", &"y".repeat(1_000)])).expect_err("too long");
    assert_eq!(long.field, "variables");
    assert!(long.reason.contains("the list_unsubscribe.url must be an https URL of 1 to 900"), "{long}");
}

/// What a recipient of `{{ a }}` in a subject that decides, and of a text, is told.
#[track_caller]
fn check_untaken(subject: &str, text: &str, values: &[Option<&str>], field: &str, reason: &str) {
    let renderer = renderer(draft(subject, Some(text), None));
    let values = values.iter().map(|value| value.map(str::to_owned)).collect();
    let recipient = MergeRecipient { values, ..recipient(&[]) };
    let error = renderer.check(&recipient).expect_err(reason);
    assert_eq!(error.field, field, "{error}");
    assert!(error.reason.contains(reason), "{error}");
    if !reason.contains("character") && !reason.contains("longer") {
        assert_eq!(renderer.render(&recipient, &identity(1)), Err(error));
    }
}

#[test]
fn what_a_recipient_cannot_fill_in_names_the_template_and_the_variable() {
    let subject = "{{ a|upper }}";
    check_untaken(subject, "x", &[None], "variables.a", "is missing: line 1, column 6 of the subject needs it");
    check_untaken("x", "\n{{ a }}", &[None], "variables.a", "is missing: line 2, column 4 of the text needs it");
    check_untaken(
        "x",
        "{{ 1 % a|int }}",
        &[Some("0")],
        "variables",
        "line 1, column 4 of the text cannot be filled in",
    );
    check_untaken(subject, "x", &[Some("a\nBcc: x")], "variables", "the subject would have a control character");
    check_untaken("{{ '\\n' }}", "x", &[], "variables", "the subject would have a control character");
    check_untaken("x", "{{ '\\x00' }}", &[], "variables", "a NUL character");
    check_untaken(subject, "x", &[Some(&"x".repeat(10_001))], "variables", "subject would be longer");
    let loops = "{% for i in range(1000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}";
    check_untaken("x", loops, &[], "variables", "more than 50000 steps");
}

proptest! {
    #[test]
    fn whatever_is_taken_composes_and_injects_nothing(a in ".{0,80}", b in "(?s).{0,300}", name in "\\PC{0,40}") {
        let renderer = renderer(draft("S {{ a }}", Some("T {{ b }} {{ b }}"), Some("<p>{{ b }}{{ a }}</p>")));
        let recipient = MergeRecipient { name: Some(name), ..recipient(&[&a, &b]) };
        if let Ok(bytes_max) = renderer.check(&recipient) {
            let message = renderer.render(&recipient, &identity(9)).expect("what was taken").bytes;
            prop_assert!(message.len() <= bytes_max);
            prop_assert!(message.windows(2).all(|pair| (pair[0] == b'\r') == (pair[1] == b'\n')));
            prop_assert!(check_lines(&message).is_ok());
            let end = message.windows(4).position(|four| four == b"\r\n\r\n").expect("a blank line");
            let header = String::from_utf8_lossy(&message[..end]).into_owned();
            let names: Vec<_> = header
                .split("\r\n")
                .filter(|line| !line.starts_with(' '))
                .filter_map(|line| line.split(':').next())
                .collect();
            let expected = [
                "Date", "From", "Reply-To", "To", "Subject", "Message-ID", "X-Campaign", "X-Hikyaku-Job",
                "MIME-Version", "Content-Type",
            ];
            prop_assert_eq!(names, expected);
        }
    }
}
