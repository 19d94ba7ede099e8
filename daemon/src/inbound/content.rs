//! What does a mail hold that is no bounce: its header, its text, its files, and in which fields the account stands?

use mail_parser::{HeaderValue, Message, MessageParser, MimeHeaders, PartType};

use crate::domain::{
    account::{AccountSettings, InboundMarks, SenderPattern},
    address::Address,
    inbound::{
        ATTACHMENTS_MAX, HEADERS_BYTES_MAX, HEADERS_MAX, InboundContent, InboundField, InboundPresence, LINE_BYTES_MAX,
        TEXT_BYTES_MAX,
    },
};

/// Most addresses of a field that are looked at.
const ADDRESSES_MAX: usize = 500;
/// Most presences that are told of a mail.
const PRESENCES_MAX: usize = 50;

/// What a mail holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Its header fields.
    pub(super) headers: Vec<(Box<str>, Box<str>)>,
    /// Its text.
    pub(super) text: Box<str>,
    /// Whether the text was cut.
    pub(super) is_text_cut: bool,
    /// Its files.
    pub(super) files: Vec<File>,
    /// The addresses in To, Cc and From.
    pub(super) addresses: Vec<(InboundField, Box<str>)>,
}

/// A file in a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) name: Box<str>,
    pub(super) media_type: Box<str>,
    pub(super) bytes: Vec<u8>,
}

/// Reads a mail. Everything is bounded; what is beyond is left out.
pub(super) fn read(raw: &[u8]) -> Contents {
    let Some(mail) = MessageParser::default().parse(raw) else {
        return Contents::default();
    };
    let (text, is_text_cut) = text(&mail);
    Contents { headers: headers(&mail), text, is_text_cut, files: files(&mail), addresses: addresses(&mail) }
}

impl Contents {
    /// What is kept of it, with the account's marks. Its files are told of by whoever saves them.
    pub(super) fn keep(&self, settings: &AccountSettings, user: Option<&str>) -> InboundContent {
        InboundContent {
            headers: self.headers.clone(),
            text: self.text.clone(),
            is_text_cut: self.is_text_cut,
            attachments: Vec::new(),
            presences: presences(&self.addresses, settings, user),
        }
    }
}

fn headers(mail: &Message<'_>) -> Vec<(Box<str>, Box<str>)> {
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for header in mail.headers().iter().take(HEADERS_MAX) {
        let raw = mail.raw_message().get(header.offset_start() as usize..header.offset_end() as usize);
        let value = match header.value() {
            HeaderValue::Text(text) => unfolded(text),
            _ => unfolded(&String::from_utf8_lossy(raw.unwrap_or_default())),
        };
        let name = cut(header.name(), LINE_BYTES_MAX);
        bytes += name.len() + value.len();
        if bytes > HEADERS_BYTES_MAX {
            break;
        }
        kept.push((name.into(), value.into()));
    }
    kept
}

/// A field's value on one line (RFC 5322 2.2.3).
fn unfolded(value: &str) -> String {
    value.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn text(mail: &Message<'_>) -> (Box<str>, bool) {
    let mut text = String::new();
    for at in 0..mail.text_body.len().min(ATTACHMENTS_MAX) {
        // It is made from HTML where there is only that.
        let Some(part) = mail.body_text(at) else { continue };
        // One character more, so that it is seen whether there was more.
        let room = (TEXT_BYTES_MAX + 4).saturating_sub(text.len());
        text.push_str(cut(&part, room));
    }
    let is_cut = text.len() > TEXT_BYTES_MAX;
    (cut(&text, TEXT_BYTES_MAX).into(), is_cut)
}

fn files(mail: &Message<'_>) -> Vec<File> {
    let files = mail.attachments().take(ATTACHMENTS_MAX).map(|part| {
        let media_type = part.content_type().map(|kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        });
        let media_type = media_type.unwrap_or_else(|| match &part.body {
            PartType::Text(_) => "text/plain".to_owned(),
            PartType::Html(_) => "text/html".to_owned(),
            PartType::Message(_) => "message/rfc822".to_owned(),
            _ => "application/octet-stream".to_owned(),
        });
        File {
            name: cut(part.attachment_name().unwrap_or_default(), LINE_BYTES_MAX).into(),
            media_type: cut(&media_type, LINE_BYTES_MAX).into(),
            bytes: part.contents().to_vec(),
        }
    });
    files.collect()
}

