//! Whether messages are signed as verifiers expect, by keys that are given in several forms.

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::*;
use crate::domain::dkim::{DkimAlgorithm, DkimKeyId};

/// Made for these tests and used for nothing else.
const RSA_PKCS1: &str = include_str!("testdata/rsa2048_pkcs1.pem");
const RSA_PKCS8: &str = include_str!("testdata/rsa2048_pkcs8.pem");
const RSA_PUBLIC: &str = include_str!("testdata/rsa2048_public.pem");
const RSA_SHORT: &str = include_str!("testdata/rsa1024.pem");
const RSA_ODD: &str = include_str!("testdata/rsa3072.pem");
const ED25519: &str = include_str!("testdata/ed25519.pem");
const EC: &str = include_str!("testdata/ec.pem");

/// The message of RFC 8463 A.3 with its Ed25519 signature.
const RFC8463: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
    d=football.example.com; i=@football.example.com;\r\n \
    q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n \
    subject : date : message-id : from : subject : date;\r\n \
    bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
    b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n \
    Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
    From: Joe SixPack <joe@football.example.com>\r\n\
    To: Suzie Q <suzie@shopping.example.net>\r\n\
    Subject: Is dinner ready?\r\n\
    Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
    \r\n\
    Hi.\r\n\
    \r\n\
    We lost the game.  Are you hungry yet?\r\n\
    \r\n\
    Joe.\r\n";

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_340_096_123)
}

fn id(text: &str) -> DkimKeyId {
    text.parse().expect("a name")
}

fn key(name: &str, pem: &str) -> Arc<SigningKey> {
    Arc::new(SigningKey::open(id(name), &read_pem(pem).expect("a key in PEM")).expect("a key that signs"))
}

fn brisbane() -> SigningKey {
    let seed = BASE64_STANDARD.decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").expect("base64");
    let pkcs8 = pkcs8_of_ed25519(&seed.try_into().expect("32 bytes"));
    SigningKey::open(id("brisbane._domainkey.football.example.com"), &pkcs8).expect("a key that signs")
}

fn message(text: &str) -> Message {
    Message { bytes: Bytes::from(text.to_owned()), is_eight_bit: !text.is_ascii() }
}

