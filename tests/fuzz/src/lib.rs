//! What fuzz targets share: how input is cut, what the least draft is, and what holds of every message.

use hikyaku_daemon::{
    compose::{identity::Identity, message::LINE_BYTES_MAX},
    domain::{
        charset::Charset,
        ids::JobId,
        mail::{Draft, Mailbox, Message},
        time::Timestamp,
    },
};

/// What the sender of every draft is.
pub const FROM: &str = "shop@example.jp";
/// What stands between the texts of an input: no UTF-8 has it.
const SEPARATOR: u8 = 0xff;
/// The fields that a composed message may have besides those that were asked for, each once.
const OWN_FIELDS: [&str; 17] = [
    "date",
    "from",
    "reply-to",
    "to",
    "cc",
    "subject",
    "message-id",
    "in-reply-to",
    "references",
    "auto-submitted",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "x-hikyaku-job",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
];

/// The input as so many texts; those that it lacks are empty.
pub fn texts<const COUNT: usize>(data: &[u8]) -> [String; COUNT] {
    let mut pieces = data.splitn(COUNT, |byte| *byte == SEPARATOR);
    std::array::from_fn(|_| String::from_utf8_lossy(pieces.next().unwrap_or_default()).into_owned())
}

/// The charset that the first byte of an input chooses, and the rest.
pub fn charset(data: &[u8]) -> (Charset, &[u8]) {
    let (first, rest) = data.split_first().unwrap_or((&0, data));
    let charset = match first % 4 {
        0 => Charset::Utf8,
        1 => Charset::Iso2022Jp,
        2 => Charset::Iso2022JpReplace,
        _ => Charset::Iso2022JpReject,
    };
    (charset, rest)
}

/// A name, where there is one, at a good address.
pub fn mailbox(name: &str, address: &str) -> Mailbox {
    let name = Some(name.to_owned()).filter(|name| !name.trim().is_empty());
    Mailbox { name, address: address.parse().expect("a good address") }
}

/// The least that can be sent, to nobody yet.
pub fn draft() -> Draft {
    Draft {
        from: mailbox("", FROM),
        reply_to: Vec::new(),
        to: Vec::new(),
        cc: Vec::new(),
        subject: String::new(),
        text: Some("hello".into()),
        html: None,
        headers: Vec::new(),
        in_reply_to: None,
        references: Vec::new(),
        list_unsubscribe: None,
        auto_submitted: None,
        attachments: Vec::new(),
        charset: Charset::Utf8,
    }
}

/// The same for all messages.
pub fn identity() -> Identity {
    let date = Timestamp::from_millis(1_700_000_000_000);
    let job = JobId::new(date, [7; 10]);
    Identity { message_id: "<id@example.jp>".into(), date, job, place: None }
}

/// The names of the fields of a message in lower case.
///
/// # Panics
/// When the message is not made of short lines that end in CRLF, has a NUL, or has a line in its header that is neither a
/// field nor goes on one.
pub fn field_names(message: &Message) -> Vec<String> {
    let bytes = &message.bytes;
    assert_eq!(message.is_eight_bit, !bytes.is_ascii());
    assert!(!bytes.contains(&0), "a NUL");
    let body = bytes.strip_suffix(b"\r\n").expect("it ends with CRLF");
    let mut names = Vec::new();
    let mut is_header = true;
    for line in body.split(|byte| *byte == b'\n') {
        let is_last = line.as_ptr_range().end == body.as_ptr_range().end;
        let line = if is_last { line } else { line.strip_suffix(b"\r").expect("no bare LF") };
        assert!(!line.contains(&b'\r'), "a bare CR");
        assert!(line.len() <= LINE_BYTES_MAX, "a line of {} bytes", line.len());
        is_header &= !line.is_empty();
        if is_header && !matches!(line[0], b' ' | b'\t') {
            let colon = line.iter().position(|byte| *byte == b':').expect("a field has a colon");
            let name = line[..colon].trim_ascii_end();
            assert!(!name.is_empty() && name.iter().all(u8::is_ascii_graphic), "{name:?} is no name");
            names.push(String::from_utf8_lossy(name).to_ascii_lowercase());
        }
        assert!(!is_header || !names.is_empty(), "the header begins with a field");
    }
    names
}

/// Fails unless a composed message has the fields of a message, each once, and those of these names.
pub fn check_composed(message: &Message, asked_for: &[String]) {
    let mut left: Vec<String> = asked_for.iter().map(|name| name.to_ascii_lowercase()).collect();
    let mut own = Vec::new();
    for name in field_names(message) {
        if let Some(place) = left.iter().position(|one| *one == name) {
            left.swap_remove(place);
            continue;
        }
        assert!(OWN_FIELDS.contains(&name.as_str()), "{name:?} was injected");
        assert!(!own.contains(&name), "{name:?} stands twice");
        own.push(name);
    }
    assert!(left.is_empty(), "{left:?} are not there");
}

/// The message as an independent parser reads it.
pub fn parsed(message: &Message) -> mail_parser::Message<'_> {
    mail_parser::MessageParser::default().parse(&message.bytes[..]).expect("it can be parsed")
}

/// The addresses of a field, as an independent parser reads it.
pub fn addresses<'a>(field: Option<&'a mail_parser::Address<'a>>) -> Vec<&'a str> {
    field.map(|field| field.iter().filter_map(mail_parser::Addr::address).collect()).unwrap_or_default()
}