fn addresses(mail: &Message<'_>) -> Vec<(InboundField, Box<str>)> {
    let fields = [(InboundField::To, mail.to()), (InboundField::Cc, mail.cc()), (InboundField::From, mail.from())];
    let mut found = Vec::new();
    for (field, value) in fields {
        let Some(value) = value else { continue };
        let named = value.iter().take(ADDRESSES_MAX).filter_map(|one| one.address());
        found.extend(named.map(|address| (field, cut(address, LINE_BYTES_MAX).into())));
    }
    found
}

/// Which addresses of the account stand where, with the account's marks: its From, those that it may send as, and its user name.
fn presences(
    addresses: &[(InboundField, Box<str>)],
    settings: &AccountSettings,
    user: Option<&str>,
) -> Vec<InboundPresence> {
    let own = |text: &str| {
        let is_user = user.is_some_and(|user| user.contains('@') && user.eq_ignore_ascii_case(text));
        is_user || text.parse::<Address>().is_ok_and(|address| is_own(&address, settings))
    };
    let marks = |field| match field {
        InboundField::To => settings.mailbox.as_ref().map(|mailbox| &mailbox.marks_to),
        InboundField::Cc => settings.mailbox.as_ref().map(|mailbox| &mailbox.marks_cc),
        InboundField::From => settings.mailbox.as_ref().map(|mailbox| &mailbox.marks_from),
    };
    let mut presences: Vec<InboundPresence> = Vec::new();
    for (field, address) in addresses.iter().filter(|(_, address)| own(address)).take(PRESENCES_MAX) {
        if presences.iter().any(|known| known.field == *field && known.address.eq_ignore_ascii_case(address)) {
            continue;
        }
        let InboundMarks { labels, status } = marks(*field).cloned().unwrap_or_default();
        presences.push(InboundPresence { field: *field, address: address.clone(), labels, status: status.into() });
    }
    presences
}

fn is_own(address: &Address, settings: &AccountSettings) -> bool {
    SenderPattern::Address(settings.from.address.clone()).matches(address)
        || settings.may_send_as.iter().any(|pattern| pattern.matches(address))
}

/// The beginning of a text, at most so many bytes.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::contract::samples::sample_account;

    const MAIL: &str = "From: =?UTF-8?Q?J=C3=B6rg?= <joerg@example.org>\r\nTo: Shop <A@example.jp>, b@example.org\r\n\
        Cc: a@example.jp, a@example.jp\r\nSubject: =?UTF-8?Q?caf=C3=A9?=\r\nX-Long: one\r\n two\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n\
        --x\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--x--\r\n";

    #[test]
    fn a_mail_is_taken_apart() {
        let contents = read(MAIL.as_bytes());
        let header =
            |name: &str| contents.headers.iter().find(|(known, _)| &**known == name).map(|(_, value)| &**value);
        assert_eq!(header("Subject"), Some("café"));
        assert_eq!(header("X-Long"), Some("one two"));
        assert_eq!((contents.text.trim(), contents.is_text_cut), ("Hello", false));
        let [file] = contents.files.as_slice() else { panic!("{:?}", contents.files) };
        assert_eq!((&*file.name, &*file.media_type, file.bytes.as_slice()), ("a.pdf", "application/pdf", &b"ABC"[..]));
    }

    #[test]
    fn the_accounts_addresses_are_met_once_a_field() {
        let settings = sample_account("a").settings;
        let shown = |user: Option<&str>| {
            let presences = read(MAIL.as_bytes()).keep(&settings, user).presences;
            presences.into_iter().map(|one| format!("{:?} {}", one.field, one.address)).collect::<Vec<_>>()
        };
        assert_eq!(shown(None), ["To A@example.jp", "Cc a@example.jp"]);
        assert_eq!(shown(Some("Joerg@example.org")), ["To A@example.jp", "Cc a@example.jp", "From joerg@example.org"]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let many: String = (0..5_000).map(|at| format!("X-{at}: {}\r\n", "v".repeat(100))).collect();
        let contents = read(format!("{many}\r\n{}", "é".repeat(400_000)).as_bytes());
        assert!(contents.headers.len() <= HEADERS_MAX);
        assert!(contents.text.len() <= TEXT_BYTES_MAX && contents.is_text_cut);
        assert_eq!(read(b""), Contents::default());
    }
}
