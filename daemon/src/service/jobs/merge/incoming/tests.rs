//! Which recipients of a merge job are taken, and what is said of the others.

use super::*;
use crate::{
    compose::merge::read_template,
    domain::{
        ids::{JobId, MessageKey},
        mail::Draft,
        time::Timestamp,
    },
};

const BYTES_MAX: u64 = 1_000_000;

fn incoming(text: &str, message_bytes_max: u64) -> Incoming {
    let draft = Draft {
        from: Mailbox { name: None, address: "shop@example.jp".parse().expect("an address") },
        reply_to: Vec::new(),
        to: Vec::new(),
        cc: Vec::new(),
        subject: "Hello".into(),
        text: Some(text.into()),
        html: None,
        headers: Vec::new(),
        in_reply_to: None,
        references: Vec::new(),
        list_unsubscribe: None,
        auto_submitted: None,
        attachments: Vec::new(),
        charset: crate::domain::charset::Charset::default(),
    };
    let template = read_template(draft).expect("a template");
    let job = JobId::new(Timestamp::EPOCH, [7; 10]);
    let renderer = Renderer::new(&template, job).expect("a renderer");
    let address = template.draft.from.address;
    let identity = Identity::of_merge(MessageKey { job, index: 0 }, "proof".into(), &address, Timestamp::EPOCH);
    Incoming::new(renderer, identity, Bounds { message_bytes_max, recipient_names: true, lenient_addresses: false })
}

fn recipient(address: &str, name: &str, variables: &[(&str, &str)]) -> v1::MergeRecipient {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    v1::MergeRecipient { address: address.into(), name: name.into(), variables }
}

#[track_caller]
fn check(text: &str, recipient: v1::MergeRecipient, expected: Result<&[&str], (&str, &str)>) {
    let mut incoming = incoming(text, BYTES_MAX);
    incoming.take(vec![self::recipient("first@example.jp", "First", &[("code", "1")])]).expect("a good one");
    match (incoming.take(vec![recipient]), expected) {
        (Ok(taken), Ok(values)) => {
            let taken: Vec<_> = taken[0].values.iter().map(|value| value.as_deref().unwrap_or("(none)")).collect();
            assert_eq!(taken, values);
        }
        (Err(found), Err((field, reason))) => {
            assert_eq!(found[0].field, field);
            assert!(found[0].description.contains(reason), "{found:?}");
        }
        (taken, expected) => panic!("{taken:?}, expected {expected:?}"),
    }
}

#[test]
fn only_the_values_that_are_used_are_kept() {
    let full = || recipient("a@example.jp", "Taro", &[("code", "7"), ("more", "x")]);
    check("{{ code }}", full(), Ok(&["7"]));
    check("no variables", full(), Ok(&[]));
    check("{{ name }} {{ address }} {{ code }}", full(), Ok(&["Taro", "a@example.jp", "7"]));
    check("{{ more|default('') }}{{ other|default('') }}", full(), Ok(&["x", "(none)"]));
    let renamed = recipient("a@example.jp", "Taro", &[("name", ""), ("code", "7")]);
    check("{{ name }}", renamed, Ok(&[""]));
}

#[test]
fn mistakes_name_the_recipient_by_its_place_in_the_stream() {
    let missing = "is missing: line 1, column 4 of the text needs it";
    check("{{ code }}", recipient("a@example.jp", "", &[]), Err(("recipients[1].variables.code", missing)));
    check("{{ name }}", recipient("a@example.jp", "", &[]), Err(("recipients[1].variables.name", missing)));
    check("x", recipient("nobody", "", &[]), Err(("recipients[1].address", "has no @")));
    check("x", recipient("a@example.jp", "a\r\nBcc: x", &[]), Err(("recipients[1].name", "line break")));
    check(
        "{% if code %}{% endif %}",
        recipient("a@example.jp", "", &[]),
        Err(("recipients[1].variables.code", "is missing")),
    );
    let division = "{% if code == '1' %}{{ 1 // 1 }}{% else %}\n{{ 1 // code|int }}{% endif %}";
    let zero = recipient("a@example.jp", "", &[("code", "0")]);
    check(division, zero, Err(("recipients[1].variables", "line 2, column 4 of the text cannot be filled in:")));
    let nul = recipient("a@example.jp", "", &[("code", "\0")]);
    check("{{ code }}", nul, Err(("recipients[1].variables.code", "NUL")));
}

#[test]
fn all_that_is_wrong_with_a_batch_is_said_at_once() {
    let mut incoming = incoming("{{ code }}", BYTES_MAX);
    let batch = (0..1_000).map(|_| recipient("nobody", "", &[])).collect();
    let found = incoming.take(batch).expect_err("mistakes");
    assert!(found.last().is_some_and(|last| last.description.ends_with("950 more mistakes are not listed")));
}

#[test]
fn batches_and_streams_are_bounded() {
    let mut incoming = incoming("x", BYTES_MAX);
    let batch = |count| vec![recipient("a@example.jp", "", &[]); count];
    assert_eq!(incoming.take(batch(1_001)).expect_err("too many")[0].field, "recipients");
    incoming.count = MERGE_RECIPIENTS_MAX - 1;
    assert_eq!(incoming.take(batch(2)).expect_err("too many")[0].description, "are more than 1000000");
    assert!(incoming.take(batch(1)).is_ok());
}

#[test]
fn a_message_that_is_too_long_for_its_account_is_refused() {
    let mut incoming = incoming("{{ text }}", 2_000);
    let with = |bytes: usize| vec![recipient("a@example.jp", "", &[("text", &"x".repeat(bytes))])];
    assert!(incoming.take(with(1_000)).is_ok());
    let found = incoming.take(with(2_000)).expect_err("too long");
    assert_eq!(found[0].field, "recipients[1]");
    assert!(found[0].description.ends_with("the account allows 2000"), "{found:?}");
}

#[test]
fn a_stream_without_recipients_is_refused() {
    assert_eq!(incoming("x", BYTES_MAX).finish().expect_err("none")[0].field, "recipients");
}

#[test]
fn addresses_that_come_again_are_counted() {
    let mut incoming = incoming("x", BYTES_MAX);
    for address in ["a@example.jp", "b@example.jp", "A@Example.jp", "a@example.jp"] {
        incoming.take(vec![recipient(address, "", &[])]).expect("a good one");
    }
    let whole = incoming.finish().expect("recipients");
    assert_eq!(whole.recipients, 4);
    assert!(whole.warning.is_some_and(|warning| warning.starts_with("2 of the recipients")));
}

#[test]
fn the_payload_hash_knows_no_requests() {
    let all = [recipient("a@example.jp", "", &[("x", "1")]), recipient("b@example.jp", "", &[])];
    let hash = |batches: &[&[v1::MergeRecipient]]| {
        let mut hash = PayloadHash::default();
        batches.iter().copied().flatten().for_each(|recipient| hash.add(recipient));
        hash.finish()
    };
    assert_eq!(hash(&[&all]), hash(&[&all[..1], &all[1..]]));
    assert_ne!(hash(&[&all]), hash(&[&all[1..], &all[..1]]));
    assert_ne!(hash(&[&all]), hash(&[&all[..1]]));
}
