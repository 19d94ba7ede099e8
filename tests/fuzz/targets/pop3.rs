//! Does a mail come out of POP3 as it went in, and can a list of messages name more than it may?
#![no_main]

use hikyaku_daemon::wire::pop3::{MESSAGES_MAX, UNIQUE_ID_BYTES_MAX, read_maildrop, read_response};
use libfuzzer_sys::fuzz_target;

/// What the server says to the next command.
const NEXT: &[u8] = b"+OK\r\n";

fuzz_target!(|data: &[u8]| {
    let Some((piece, data)) = data.split_first() else { return };
    let piece = usize::from(*piece).max(1);
    let response = read_response([data]);
    assert_eq!(response, read_response(data.chunks(piece)));

    let (content, wire) = stuffed(data);
    let mail = read_response(wire.chunks(piece));
    assert_eq!(mail.content, content);
    assert_eq!(mail.after.as_deref(), Some(NEXT));

    let maildrop = read_maildrop(data.chunks(piece), data.chunks(piece));
    assert_eq!(maildrop, read_maildrop([data], [data]));
    assert!(maildrop.len() <= MESSAGES_MAX);
    assert!(maildrop.iter().is_sorted_by(|one, next| one.number < next.number));
    for one in maildrop.iter() {
        assert!(one.number > 0 && (1..=UNIQUE_ID_BYTES_MAX).contains(&one.id.len()), "{one:?}");
        assert!(one.id.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{one:?}");
    }
});

/// A mail and how RFC 1939 3 has a server send it, with what follows; a last line without an end is given one.
fn stuffed(mail: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut mail = mail.to_vec();
    if mail.last().is_some_and(|&last| last != b'\n') {
        mail.extend_from_slice(b"\r\n");
    }
    let mut wire = Vec::new();
    for line in mail.split_inclusive(|&byte| byte == b'\n') {
        if line[0] == b'.' {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".\r\n");
    wire.extend_from_slice(NEXT);
    (mail, wire)
}
