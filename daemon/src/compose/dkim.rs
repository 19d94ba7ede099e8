//! How a composed message is signed (RFC 6376, RFC 8463).
//!
//! Header and body are canonicalised "relaxed", all of the body is signed (no l=), and From is named once more than it
//! is there, so that none can be added. Each signature is computed over the message without the other ones.

mod canonical;
mod der;
mod key;

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use ring::digest::{Context, SHA256};

use self::canonical::{relaxed_body, relaxed_field};
pub use self::{
    der::{RsaParts, pkcs8_of_ed25519, pkcs8_of_rsa},
    key::{BadKey, SigningKey, read_pem},
};
use super::header_field::{Field, fields, split};
use crate::domain::{mail::Message, time::Timestamp};

/// The header fields that are signed where they are there. List-Unsubscribe and List-Unsubscribe-Post both have to be
/// (RFC 8058 4).
const SIGNED: [&str; 21] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Auto-Submitted",
    "List-ID",
    "List-Help",
    "List-Post",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Resent-From",
    "Feedback-ID",
];
/// Most fields of one name that are signed, the lowest ones. RFC 5322 3.6 allows one of most.
const SAME_NAME_MAX: usize = 8;
/// Columns after which a line of the signature is folded (RFC 5322 2.1.1).
const FOLD_COLUMNS: usize = 76;
/// Length of a SHA-256 hash in base64, in bytes.
const HASH_BYTES: usize = 44;

/// Puts a signature of each key before the message, the first key's first. The same message, keys and time give the
/// same bytes. A signature that a key had made before is taken away: it may be of other bytes.
#[must_use]
pub fn sign(message: Message, keys: &[Arc<SigningKey>], now: Timestamp) -> Message {
    if keys.is_empty() {
        return message;
    }
    let (header, body) = split(&message.bytes);
    let fields = fields(header);
    let body_hash = BASE64_STANDARD.encode(hash_of_body(body));
    let names = signed_names(&fields);
    let mut bytes = Vec::with_capacity(message.bytes.len() + keys.len() * 1_024);
    for key in keys {
        let head = head(key, &names, &body_hash, now);
        let signature = key.sign(&signed_bytes(&names, &fields, head.text.as_bytes()));
        bytes.extend_from_slice(whole(head, &BASE64_STANDARD.encode(signature)).as_bytes());
    }
    let is_replaced = |field: &Field<'_>| keys.iter().any(|key| field.is_signature_of(key.id()));
    for field in fields.iter().filter(|field| !is_replaced(field)) {
        bytes.extend_from_slice(field.lines);
    }
    bytes.extend_from_slice(body);
    Message { bytes: Bytes::from(bytes), is_eight_bit: message.is_eight_bit }
}

/// How many bytes [`sign`] adds to a message with these header fields and without signatures.
#[must_use]
pub fn signature_bytes(message: &Message, keys: &[Arc<SigningKey>], now: Timestamp) -> usize {
    if keys.is_empty() {
        return 0;
    }
    let names = signed_names(&fields(split(&message.bytes).0));
    let body_hash = "=".repeat(HASH_BYTES);
    let of_key = |key: &Arc<SigningKey>| {
        let signature = "=".repeat(key.signature_bytes().div_ceil(3) * 4);
        whole(head(key, &names, &body_hash, now), &signature).len()
    };
    keys.iter().map(of_key).sum()
}

/// The names for h=: each as often as there are such fields, From once more (RFC 6376 8.15).
fn signed_names(fields: &[Field<'_>]) -> Vec<&'static str> {
    let mut names = Vec::with_capacity(SIGNED.len());
    for name in SIGNED {
        let count = fields.iter().filter(|field| field.is(name)).count().min(SAME_NAME_MAX);
        names.extend(std::iter::repeat_n(name, count + usize::from(name == "From")));
    }
    names
}

/// What is signed (RFC 6376 3.7): the named fields, and at the end the signature's own without its value. A name that
/// comes again means the next such field from the bottom up (RFC 6376 5.4.2), and nothing when there is none left.
fn signed_bytes(names: &[&str], fields: &[Field<'_>], head: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let seen = names[..place].iter().filter(|earlier| earlier.eq_ignore_ascii_case(name)).count();
        if let Some(field) = fields.iter().rev().filter(|field| field.is(name)).nth(seen) {
            relaxed_field(field.lines, &mut bytes);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    relaxed_field(head, &mut bytes);
    bytes
}

fn hash_of_body(body: &[u8]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    // The blank line belongs to neither.
    relaxed_body(body.strip_prefix(b"\r\n").unwrap_or(body), |part| hash.update(part));
    hash.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// The signature's field up to and with `b=`.
fn head(key: &SigningKey, names: &[&str], body_hash: &str, now: Timestamp) -> Folded {
    let (id, seconds) = (key.id(), now.as_millis() / 1_000);
    let mut folded = Folded { text: String::from("DKIM-Signature:"), column: 15 };
    for tag in ["v=1;", &format!("a={};", key.algorithm_name()), "c=relaxed/relaxed;"] {
        folded.word(tag);
    }
    for tag in [format!("d={};", id.domain()), format!("s={};", id.selector()), format!("t={seconds};")] {
        folded.word(&tag);
    }
    let last = names.len().saturating_sub(1);
    for (place, name) in names.iter().enumerate() {
        let end = if place == last { ";" } else { ":" };
        match place {
            0 => folded.word(&format!("h={name}{end}")),
            _ => folded.glued(&format!("{name}{end}")),
        }
    }
    folded.word(&format!("bh={body_hash};"));
    folded.word("b=");
    folded
}

/// The whole field with its value and its line end.
fn whole(mut head: Folded, mut signature: &str) -> String {
    while !signature.is_empty() {
        let room = FOLD_COLUMNS.saturating_sub(head.column).clamp(1, signature.len());
        let (part, rest) = signature.split_at(room);
        head.glued(part);
        signature = rest;
        if !signature.is_empty() {
            head.fold();
        }
    }
    head.text.push_str("\r\n");
    head.text
}

/// A header field that is folded as it is written.
struct Folded {
    text: String,
    column: usize,
}

impl Folded {
    /// Adds a word after a space.
    fn word(&mut self, word: &str) {
        if self.column + 1 + word.len() > FOLD_COLUMNS {
            self.fold();
        } else {
            self.glued(" ");
        }
        self.glued(word);
    }

    /// Adds a text with nothing before it, or with a fold.
    fn glued(&mut self, text: &str) {
        if self.column > 1 && self.column + text.len() > FOLD_COLUMNS {
            self.fold();
        }
        self.text.push_str(text);
        self.column += text.len();
    }

    fn fold(&mut self) {
        self.text.push_str("\r\n ");
        self.column = 1;
    }
}

#[cfg(test)]
mod tests;
