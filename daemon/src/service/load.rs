//! How much may all callers together make us hold? Every call passes here after its guard, and before it is decoded.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status, body::Body, codegen::http};
use tower::{Layer, Service};

use super::status::Refusal;

/// Most bytes of requests that are being read or answered at once, over all listeners: eight of the largest. What is
/// decoded of them takes about as much again.
pub const REQUESTS_BYTES_MAX: usize = 512 * 1_024 * 1_024;
/// Most calls at once whose answer has not begun, over all listeners. A stream counts until its first answer may come.
pub const CALLS_MAX: usize = 4_096;
/// The probes' service, which is always let through: who is busy must not be restarted for it.
const PROBES: &str = "/grpc.health.v1.Health/";

/// The calls whose services take their streams in bit by bit, and bound what they hold of them, before they answer.
const SWALLOWED: [&str; 2] = ["/hikyaku.v1.JobService/SubmitMerge", "/hikyaku.v1.BlobService/UploadBlob"];

/// The room that the callers of all listeners share. Who finds none is told `RESOURCE_EXHAUSTED` at once.
#[derive(Clone, Debug)]
pub struct Load {
    bytes: Arc<Semaphore>,
    calls: Arc<Semaphore>,
}

impl Load {
    /// Room for so many bytes and calls.
    #[must_use]
    pub fn new(bytes_max: usize, calls_max: usize) -> Self {
        Self { bytes: Arc::new(Semaphore::new(bytes_max)), calls: Arc::new(Semaphore::new(calls_max)) }
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> (usize, usize) {
        (self.bytes.available_permits(), self.calls.available_permits())
    }
}

impl Default for Load {
    fn default() -> Self {
        Self::new(REQUESTS_BYTES_MAX, CALLS_MAX)
    }
}

/// Puts a [`Load`] before all services of a listener.
#[derive(Clone, Debug)]
pub struct LoadLayer(pub Load);

impl<S> Layer<S> for LoadLayer {
    type Service = Loaded<S>;

    fn layer(&self, inner: S) -> Loaded<S> {
        Loaded { load: self.0.clone(), inner }
    }
}

/// Services whose callers share a [`Load`].
#[derive(Clone, Debug)]
pub struct Loaded<S> {
    load: Load,
    inner: S,
}

impl<S> Service<http::Request<Body>> for Loaded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<http::Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path().starts_with(PROBES) {
            return self.inner.call(request).boxed();
        }
        let Ok(place) = Arc::clone(&self.load.calls).try_acquire_owned() else {
            return std::future::ready(Ok(Status::from(Refusal::TooMany("calls")).into_http())).boxed();
        };
        let held = Held::default();
        if SWALLOWED.contains(&request.uri().path()) {
            held.answered();
        }
        let metered =
            |inner| Metered { inner, room: Arc::clone(&self.load.bytes), held: held.clone(), cut: Cut::default() };
        let answer = self.inner.call(request.map(|body| Body::new(metered(body))));
        async move {
            let answer = answer.await;
            held.answered();
            drop(place);
            answer
        }
        .boxed()
    }
}

/// What one call holds of the room for bytes.
#[derive(Clone, Debug, Default)]
struct Held(Arc<Mutex<Holding>>);

#[derive(Debug, Default)]
struct Holding {
    room: Option<OwnedSemaphorePermit>,
    is_answered: bool,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, Holding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer has begun: all that was read has done its duty, or is what a stream's service answers for. Where that
    /// takes a stream in before it answers, this holds from the beginning.
    fn answered(&self) {
        let mut holding = self.lock();
        holding.is_answered = true;
        holding.room = None;
    }
}

/// The body of a request, whose bytes are counted as they come. They count until the answer begins; on a stream that is
/// being answered, until their message is whole, as its service bounds what it has under way.
#[derive(Debug)]
struct Metered {
    inner: Body,
    room: Arc<Semaphore>,
    held: Held,
    cut: Cut,
}

impl Metered {
    fn count(&mut self, data: &[u8]) -> Result<(), Status> {
        let is_whole = self.cut.ends_message(data);
        let mut holding = self.held.lock();
        if holding.is_answered && is_whole {
            holding.room = None;
            return Ok(());
        }
        let needed = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.room).try_acquire_many_owned(needed);
        let more = more.map_err(|_| Refusal::TooMany("bytes of requests"))?;
        match &mut holding.room {
            Some(room) => room.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

/// A caller who has left has not ended its stream, but tonic takes CANCELLED for a good end of what a caller sends.
/// A call that does all or nothing must not.
fn unlike_an_end(status: Status) -> Status {
    if status.code() == Code::Cancelled { Status::aborted("the caller broke the stream off") } else { status }
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(status) = self.count(data)
        {
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(unlike_an_end)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Where a stream of bytes is cut into messages: each follows a byte of flags and its length in four bytes.
#[derive(Debug, Default)]
struct Cut {
    head: Vec<u8>,
    body_left: usize,
}

impl Cut {
    const HEAD_BYTES: usize = 5;

    /// Whether a message ends within these bytes.
    fn ends_message(&mut self, mut data: &[u8]) -> bool {
        let mut ends = false;
        while !data.is_empty() {
            if self.head.len() < Self::HEAD_BYTES {
                let (part, rest) = data.split_at(data.len().min(Self::HEAD_BYTES - self.head.len()));
                self.head.extend_from_slice(part);
                data = rest;
                let Ok([_, length @ ..]) = <[u8; Self::HEAD_BYTES]>::try_from(self.head.as_slice()) else {
                    continue;
                };
                self.body_left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            } else {
                let taken = data.len().min(self.body_left);
                self.body_left -= taken;
                data = &data[taken..];
            }
            if self.body_left == 0 {
                self.head.clear();
                ends = true;
            }
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&[u8]], ends: &[bool]) {
        let mut cut = Cut::default();
        let found: Vec<bool> = pieces.iter().map(|piece| cut.ends_message(piece)).collect();
        assert_eq!(found, ends, "{pieces:?}");
    }

    #[test]
    fn messages_end_where_their_length_says() {
        check(&[b"\0\0\0\0\x03abc"], &[true]);
        check(&[b"\0\0\0\0", b"\x03", b"ab", b"c", b"\0\0\0\0\x01"], &[false, false, false, true, false]);
        check(&[b"\0\0\0\0\0", b"\0\0\0\0\x01a\0\0"], &[true, true]);
    }
}
