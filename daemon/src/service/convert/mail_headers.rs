//! What a mail answers, how readers leave its list, and whether a program sent it, on the wire.

use hikyaku_proto::v1;

use super::{
    values::{one_line, parse},
    violations::Violations,
};
use crate::domain::mail::{AutoSubmitted, ListUnsubscribe, MessageId};

const REFERENCES_MAX: usize = 100;
const PLACE_BYTES_MAX: usize = 900;

/// The message that a mail answers; none when the id is empty.
pub(super) fn to_in_reply_to(wire: &str, violations: &mut Violations) -> Option<Option<MessageId>> {
    match wire {
        "" => Some(None),
        id => parse::<MessageId>(id, "job.mail.in_reply_to", violations).map(Some),
    }
}

/// The messages of a conversation.
pub(super) fn to_references(wire: &[String], violations: &mut Violations) -> Option<Vec<MessageId>> {
    if wire.len() > REFERENCES_MAX {
        let count = wire.len();
        violations.add("job.mail.references", format_args!("has {count} entries, more than {REFERENCES_MAX}"));
        return None;
    }
    let ids = wire.iter().enumerate();
    let ids: Vec<_> = ids
        .map(|(index, id)| parse::<MessageId>(id, format_args!("job.mail.references[{index}]"), violations))
        .collect();
    ids.into_iter().collect()
}

/// How readers leave a list. In a merge job these are templates, so what they say is checked when a message is composed.
pub(super) fn to_list_unsubscribe(
    wire: Option<v1::ListUnsubscribe>,
    violations: &mut Violations,
) -> Option<Option<ListUnsubscribe>> {
    let Some(v1::ListUnsubscribe { url, mailto, one_click }) = wire else {
        return Some(None);
    };
    if url.is_empty() && mailto.is_empty() {
        violations.add("job.mail.list_unsubscribe.url", "is empty, and so is mailto: one of them is required");
        return None;
    }
    if one_click && url.is_empty() {
        violations.add("job.mail.list_unsubscribe.one_click", "needs a url (RFC 8058)");
        return None;
    }
    let mut place = |text: String, field: &str| {
        let text = one_line(text, PLACE_BYTES_MAX, format_args!("job.mail.list_unsubscribe.{field}"), violations);
        text.map(|text| Some(text).filter(|text| !text.is_empty()))
    };
    let (url, mailto) = (place(url, "url"), place(mailto, "mailto"));
    Some(Some(ListUnsubscribe { url: url?, mailto: mailto?, one_click }))
}

/// Whether a program sent a mail.
pub(super) fn to_auto_submitted(wire: i32, violations: &mut Violations) -> Option<Option<AutoSubmitted>> {
    match v1::AutoSubmitted::try_from(wire) {
        Ok(v1::AutoSubmitted::Unspecified) => Some(None),
        Ok(v1::AutoSubmitted::Generated) => Some(Some(AutoSubmitted::Generated)),
        Ok(v1::AutoSubmitted::Replied) => Some(Some(AutoSubmitted::Replied)),
        Err(_) => {
            violations.add("job.mail.auto_submitted", "must be GENERATED, REPLIED or unset");
            None
        }
    }
}
