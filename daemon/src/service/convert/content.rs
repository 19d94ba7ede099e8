//! How an account's messages are composed, on the wire: its signature, and its rules.

use hikyaku_proto::v1;

use super::violations::Violations;
use crate::domain::{
    account::{ContentRules, Signature},
    charset::Charset,
};

const SIGNATURE_BYTES_MAX: usize = 64 * 1_024;

/// A signature on the wire; nothing when it is empty.
pub(super) fn from_signature(signature: &Signature) -> Option<v1::Signature> {
    let wire = v1::Signature { text: signature.text.clone(), html: signature.html.clone() };
    Some(wire).filter(|_| *signature != Signature::default())
}

/// A signature that a caller sent.
pub(super) fn to_signature(wire: Option<v1::Signature>, at: &str, violations: &mut Violations) -> Option<Signature> {
    let v1::Signature { text, html } = wire.unwrap_or_default();
    let mut read = |part: String, field: &str| {
        if part.len() > SIGNATURE_BYTES_MAX {
            violations.add(format_args!("{at}.{field}"), format_args!("is longer than {SIGNATURE_BYTES_MAX} bytes"));
            return None;
        }
        if part.contains('\0') {
            violations.add(format_args!("{at}.{field}"), "has a NUL character");
            return None;
        }
        Some(part)
    };
    let (text, html) = (read(text, "text"), read(html, "html"));
    Some(Signature { text: text?, html: html? })
}

/// Rules on the wire.
pub(super) fn from_content(content: &ContentRules) -> v1::ContentRules {
    let charset = match content.charset {
        Charset::Utf8 => v1::Charset::Utf8,
        Charset::Iso2022Jp => v1::Charset::Iso2022Jp,
        Charset::Iso2022JpReplace => v1::Charset::Iso2022JpReplace,
        Charset::Iso2022JpReject => v1::Charset::Iso2022JpReject,
    };
    v1::ContentRules {
        charset: charset.into(),
        no_attachments: !content.attachments_allowed,
        omit_recipient_names: !content.recipient_names,
        lenient_addresses: content.lenient_addresses,
        virus_scan_required: content.virus_scan_required,
        virus_scan_may_fail: content.virus_scan_may_fail,
    }
}

/// Rules that a caller sent.
pub(super) fn to_content(
    wire: Option<v1::ContentRules>,
    at: &str,
    violations: &mut Violations,
) -> Option<ContentRules> {
    let wire = wire.unwrap_or_default();
    let charset = match v1::Charset::try_from(wire.charset) {
        Ok(v1::Charset::Unspecified | v1::Charset::Utf8) => Charset::Utf8,
        Ok(v1::Charset::Iso2022Jp) => Charset::Iso2022Jp,
        Ok(v1::Charset::Iso2022JpReplace) => Charset::Iso2022JpReplace,
        Ok(v1::Charset::Iso2022JpReject) => Charset::Iso2022JpReject,
        Err(_) => {
            let allowed = "must be UTF_8, ISO_2022_JP, ISO_2022_JP_REPLACE or ISO_2022_JP_REJECT";
            violations.add(format_args!("{at}.charset"), allowed);
            return None;
        }
    };
    Some(ContentRules {
        charset,
        attachments_allowed: !wire.no_attachments,
        recipient_names: !wire.omit_recipient_names,
        lenient_addresses: wire.lenient_addresses,
        virus_scan_required: wire.virus_scan_required,
        virus_scan_may_fail: wire.virus_scan_may_fail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_signature(text: &str, html: &str, expected: &[&str]) {
        let mut violations = Violations::default();
        let wire = v1::Signature { text: text.into(), html: html.into() };
        let read = to_signature(Some(wire), "s", &mut violations);
        let found = violations.finish(read).err().unwrap_or_default();
        assert_eq!(found.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn signatures_have_lines_and_a_bound() {
        let most = "x".repeat(SIGNATURE_BYTES_MAX);
        check_signature("Sales\r\n\tTokyo", &most, &[]);
        check_signature(&format!("{most}x"), "a\0b", &["s.text", "s.html"]);
    }

    #[test]
    fn charsets_and_defaults_survive_the_wire() {
        for charset in [Charset::Utf8, Charset::Iso2022Jp, Charset::Iso2022JpReplace, Charset::Iso2022JpReject] {
            let rules = ContentRules { charset, ..ContentRules::default() };
            assert_eq!(to_content(Some(from_content(&rules)), "c", &mut Violations::default()), Some(rules));
        }
        assert_eq!(to_content(None, "c", &mut Violations::default()), Some(ContentRules::default()));
        let mut violations = Violations::default();
        let wrong = v1::ContentRules { charset: 9, ..v1::ContentRules::default() };
        assert_eq!(to_content(Some(wrong), "c", &mut violations), None);
        assert_eq!(violations.finish(Some(())).expect_err("a mistake")[0].field, "c.charset");
    }
}
