//! Does a server's reply read the same in whatever pieces it comes, and stay within its bounds?
#![no_main]

use hikyaku_daemon::wire::smtp::read_replies;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((piece, data)) = data.split_first() else { return };
    let piece = usize::from(*piece).max(1);
    let whole = read_replies([data]);
    let pieces = read_replies(data.chunks(piece));
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
    for reply in &whole.0 {
        assert!((200..600).contains(&reply.code()), "{reply:?}");
    }
});
