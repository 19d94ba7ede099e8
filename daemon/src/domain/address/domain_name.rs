//! What may stand behind the `@`, and in which form (RFC 5321 4.1.2, RFC 5891, UTS 46).

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::{BadAddress, DOMAIN_BYTES_MAX};

/// How labels beyond ASCII are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Labels {
    /// As A-labels.
    Ascii,
    /// As U-labels.
    Unicode,
}

/// The domain in its one form. UTS 46 maps case and width first, so that `例え．ＪＰ` is `例え.jp`.
pub(super) fn read(written: &str, labels: Labels) -> Result<Cow<'_, str>, BadAddress> {
    if is_address_literal(written) {
        return Ok(Cow::Borrowed(written));
    }
    let ascii = ascii_domain(written).ok_or(if written.is_ascii() && !has_a_label(written) {
        BadAddress::Domain
    } else {
        BadAddress::Idn
    })?;
    if labels == Labels::Ascii || !has_a_label(&ascii) {
        return Ok(ascii);
    }
    let (unicode, valid) = Uts46::new().to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::Check);
    valid.map_err(|_| BadAddress::Idn)?;
    Ok(Cow::Owned(unicode.into_owned()))
}

/// A domain name in A-labels, without change when it is ASCII; nothing when it is none. An address literal is left as it
/// is.
#[must_use]
pub fn ascii_domain(domain: &str) -> Option<Cow<'_, str>> {
    if is_address_literal(domain) {
        return Some(Cow::Borrowed(domain));
    }
    if domain.is_ascii() && !has_a_label(domain) {
        return is_host_name(domain).then_some(Cow::Borrowed(domain));
    }
    // An A-label too has to be one: what it decodes to is checked.
    let ascii = Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify);
    let ascii = ascii.ok().filter(|ascii| is_host_name(ascii))?;
    Some(if domain.is_ascii() { Cow::Borrowed(domain) } else { ascii })
}

/// Whether two domains are the same: case does not matter, nor whether labels are A-labels or U-labels.
#[must_use]
pub fn is_same_domain(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    ascii_domain(one).zip(ascii_domain(other)).is_some_and(|(one, other)| one.eq_ignore_ascii_case(&other))
}

/// Domain = sub-domain *("." sub-domain), all of it ASCII.
fn is_host_name(domain: &str) -> bool {
    domain.len() <= DOMAIN_BYTES_MAX
        && domain.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

/// Whether a label begins as A-labels do (RFC 5890 2.3.2.1).
fn has_a_label(domain: &str) -> bool {
    domain.split('.').any(|label| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--")))
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 4.1.3).
fn is_address_literal(domain: &str) -> bool {
    let Some(inner) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else {
        return false;
    };
    match inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")) {
        Some(tag) => inner[tag.len()..].parse::<Ipv6Addr>().is_ok(),
        None => inner.parse::<Ipv4Addr>().is_ok(),
    }
}
