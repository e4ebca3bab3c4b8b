//! Puts a request line right before the HTTP parser sees it.
//!
//! Microsoft's validator and people with curl leave quotes, brackets and spaces as they are in a filter. The gateway and
//! the Lambda edge take them; `http::Uri`, and so hyper, refuses the whole request with an empty 400. Here such
//! characters of the target are percent-encoded, so that the local server answers as the deployed one does.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest request line that is looked at; hyper has bounds of its own for what is longer.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// A connection whose request lines are put right.
#[derive(Debug)]
pub(super) struct RequestLines<S> {
    stream: S,
    /// What was read and not yet handed on.
    held: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next byte begins a request, or the rest of a body: a request follows an answer.
    Head,
    /// What comes is handed on as it is.
    Rest,
}

impl<S> RequestLines<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, held: Vec::new(), state: State::Head }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RequestLines<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.state == State::Head {
            let mut bytes = [0_u8; 4096];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            let ended = read.filled().is_empty();
            this.held.extend_from_slice(read.filled());
            let end = this.held.iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                let rest = this.held.split_off(end);
                this.held = put_right(&this.held);
                this.held.extend(rest);
            }
            if end.is_some() || ended || this.held.len() > LINE_BYTES_MAX {
                this.state = State::Rest;
            }
        }
        if this.held.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, out);
        }
        let rest = this.held.split_off(this.held.len().min(out.remaining()));
        out.put_slice(&this.held);
        this.held = rest;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RequestLines<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.held.is_empty() {
            self.state = State::Head;
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Encodes what a URI cannot have between the method and the version. A line that is no request line, such as the first
/// of a body after an interim answer, stays as it is.
fn put_right(line: &[u8]) -> Vec<u8> {
    let parts = || {
        let method = line.iter().position(|byte| *byte == b' ')?;
        let version = line.iter().rposition(|byte| *byte == b' ')?;
        let (head, tail) = line.split_at_checked(version)?;
        let (method, target) = head.split_at_checked(method)?;
        let is_request = !method.is_empty()
            && method.iter().all(u8::is_ascii_uppercase)
            && tail.starts_with(b" HTTP/1.");
        is_request.then_some((method, target.strip_prefix(b" ")?, tail))
    };
    let Some((method, target, tail)) = parts() else { return line.to_vec() };
    let mut clean = method.to_vec();
    clean.push(b' ');
    for byte in target {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}[]".contains(byte) {
            clean.push(*byte);
        } else {
            clean.extend(format!("%{byte:02X}").into_bytes());
        }
    }
    clean.extend_from_slice(tail);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_lines_target_is_changed() {
        let check = |line: &str, clean: &str| {
            assert_eq!(String::from_utf8(put_right(line.as_bytes())).unwrap(), clean);
        };
        check(
            "GET /Users?filter=emails[type eq \"work\"].value eq \"ü\" HTTP/1.1\r",
            "GET /Users?filter=emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22%C3%BC%22 HTTP/1.1\r",
        );
        for same in [
            "GET /Users?filter=userName+eq+%22a%22 HTTP/1.1\r",
            "{ \"a b\": \"c HTTP/1.1\" }",
            "no request line",
            "",
        ] {
            check(same, same);
        }
    }
}
