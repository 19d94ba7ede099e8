//! Can the name, the type or the bytes of a file break the message that carries it, or come out as others?
//!
//! Uploads as they come over the wire belong here too: split `data` by its first byte, as `charset` does.
#![no_main]

use bytes::Bytes;
use hikyaku_daemon::{
    compose::message::compose,
    domain::mail::{Attachment, Draft},
};
use hikyaku_fuzz::{check_composed, draft, identity, mailbox, parsed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (charset, data) = hikyaku_fuzz::charset(data);
    let mut pieces = data.splitn(4, |byte| *byte == 0xff);
    let mut piece = || pieces.next().unwrap_or_default();
    let mut text = || String::from_utf8_lossy(piece()).into_owned();
    let (file_name, media_type, content_id) = (text(), text(), text());
    let content = Bytes::copy_from_slice(piece());
    let file = Attachment {
        file_name,
        media_type: if media_type.is_empty() { "application/octet-stream".into() } else { media_type },
        content: content.clone(),
        content_id: Some(content_id).filter(|id| !id.is_empty()),
    };
    let kind = file.media_type.to_ascii_lowercase();
    let html = file.content_id.is_some().then(|| "<p>hello</p>".to_owned());
    let to = vec![mailbox("", "to@example.jp")];
    let draft = Draft { to, html, attachments: vec![file], charset, ..draft() };
    let Ok(message) = compose(&draft, &identity()) else { return };
    check_composed(&message, &[]);
    let parsed = parsed(&message);
    // A parser may decode texts by their charsets, and read messages.
    if kind.starts_with("application/") || kind.starts_with("image/") {
        assert!(parsed.parts.iter().any(|part| part.contents() == &content[..]), "the file comes out as it went in");
    }
});
