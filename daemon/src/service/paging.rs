//! Page tokens: opaque to callers, and checked when they come back.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::convert::violations::Violations;
use crate::{
    domain::{
        ids::{AccountId, JobId},
        inbound::InboundId,
        suppression::{SuppressedMailbox, SuppressionKey, SuppressionScope},
    },
    storage::PAGE_MAX,
};

/// Entries of a page when the caller does not say.
const PAGE_DEFAULT: usize = 100;
/// Changes when the form of the tokens does, so that an old one is refused and not misread.
const VERSION: u8 = 1;
const JOB_ID_BYTES: usize = 16;
const RECIPIENT_BYTES: usize = 4;
const LIST_BYTES: usize = 8;

/// How many entries a caller wants.
pub(super) fn page_size(given: u32, violations: &mut Violations) -> Option<usize> {
    match usize::try_from(given) {
        Ok(0) => Some(PAGE_DEFAULT),
        Ok(size) if size <= PAGE_MAX => Some(size),
        _ => {
            violations.add("page_size", format_args!("must be at most {PAGE_MAX}"));
            None
        }
    }
}

/// The token for the page after `last` in the list that `filter`, the encoded filter, describes.
pub(super) fn job_token(last: JobId, filter: &[u8]) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&last.to_bytes());
    bytes.extend_from_slice(&list_mark(filter));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where the page of a token begins; nothing for an empty token, which is the first page.
