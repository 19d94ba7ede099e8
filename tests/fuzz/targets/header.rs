//! Can a subject, a name or a header's value put a field into a message that nobody asked for?
#![no_main]

use hikyaku_daemon::{
    compose::message::compose,
    domain::mail::{Draft, ListUnsubscribe},
};
use hikyaku_fuzz::{FROM, addresses, charset, check_composed, draft, identity, mailbox, parsed, texts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (charset, data) = charset(data);
    let [subject, from, to, cc, name, value, text, url, mailto] = texts(data);
    let headers: Vec<_> = Some((name, value)).filter(|(name, _)| !name.is_empty()).into_iter().collect();
    let draft = Draft {
        from: mailbox(&from, FROM),
        to: vec![mailbox(&to, "to@example.jp"), mailbox("", "\"a, <b>\"@example.jp")],
        cc: vec![mailbox(&cc, "cc@example.jp")],
        subject,
        text: Some(text),
        headers,
        list_unsubscribe: list(url, mailto),
        charset,
        ..draft()
    };
    let Ok(message) = compose(&draft, &identity()) else { return };
    check_composed(&message, &draft.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    let parsed = parsed(&message);
    assert_eq!(addresses(parsed.from()), [FROM]);
    assert_eq!(addresses(parsed.to()).len(), 2);
    assert_eq!(addresses(parsed.cc()), ["cc@example.jp"]);
});

fn list(url: String, mailto: String) -> Option<ListUnsubscribe> {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let (url, mailto) = (given(url), given(mailto));
    let is_any = url.is_some() || mailto.is_some();
    is_any.then(|| ListUnsubscribe { one_click: url.is_some(), url, mailto })
}
