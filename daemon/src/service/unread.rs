//! How long an answer in pieces is kept for a caller that does not read it: what it holds, others may want.

use std::{pin::pin, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::status::{Refusal, Returned};

/// Longest time that a piece waits for its caller. A slow line takes a piece of an attachment in less.
const UNREAD_DURATION_MAX: Duration = Duration::from_secs(120);

/// A stream that is dropped, with all it holds, when its caller does not read on for two minutes; the caller is told when it does later.
/// Of it, up to two pieces are made before they are asked for.
pub(super) fn unless_unread<T: Send + 'static>(
    pieces: impl Stream<Item = Result<T, Status>> + Send + 'static,
) -> impl Stream<Item = Result<T, Status>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(1);
    let passing = AbortOnDropHandle::new(tokio::spawn(pass(pieces, sender)));
    stream::unfold(Some((receiver, passing)), |state| async move {
        let (mut receiver, passing) = state?;
        if let Some(piece) = receiver.recv().await {
            return Some((piece, Some((receiver, passing))));
        }
        match passing.await {
            Ok(Passed::Whole) => None,
            Ok(Passed::Unread) => Some((Err(Refusal::from(Returned::Unread(UNREAD_DURATION_MAX)).into()), None)),
            Err(_) => Some((Err(Refusal::Internal("the making of an answer broke off").into()), None)),
        }
    })
}

/// How much of a stream was passed on.
enum Passed {
    Whole,
    Unread,
}

async fn pass<T>(pieces: impl Stream<Item = T> + Send, sender: mpsc::Sender<T>) -> Passed {
    let mut pieces = pin!(pieces);
    while let Some(piece) = pieces.next().await {
        match timeout(UNREAD_DURATION_MAX, sender.send(piece)).await {
            Ok(Ok(())) => {}
            // Nobody waits for the rest.
            Ok(Err(_)) => break,
            Err(_) => return Passed::Unread,
        }
    }
    Passed::Whole
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tonic::Code;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_read_comes_whole() {
        let read: Vec<_> =
            unless_unread(stream::iter((0..9).map(Ok))).map(|piece| piece.expect("a piece")).collect().await;
        assert_eq!(read, (0..9).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_read_is_dropped_and_the_caller_is_told() {
        let held = Arc::new(());
        let place = Arc::clone(&held);
        let endless = stream::repeat_with(move || {
            let _place = &place;
            Ok(7)
        });
        let mut pieces = pin!(unless_unread(endless));
        assert!(matches!(pieces.next().await, Some(Ok(7))));
        tokio::time::sleep(UNREAD_DURATION_MAX / 2).await;
        assert_eq!(Arc::strong_count(&held), 2);
        tokio::time::sleep(UNREAD_DURATION_MAX).await;
        assert_eq!(Arc::strong_count(&held), 1);
        let rest: Vec<_> = pieces.collect().await;
        assert!(matches!(rest.last(), Some(Err(status)) if status.code() == Code::DeadlineExceeded), "{rest:?}");
    }
}
