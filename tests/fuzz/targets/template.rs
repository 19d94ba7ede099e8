//! Can a template or a recipient's values break the message, or make it longer than was foretold?
#![no_main]

use hikyaku_daemon::{
    compose::merge::{Renderer, read_template},
    domain::{mail::Draft, merge::MergeRecipient},
};
use hikyaku_fuzz::{FROM, addresses, charset, check_composed, draft, identity, parsed, texts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (charset, data) = charset(data);
    let [subject, text, html, name, first, second, others] = texts(data);
    let text = Some(text).filter(|text| !text.is_empty() || html.is_empty());
    let html = Some(html).filter(|html| !html.is_empty());
    let Ok(template) = read_template(Draft { subject, text, html, charset, ..draft() }) else { return };
    let identity = identity();
    let Ok(renderer) = Renderer::new(&template, identity.job) else { return };
    let given = [first, second].into_iter().chain(std::iter::repeat(others));
    let recipient = MergeRecipient {
        address: "to@example.jp".parse().expect("an address"),
        // The service refuses others before.
        name: Some(name).filter(|name| !name.is_empty() && !name.chars().any(char::is_control)),
        values: given.map(Some).take(renderer.variables().len()).collect(),
    };
    let Ok(bytes_max) = renderer.check(&recipient) else { return };
    let message = renderer.render(&recipient, &identity).expect("whoever was checked has a message");
    assert!(message.bytes.len() <= bytes_max, "{} bytes, {bytes_max} were foretold", message.bytes.len());
    check_composed(&message, &[]);
    let parsed = parsed(&message);
    assert_eq!(addresses(parsed.from()), [FROM]);
    assert_eq!(addresses(parsed.to()), ["to@example.jp"]);
});