pub(super) fn after_job(token: &str, filter: &[u8], violations: &mut Violations) -> Option<Option<JobId>> {
    if token.is_empty() {
        return Some(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let id = bytes.strip_prefix(&[VERSION]).and_then(|rest| rest.split_first_chunk::<JOB_ID_BYTES>());
    match id {
        Some((id, mark)) if mark == list_mark(filter) => Some(Some(JobId::from_bytes(*id))),
        Some((_, mark)) if mark.len() == LIST_BYTES => {
            violations.add("page_token", "belongs to a list with another filter");
            None
        }
        _ => {
            violations.add("page_token", "is none that an earlier answer carried");
            None
        }
    }
}

/// The token for the page after the recipient with this index in the list that `list`, its encoded request, describes.
pub(super) fn recipient_token(last: u32, list: &[u8]) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&last.to_be_bytes());
    bytes.extend_from_slice(&list_mark(list));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where the page of a token begins; nothing for an empty token, which is the first page.
pub(super) fn after_recipient(token: &str, list: &[u8], violations: &mut Violations) -> Option<Option<u32>> {
    if token.is_empty() {
        return Some(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let last = bytes.strip_prefix(&[VERSION]).and_then(|rest| rest.split_first_chunk::<RECIPIENT_BYTES>());
    match last {
        Some((last, mark)) if mark == list_mark(list) => Some(Some(u32::from_be_bytes(*last))),
        Some((_, mark)) if mark.len() == LIST_BYTES => {
            violations.add("page_token", "belongs to another list");
            None
        }
        _ => {
            violations.add("page_token", "is none that an earlier answer carried");
            None
        }
    }
}

/// The token for the page after the mail `last` in the list that `list`, its encoded request, describes.
pub(super) fn inbound_token(last: InboundId, list: &[u8]) -> String {
    job_token(JobId::from_bytes(last.to_bytes()), list)
}

/// Where the page of a token begins; nothing for an empty token, which is the first page.
pub(super) fn after_inbound(token: &str, list: &[u8], violations: &mut Violations) -> Option<Option<InboundId>> {
    after_job(token, list, violations).map(|last| last.map(|last| InboundId::from_bytes(last.to_bytes())))
}

/// The token for the page after the suppression `last` in the list that `list`, its encoded request, describes.
pub(super) fn suppression_token(last: &SuppressionKey, list: &[u8]) -> String {
    let (kind, name) = match &last.scope {
        SuppressionScope::Global => (0, ""),
        SuppressionScope::Account(account) => (1, account.as_str()),
        SuppressionScope::Label(label) => (2, label.as_str()),
    };
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&list_mark(list));
    bytes.push(kind);
    bytes.extend_from_slice(name.as_bytes());
    // Neither name nor address has a control character.
    bytes.push(0);
    bytes.extend_from_slice(last.mailbox.as_str().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where the page of a token begins; nothing for an empty token, which is the first page.
pub(super) fn after_suppression(
    token: &str,
    list: &[u8],
    violations: &mut Violations,
) -> Option<Option<SuppressionKey>> {
    if token.is_empty() {
        return Some(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let last = bytes.strip_prefix(&[VERSION]).and_then(|rest| rest.split_first_chunk::<LIST_BYTES>());
    match last.and_then(|(mark, rest)| Some((mark, read_key(rest)?))) {
        Some((mark, key)) if *mark == list_mark(list) => Some(Some(key)),
        Some(_) => {
            violations.add("page_token", "belongs to another list");
            None
        }
        None => {
            violations.add("page_token", "is none that an earlier answer carried");
            None
        }
    }
}

fn read_key(bytes: &[u8]) -> Option<SuppressionKey> {
    let (kind, rest) = bytes.split_first()?;
    let (name, address) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
    let scope = match kind {
        0 if name.is_empty() => SuppressionScope::Global,
        1 => SuppressionScope::Account(name.parse().ok()?),
        2 => SuppressionScope::Label(name.parse().ok()?),
        _ => return None,
    };
    // In lower case it may be longer than an address may be.
    Some(SuppressionKey { scope, mailbox: SuppressedMailbox::stored(address) })
}

/// The token for the page after account `last`.
pub(super) fn account_token(last: &AccountId) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(last.as_str().as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where the page of a token begins; nothing for an empty token, which is the first page.
pub(super) fn after_account(token: &str, violations: &mut Violations) -> Option<Option<AccountId>> {
    if token.is_empty() {
        return Some(None);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let id = bytes.strip_prefix(&[VERSION]).and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
    if id.is_none() {
        violations.add("page_token", "is none that an earlier answer carried");
    }
    id.map(Some)
}

fn list_mark(filter: &[u8]) -> [u8; LIST_BYTES] {
    let mut mark = [0; LIST_BYTES];
    mark.copy_from_slice(&blake3::hash(filter).as_bytes()[..LIST_BYTES]);
    mark
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{address::Address, time::Timestamp};

    #[test]
    fn job_tokens_belong_to_their_list() {
        let id = JobId::new(Timestamp::from_millis(5), [7; 10]);
        let token = job_token(id, b"filter");
        let mut violations = Violations::default();
        assert_eq!(after_job(&token, b"filter", &mut violations), Some(Some(id)));
        assert_eq!(after_job("", b"filter", &mut violations), Some(None));
        assert_eq!(after_job(&token, b"other", &mut violations), None);
        for bad in ["x", "AQ", "!", &token[1..], &format!("{token}AAAA")] {
            assert_eq!(after_job(bad, b"filter", &mut violations), None, "{bad}");
        }
    }

    #[test]
    fn recipient_tokens_belong_to_their_list() {
        let token = recipient_token(777_777, b"list");
        let mut violations = Violations::default();
        assert_eq!(after_recipient(&token, b"list", &mut violations), Some(Some(777_777)));
        assert_eq!(after_recipient("", b"list", &mut violations), Some(None));
        for (token, list) in [(token.as_str(), b"other"), ("AQ", b"list "), (&token[1..], b"list ")] {
            assert_eq!(after_recipient(token, list, &mut violations), None, "{token}");
        }
    }

    #[test]
    fn suppression_tokens_belong_to_their_list() {
        let scopes = [
            SuppressionScope::Global,
            SuppressionScope::Account("sales".parse().expect("an id")),
            SuppressionScope::Label("news 飛脚".parse().expect("a label")),
        ];
        let mut violations = Violations::default();
        for (scope, address) in scopes.into_iter().zip(["A@example.jp", "\"a..b\"@docomo.ne.jp", "é@例え.jp"]) {
            let key = SuppressionKey::new(scope, &Address::from_lenient(address).expect("an address"));
            let token = suppression_token(&key, b"list");
            assert_eq!(after_suppression(&token, b"list", &mut violations), Some(Some(key)), "{address}");
            for (token, list) in [(token.as_str(), b"other"), ("AQ", b"list "), (&token[1..], b"list ")] {
                assert_eq!(after_suppression(token, list, &mut violations), None, "{token}");
            }
        }
        assert_eq!(after_suppression("", b"list", &mut violations), Some(None));
    }

    #[test]
    fn account_tokens_name_an_account() {
        let id: AccountId = "sales".parse().expect("an id");
        let mut violations = Violations::default();
        assert_eq!(after_account(&account_token(&id), &mut violations), Some(Some(id)));
        assert_eq!(after_account("", &mut violations), Some(None));
        assert_eq!(after_account("sales", &mut violations), None);
    }

    #[test]
    fn page_sizes_are_bounded() {
        let mut violations = Violations::default();
        assert_eq!(page_size(0, &mut violations), Some(PAGE_DEFAULT));
        assert_eq!(page_size(1_000, &mut violations), Some(1_000));
        assert_eq!(page_size(1_001, &mut violations), None);
    }
}
