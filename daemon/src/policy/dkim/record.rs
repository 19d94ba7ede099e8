//! What is published of a key, and what is wrong with what is (RFC 6376 3.6)?

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    prelude::BASE64_STANDARD,
};

use crate::domain::dkim::{DkimAlgorithm, DkimKey};

/// Most records that are looked at.
pub const RECORDS_MAX: usize = 16;
/// Longest string of a TXT record, in bytes (RFC 1035 3.3).
const STRING_BYTES_MAX: usize = 255;

/// Takes base64 with or without its padding, as verifiers do.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The TXT record to publish at the key's name.
#[must_use]
pub fn txt_record(key: &DkimKey) -> String {
    format!("v=DKIM1; k={}; p={}", kind(key), BASE64_STANDARD.encode(&key.public_key))
}

/// The same as a line of a zone file.
#[must_use]
pub fn zone_line(key: &DkimKey) -> String {
    let record = txt_record(key);
    let mut strings = Vec::new();
    let mut rest = record.as_str();
    while !rest.is_empty() {
        // The record is ASCII.
        let (string, others) = rest.split_at(rest.len().min(STRING_BYTES_MAX));
        strings.push(format!("\"{string}\""));
        rest = others;
    }
    format!("{}. IN TXT ( {} )", key.id, strings.join(" "))
}

/// What is wrong with the records that were found at a key's name; nothing when verifiers find the key there.
#[must_use]
pub fn problem(key: &DkimKey, found: &[String]) -> Option<String> {
    match found {
        [] => Some(format!("there is no TXT record at {}: publish txt_record there", key.id)),
        [one] => problem_of(key, one),
        several => {
            let right = several.iter().filter(|record| problem_of(key, record).is_none()).count();
            let which = if right > 0 { "leave only the one that is txt_record" } else { "none of them is txt_record" };
            Some(format!(
                "there are {} TXT records at {}, and a verifier may take any of them: {which}",
                several.len(),
                key.id
            ))
        }
    }
}

fn problem_of(key: &DkimKey, record: &str) -> Option<String> {
    let tags = match tags(record) {
        Ok(tags) => tags,
        Err(why) => return Some(format!("the record cannot be read: {why}")),
    };
    let tag = |name: &str| tags.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    // RFC 6376 3.6.1: v= comes first if it is there at all.
    match tags.iter().position(|(name, _)| *name == "v") {
        Some(place) if place > 0 => return Some("v= is not the first tag of the record".to_owned()),
        Some(_) if tag("v") != Some("DKIM1") => return Some("v= is not DKIM1".to_owned()),
        _ => {}
    }
    let listed = |name: &str, wanted: &[&str]| {
        tag(name).is_none_or(|list| list.split(':').any(|one| wanted.contains(&one.trim())))
    };
    let published = match tag("p") {
        None => return Some("the record has no p=: it holds no key".to_owned()),
        Some("") => return Some("p= is empty: the key is revoked".to_owned()),
        Some(value) => value.chars().filter(|c| !c.is_whitespace()).collect::<String>(),
    };
    let kind = kind(key);
    let published_kind = tag("k").unwrap_or("rsa");
    if published_kind != kind {
        return Some(format!("k= says {published_kind}, but the key is one for {kind}"));
    }
    match LENIENT.decode(&published) {
        Err(_) => return Some("p= is no base64: was a part of it lost?".to_owned()),
        Ok(bytes) if bytes == key.public_key => {}
        Ok(bytes) if key.public_key.starts_with(&bytes) => {
            return Some("p= is cut off: the record must be published in strings of at most 255 bytes".to_owned());
        }
        Ok(_) => return Some("p= is another key: publish txt_record in its place".to_owned()),
    }
    if !listed("h", &["sha256"]) {
        return Some("h= does not list sha256, which the signatures use".to_owned());
    }
    if !listed("s", &["*", "email"]) {
        return Some("s= lists neither email nor *, so the key is not for mail".to_owned());
    }
    let is_test = tag("t").is_some_and(|flags| flags.split(':').any(|flag| flag.trim() == "y"));
    is_test
        .then(|| "t=y says that the domain tests DKIM: verifiers then treat mail as if it were not signed".to_owned())
}

/// The tags of a record (RFC 6376 3.2).
fn tags(record: &str) -> Result<Vec<(&str, String)>, String> {
    let mut tags: Vec<(&str, String)> = Vec::new();
    let mut parts: Vec<&str> = record.split(';').collect();
    // The last semicolon may stand there without a tag behind it.
    if parts.last().is_some_and(|last| last.trim().is_empty()) {
        parts.pop();
    }
    for part in parts {
        let Some((name, value)) = part.split_once('=') else {
            return Err(format!("{:?} is no tag with a value", shown(part)));
        };
        let name = name.trim();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name {
            return Err(format!("{:?} is no name of a tag", shown(name)));
        }
        if tags.iter().any(|(known, _)| *known == name) {
            return Err(format!("{name}= is there twice"));
        }
        tags.push((name, value.trim().to_owned()));
    }
    Ok(tags)
}

