//! A body that may break in the middle: its length is announced, half of it comes, and the connection closes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A body on its way.
#[derive(Debug)]
pub(super) struct Cutting {
    rest: Option<Bytes>,
    length: u64,
    breaks: bool,
}

impl Cutting {
    /// One that arrives.
    pub(super) fn whole(body: Bytes) -> Self {
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        Self { rest: Some(body).filter(|body| !body.is_empty()), length, breaks: false }
    }

    /// One that breaks after its first half.
    pub(super) fn half(body: &Bytes) -> Self {
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let half = body.slice(..body.len() / 2);
        Self { rest: Some(half).filter(|half| !half.is_empty()), length, breaks: true }
    }
}

/// The connection breaks on purpose.
#[derive(Debug)]
pub(super) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken on purpose")
    }
}

impl std::error::Error for Broken {}

impl Body for Cutting {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.rest.take() {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
            None if self.breaks => Poll::Ready(Some(Err(Broken))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && !self.breaks
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
