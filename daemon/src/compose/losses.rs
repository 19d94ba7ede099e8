//! What of a draft its charset cannot say, told to whoever wrote it.

use super::charset::{named, outside, substitute, texts_of};
use crate::domain::{charset::Charset, mail::Draft};

/// Something that will be read otherwise than it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The field's path in the request, such as `job.subject`.
    pub field: String,
    /// What becomes of it.
    pub reason: String,
}

/// What the account's choice of charset does to a draft: nothing in UTF-8, nor where everything is refused that would be
/// lost. A draft that goes in UTF-8 although the account prefers ISO-2022-JP has one loss, the first field that needs it;
/// one in which characters are replaced has one for each such field.
#[must_use]
pub fn losses(draft: &Draft) -> Vec<Loss> {
    let mut losses: Vec<Loss> = Vec::new();
    if matches!(draft.charset, Charset::Utf8 | Charset::Iso2022JpReject) {
        return losses;
    }
    for (field, text) in texts_of(draft) {
        let outside = outside(&text);
        if outside.is_empty() || losses.iter().any(|loss| loss.field == field) {
            continue;
        }
        if draft.charset == Charset::Iso2022Jp {
            let named: Vec<_> = outside.into_iter().map(named).collect();
            let reason = format!("goes in UTF-8, because ISO-2022-JP does not have {}", named.join(" "));
            return vec![Loss { field: field.to_owned(), reason }];
        }
        let replaced: Vec<_> = outside.into_iter().map(replaced).collect();
        let reason = format!("has characters that ISO-2022-JP does not have: {}", replaced.join(", "));
        losses.push(Loss { field: field.to_owned(), reason });
    }
    losses
}

fn replaced(c: char) -> String {
    match &*substitute(c) {
        "" => format!("{} is left out", named(c)),
        other => format!("{} becomes {other}", named(c)),
    }
}
