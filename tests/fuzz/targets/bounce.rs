//! Can a mail that came back stall its reader, or make it tell more than it may?
#![no_main]

use std::sync::LazyLock;

use hikyaku_recognition::{bounce::recognise, classify::rules::Rules};
use libfuzzer_sys::fuzz_target;

/// Most recipients that are found in one mail.
const RECIPIENTS_MAX: usize = 200;
/// Longest words of a server that are kept, in bytes.
const DIAGNOSTIC_BYTES_MAX: usize = hikyaku_recognition::reply::REPLY_TEXT_BYTES_MAX;

static RULES: LazyLock<Rules> = LazyLock::new(Rules::built_in);

fuzz_target!(|data: &[u8]| {
    let findings = recognise(&RULES, data);
    assert!(findings.recipients.len() <= RECIPIENTS_MAX);
    assert!(findings.recipients.iter().all(|one| one.diagnostic.len() <= DIAGNOSTIC_BYTES_MAX));
});
