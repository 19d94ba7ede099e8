//! Can a message that a client composed itself get out with a Bcc, two senders, or lines that hide an end?
#![no_main]

use hikyaku_daemon::compose::raw::adopt_raw;
use hikyaku_fuzz::{field_names, identity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(adopted) = adopt_raw(data, &identity()) else { return };
    let names = field_names(&adopted.message);
    let count = |name: &str| names.iter().filter(|one| *one == name).count();
    for once in ["from", "date", "message-id", "x-hikyaku-job"] {
        assert_eq!(count(once), 1, "{once}");
    }
    assert_eq!(count("bcc") + count("resent-bcc"), 0, "nobody is told of it");
    let sender = adopted.from.as_str();
    assert_eq!(sender.parse().as_ref(), Ok(&adopted.from));
    // What went out once may come in again, and is the same but for what is ours.
    let again = adopt_raw(&adopted.message.bytes, &identity()).expect("an adopted message is a message");
    assert_eq!((again.from, again.message_id), (adopted.from, adopted.message_id));
    assert_eq!(again.message.bytes, adopted.message.bytes);
});
