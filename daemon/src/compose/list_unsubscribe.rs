//! How the fields are written by which readers leave a list (RFC 2369, RFC 8058).

use super::identity::ComposeError;
use crate::domain::{address::Address, mail::ListUnsubscribe};

/// Longest URL or address, in bytes: with its brackets it fits on a line.
const PLACE_BYTES_MAX: usize = 900;
/// What List-Unsubscribe-Post says, and what the reader's program posts (RFC 8058 3.1).
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

/// List-Unsubscribe, and List-Unsubscribe-Post where one click is enough. The texts are final: no templates any more. The
/// URL stands first, since readers take the first that they can use (RFC 2369 3).
///
/// # Errors
/// A URL that is none of https, an address that is none, neither of them, or one click without a URL.
pub(super) fn list_unsubscribe_fields(list: &ListUnsubscribe) -> Result<String, ComposeError> {
    let ListUnsubscribe { url, mailto, one_click } = list;
    let mut places = Vec::with_capacity(2);
    if let Some(url) = url {
        check_url(url).map_err(|reason| ComposeError::new("job.list_unsubscribe.url", reason))?;
        places.push(format!("<{url}>"));
    }
    if let Some(mailto) = mailto {
        let target = mailto.strip_prefix("mailto:").unwrap_or(mailto);
        check_mailto(target).map_err(|reason| ComposeError::new("job.list_unsubscribe.mailto", reason))?;
        places.push(format!("<mailto:{target}>"));
    }
    if places.is_empty() {
        return Err(ComposeError::new("job.list_unsubscribe", "has neither a url nor a mailto"));
    }
    let mut fields = format!("List-Unsubscribe: {}\r\n", places.join(",\r\n "));
    if *one_click {
        if url.is_none() {
            return Err(ComposeError::new("job.list_unsubscribe.one_click", "needs a url (RFC 8058)"));
        }
        fields.push_str(&format!("List-Unsubscribe-Post: {ONE_CLICK}\r\n"));
    }
    Ok(fields)
}

/// An https URL (RFC 3986) with a host and without a user.
fn check_url(url: &str) -> Result<(), &'static str> {
    const WRONG: &str = "must be an https URL of 1 to 900 ASCII characters, others percent-encoded";
    let rest = url.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://")).map(|_| &url[8..]).ok_or(WRONG)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = &rest[..end];
    let is_host = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') && !host.contains('@');
    if url.len() > PLACE_BYTES_MAX || !is_host || !is_of_uris(rest) { Err(WRONG) } else { Ok(()) }
}

/// An address, and perhaps subject and body (RFC 6068 2).
fn check_mailto(target: &str) -> Result<(), &'static str> {
    const WRONG: &str = "must be one address, and perhaps ?subject= and &body=, of ASCII with others percent-encoded, \
                         at most 900 characters";
    let (address, fields) = target.split_once('?').map_or((target, ""), |(address, fields)| (address, fields));
    let address = percent_decoded(address).ok_or(WRONG)?.parse::<Address>().map_err(|_| WRONG)?;
    let is_known = |field: &str| {
        let name = field.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| ["subject", "body"].iter().any(|known| name.eq_ignore_ascii_case(known)))
    };
    let are_known = !target.contains('?') || fields.split('&').all(is_known);
    let is_right = !address.is_internationalized() && are_known && is_of_uris(target);
    if target.len() > PLACE_BYTES_MAX || !is_right { Err(WRONG) } else { Ok(()) }
}

/// Whether a text has only what stands in a URI (RFC 3986 2), and two digits behind each `%`.
fn is_of_uris(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    text.bytes().all(is_allowed) && percent_decoded(text).is_some()
}

/// Nothing when a `%` has no two digits behind it.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    // A URL may have bytes of any charset.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(url: &str, mailto: &str, one_click: bool) -> ListUnsubscribe {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        ListUnsubscribe { url: given(url), mailto: given(mailto), one_click }
    }

    #[track_caller]
    fn check(list: &ListUnsubscribe, fields: &str) {
        assert_eq!(list_unsubscribe_fields(list).expect("good"), fields);
    }

    #[test]
    fn the_url_stands_before_the_address() {
        let url = "https://example.jp/leave?who=%E9%A3%9B&x=1";
        check(&list(url, "", false), &format!("List-Unsubscribe: <{url}>\r\n"));
        check(
            &list(url, "leave+x@example.jp?subject=leave%20it", true),
            &format!(
                "List-Unsubscribe: <{url}>,\r\n <mailto:leave+x@example.jp?subject=leave%20it>\r\n\
                 List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
            ),
        );
        check(&list("", "mailto:leave@example.jp", false), "List-Unsubscribe: <mailto:leave@example.jp>\r\n");
        check(&list("HTTPS://[2001:db8::1]:8443/x", "", false), "List-Unsubscribe: <HTTPS://[2001:db8::1]:8443/x>\r\n");
    }

    #[track_caller]
    fn check_refused(list: &ListUnsubscribe, field: &str) {
        let error = list_unsubscribe_fields(list).expect_err(field);
        assert_eq!(error.field, format!("job.list_unsubscribe{field}"), "{list:?}: {error}");
    }

    #[test]
    fn what_is_no_way_to_leave_is_refused() {
        for url in [
            "http://example.jp/",
            "https://",
            "https:///x",
            "https://user@example.jp/",
            "https://example.jp/a b",
            "https://example.jp/<",
            "https://example.jp/飛",
            "https://example.jp/%2",
            "https://example.jp/\r\nBcc: x@example.jp",
            "https://example.jp/>,<https://evil.example/",
            "飛",
            &format!("https://example.jp/{}", "x".repeat(900)),
        ] {
            check_refused(&list(url, "", false), ".url");
        }
        for mailto in [
            "nobody",
            "a@example.jp,b@example.jp",
            "a@example.jp?bcc=spy@example.jp",
            "a@example.jp?subject",
            "a@example.jp?",
            "a%0D%0Ab@example.jp",
            "太郎@example.jp",
            "a@example.jp?subject=a b",
            "a@example.jp>",
        ] {
            check_refused(&list("", mailto, false), ".mailto");
        }
        check_refused(&list("", "a@example.jp", true), ".one_click");
        check_refused(&list("", "", false), "");
    }
}