#[test]
fn the_signature_of_rfc_8463_is_made_anew() {
    let key = brisbane();
    assert_eq!(BASE64_STANDARD.encode(key.public_key()), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let (header, body) = split(RFC8463.as_bytes());
    assert_eq!(BASE64_STANDARD.encode(hash_of_body(body)), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
    let fields = fields(header);
    let own = std::str::from_utf8(fields[0].lines).expect("ASCII");
    let (head, value) = own.split_once(" b=").expect("a value");
    let names = ["from", "to", "subject", "date", "message-id", "from", "subject", "date"];
    let signed = signed_bytes(&names, &fields, format!("{head} b=").as_bytes());
    assert!(signed.starts_with(b"from:Joe SixPack <joe@football.example.com>\r\nto:Suzie Q"));
    let value: String = value.split_ascii_whitespace().collect();
    assert_eq!(BASE64_STANDARD.encode(key.sign(&signed)), value);
}

#[test]
fn the_tags_stand_in_folded_lines() {
    let text = "Date: x\r\nFrom: Taro <t@example.jp>\r\nTo: a@x.jp\r\nSubject: s\r\nX-Other: y\r\n\
                List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Unsubscribe: <https://x.jp/u>\r\n\r\nHi\r\n";
    let key = Arc::new(brisbane());
    let signed = sign(message(text), std::slice::from_ref(&key), now());
    let signed = String::from_utf8(signed.bytes.to_vec()).expect("text");
    let field = signed.strip_suffix(text).expect("the message follows as it was");
    let expected = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
                    d=football.example.com; s=brisbane; t=1795340096; h=From:From:To:Subject:\r\n \
                    Date:List-Unsubscribe:List-Unsubscribe-Post;\r\n bh=";
    assert!(field.starts_with(expected), "{field}");
    assert!(field.ends_with("==\r\n") && field.lines().all(|line| line.len() <= FOLD_COLUMNS), "{field}");
    assert_eq!(sign(message(text), std::slice::from_ref(&key), now()).bytes, signed);
}

/// What an RSA signature over a message is, as any verifier would see it.
#[track_caller]
fn check_rsa(bytes: &[u8], public: &[u8]) -> bool {
    let (header, body) = split(bytes);
    let fields = fields(header);
    let own = std::str::from_utf8(fields[0].lines).expect("ASCII");
    let unfolded: String = own.split_ascii_whitespace().collect();
    let tag = |name: &str| {
        let (_, rest) = unfolded.split_once(&format!(";{name}=")).expect(name);
        rest.split(';').next().unwrap_or_default().to_owned()
    };
    let at = own.rfind("b=").expect("a value") + 2;
    let names = tag("h");
    let names: Vec<&str> = names.split(':').collect();
    let data = signed_bytes(&names, &fields[1..], &own.as_bytes()[..at]);
    let signature = BASE64_STANDARD.decode(tag("b")).expect("base64");
    // The key's own form stands behind the header of 24 bytes of a SubjectPublicKeyInfo.
    let verified = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public[24..]).verify(&data, &signature);
    verified.is_ok() && tag("bh") == BASE64_STANDARD.encode(hash_of_body(body))
}

#[test]
fn a_changed_byte_breaks_a_signature_and_white_space_does_not() {
    let key = key("s1._domainkey.example.jp", RSA_PKCS1);
    let text = "From: t@example.jp\r\nSubject: Hello\r\nX-Other: y\r\n\r\nHello  world \r\n\r\n";
    let signed = sign(message(text), std::slice::from_ref(&key), now());
    let signed = String::from_utf8(signed.bytes.to_vec()).expect("text");
    for (from, to, verifies) in [
        ("", "", true),
        ("Subject: Hello", "subject :\r\n  Hello", true),
        ("Hello  world \r\n\r\n", "Hello world\r\n", true),
        ("X-Other: y", "X-Other: z", true),
        ("Subject: Hello", "Subject: Hullo", false),
        ("Hello  world", "Hullo  world", false),
        ("From: t@", "From: u@", false),
        ("X-Other: y", "From: u@example.jp", false),
        ("t=1795340096", "t=1795340097", false),
        ("h=From:From:", "h=From:", false),
    ] {
        let changed = signed.replacen(from, to, 1);
        assert_eq!(check_rsa(changed.as_bytes(), &key.public_key()), verifies, "{from:?} -> {to:?}");
    }
}

#[test]
fn signatures_of_several_keys_do_not_see_each_other() {
    let text = "From: t@example.jp\r\n\r\nHi\r\n";
    let rsa = key("s1._domainkey.example.jp", RSA_PKCS8);
    let ed25519 = key("s2._domainkey.esp.example", ED25519);
    let alone = sign(message(text), std::slice::from_ref(&rsa), now());
    let both = sign(message(text), &[Arc::clone(&rsa), ed25519], now());
    assert!(check_rsa(&both.bytes, &rsa.public_key()));
    let own = alone.bytes.strip_suffix(text.as_bytes()).expect("a signature");
    assert!(both.bytes.starts_with(own));
    assert_eq!(sign(message(text), &[], now()), message(text));
}

#[test]
fn how_long_signatures_are_is_known_before() {
    let keys =
        [key("s1._domainkey.example.jp", RSA_PKCS8), key("s2._domainkey.x.example", ED25519), Arc::new(brisbane())];
    for text in ["From: t@example.jp\r\n\r\n", "From: t@example.jp\r\nTo: a@x.jp\r\nSubject: 飛脚\r\n\r\nHi\r\n"] {
        let signed = sign(message(text), &keys, now());
        assert_eq!(signed.bytes.len(), text.len() + signature_bytes(&message(text), &keys, now()));
        assert_eq!(signed.is_eight_bit, !text.is_ascii());
    }
}

#[test]
fn a_signature_that_the_key_made_before_is_replaced() {
    let keys = [key("s1._domainkey.example.jp", RSA_PKCS8)];
    let once = sign(message("From: t@example.jp\r\n\r\nHi\r\n"), &keys, now());
    assert_eq!(sign(once.clone(), &keys, now()), once);
    let foreign = "DKIM-Signature: v=1; a=rsa-sha256; d=list.example; s=x; h=from; bh=; b=\r\n";
    let text = format!("{foreign}From: t@example.jp\r\n\r\nHi\r\n");
    let signed = sign(message(&text), &keys, now());
    assert!(signed.bytes.ends_with(text.as_bytes()), "those of others stay");
}

#[test]
fn each_of_several_fields_is_signed_from_the_bottom_up() {
    let text = "To: a\r\nFrom: t@example.jp\r\nto: b\r\n\r\n";
    let fields = fields(split(text.as_bytes()).0);
    let names = signed_names(&fields);
    assert_eq!(names, ["From", "From", "To", "To"]);
    let signed = signed_bytes(&names, &fields, b"X: y");
    assert_eq!(signed, b"from:t@example.jp\r\nto:b\r\nto:a\r\nx:y");
    let many = "To: a\r\n".repeat(50);
    assert_eq!(signed_names(&crate::compose::header_field::fields(many.as_bytes())).len(), SAME_NAME_MAX + 1);
}

#[track_caller]
fn check_key(pem: &str, expected: Result<DkimAlgorithm, BadKey>) {
    let opened = read_pem(pem).and_then(|pkcs8| SigningKey::open(id("s1._domainkey.example.jp"), &pkcs8));
    assert_eq!(opened.map(|key| key.algorithm()), expected, "{}", pem.lines().next().unwrap_or_default());
}

#[test]
fn keys_are_imported_in_several_forms() {
    check_key(RSA_PKCS1, Ok(DkimAlgorithm::Rsa { bits: 2_048 }));
    check_key(RSA_PKCS8, Ok(DkimAlgorithm::Rsa { bits: 2_048 }));
    check_key(RSA_ODD, Ok(DkimAlgorithm::Rsa { bits: 3_072 }));
    check_key(ED25519, Ok(DkimAlgorithm::Ed25519));
    check_key(RSA_SHORT, Err(BadKey::Size));
    check_key(EC, Err(BadKey::Kind));
    check_key(RSA_PUBLIC, Err(BadKey::Form));
    check_key("", Err(BadKey::Form));
    check_key(&RSA_PKCS8[..800], Err(BadKey::Form));
    let published = RSA_PUBLIC.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    assert_eq!(BASE64_STANDARD.encode(key("s1._domainkey.example.jp", RSA_PKCS1).public_key()), published);
}