fn shown(text: &str) -> String {
    text.trim().chars().take(40).collect()
}

const fn kind(key: &DkimKey) -> &'static str {
    match key.algorithm {
        DkimAlgorithm::Rsa { .. } => "rsa",
        DkimAlgorithm::Ed25519 => "ed25519",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{account::Stamp, dkim::DkimKeyId, time::Timestamp};

    fn key(algorithm: DkimAlgorithm, bytes: usize) -> DkimKey {
        let created = Stamp { at: Timestamp::EPOCH, by: "boss".parse().expect("a name") };
        let id = DkimKeyId::new("s1", "example.jp").expect("a name");
        DkimKey { id, algorithm, public_key: vec![0xa5; bytes], created }
    }

    #[test]
    fn records_are_cut_into_strings() {
        let rsa = key(DkimAlgorithm::Rsa { bits: 2_048 }, 294);
        let record = txt_record(&rsa);
        assert!(record.starts_with("v=DKIM1; k=rsa; p=paWlpaWl"), "{record}");
        let line = zone_line(&rsa);
        let strings: Vec<_> = line.split('"').skip(1).step_by(2).collect();
        assert!(line.starts_with("s1._domainkey.example.jp. IN TXT ( \"v=DKIM1; ") && line.ends_with("\" )"), "{line}");
        assert_eq!((strings.len(), strings.concat()), (2, record));
        assert!(strings.iter().all(|string| string.len() <= STRING_BYTES_MAX));
        let short = zone_line(&key(DkimAlgorithm::Ed25519, 32));
        assert_eq!(short.matches('"').count(), 2);
        assert!(short.contains("v=DKIM1; k=ed25519; p=paWl"), "{short}");
    }

    #[track_caller]
    fn check(found: &[&str], expected: Option<&str>) {
        let found: Vec<_> = found.iter().map(|record| (*record).to_owned()).collect();
        let told = problem(&key(DkimAlgorithm::Ed25519, 6), &found);
        match (told, expected) {
            (None, None) => {}
            (Some(told), Some(words)) if told.contains(words) => {}
            (told, expected) => panic!("{found:?}: {told:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_record_that_verifiers_take_is_taken() {
        check(&["v=DKIM1; k=ed25519; p=paWlpaWl"], None);
        check(&["v=DKIM1; k=ed25519; p=paWlpaWl;"], None);
        check(&["v=DKIM1;k=ed25519;p=paWl paWl"], None);
        check(&[" k = ed25519 ; p = paWlpaWl ; n=a note "], None);
        check(&["v=DKIM1; h=sha1:sha256; k=ed25519; s=email; t=s; p=paWlpaWl"], None);
    }

    #[test]
    fn what_is_wrong_with_a_record_is_told_exactly() {
        check(&[], Some("no TXT record"));
        check(&["v=DKIM1; k=ed25519; p=paWlpaWl", "v=spf1 -all"], Some("leave only the one"));
        check(&["v=spf1 -all", "x"], Some("none of them is"));
        check(&["v=DKIM1; k=ed25519; p="], Some("revoked"));
        check(&["v=DKIM1; k=ed25519"], Some("no p="));
        check(&["v=DKIM1; p=paWlpaWl"], Some("k= says rsa"));
        check(&["v=DKIM1; k=rsa; p=paWlpaWl"], Some("k= says rsa"));
        check(&["v=DKIM1; k=ed25519; p=paWlpaW!"], Some("no base64"));
        check(&["v=DKIM1; k=ed25519; p=paWl"], Some("cut off"));
        check(&["v=DKIM1; k=ed25519; p=AAAAAAAA"], Some("another key"));
        check(&["v=DKIM1; k=ed25519; t=y:s; p=paWlpaWl"], Some("t=y"));
        check(&["v=DKIM1; k=ed25519; h=sha1; p=paWlpaWl"], Some("h= does not list"));
        check(&["v=DKIM1; k=ed25519; s=tlsrpt; p=paWlpaWl"], Some("not for mail"));
        check(&["v=DKIM2; k=ed25519; p=paWlpaWl"], Some("v= is not DKIM1"));
        check(&["k=ed25519; v=DKIM1; p=paWlpaWl"], Some("not the first tag"));
        check(&["v=spf1 include:example.com -all"], Some("v= is not DKIM1"));
        check(&["google-site-verification"], Some("cannot be read"));
        check(&["v=DKIM1; k=ed25519; k=rsa; p=paWlpaWl"], Some("there twice"));
        check(&["v=DKIM1;; p=paWlpaWl"], Some("cannot be read"));
        check(&["\"v=DKIM1; k=ed25519; p=paWlpaWl\""], Some("cannot be read"));
    }
}
