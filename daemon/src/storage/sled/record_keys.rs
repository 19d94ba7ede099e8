//! Which keys are those of records?

use super::{keys::Key, list_check, returns};

/// Whether a key is that of a record, not of a further frame or of something derived.
pub(super) fn is_record(key: &[u8]) -> bool {
    match Key::parse(key) {
        Some(Key::Account { chunk, .. } | Key::Standing { chunk, .. } | Key::Job { chunk, .. })
        | Some(Key::Mark { chunk, .. } | Key::Body { chunk, .. } | Key::Events { chunk, .. })
        | Some(Key::Recipients { chunk, .. } | Key::Outcomes { chunk, .. } | Key::Tokens { chunk, .. })
        | Some(Key::Routing { chunk } | Key::Dkim { chunk, .. } | Key::DkimRules { chunk }) => chunk == 0,
        Some(Key::Return(key)) => returns::verify::is_record(&key),
        Some(Key::Meta { .. } | Key::Idempotency { .. } | Key::Bucket { .. } | Key::FileEdge { .. })
        | Some(Key::Blob { .. }) => true,
        Some(Key::List(key)) => list_check::is_record(&key),
        _ => false,
    }
}
