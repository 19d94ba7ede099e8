//! What is a stream to a server, whatever it goes through?

use std::fmt::Debug;

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes in both directions: TCP, TLS over it, or a pipe in a test.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync + Debug {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + Sync + Debug> Stream for T {}
