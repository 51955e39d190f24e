//! Which HTTP a client speaks, by the bytes that it begins with, and the connection with those put back.

use bytes::{Buf, Bytes};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// No request of HTTP/1.1 begins so: the method is reserved for this (RFC 9113 §3.4, §11.6).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a client begins with the preface of HTTP/2; and what was read to find out.
pub async fn is_two(io: &mut (impl AsyncRead + Unpin)) -> io::Result<(bool, Vec<u8>)> {
    let mut early = Vec::with_capacity(PREFACE.len());
    while early.len() < PREFACE.len() && PREFACE.starts_with(&early) {
        let due = PREFACE.len() - early.len();
        if io.take(due as u64).read_buf(&mut early).await? == 0 {
            break;
        }
    }
    Ok((early == PREFACE, early))
}

/// A connection of which the first bytes were read already.
pub struct Rewound<S> {
    early: Bytes,
    io: S,
}

impl<S> Rewound<S> {
    pub fn new(early: Vec<u8>, io: S) -> Rewound<S> {
        Rewound { early: early.into(), io }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, into);
        }
        let n = self.early.len().min(into.remaining());
        into.put_slice(&self.early[..n]);
        self.early.advance(n);
        if self.early.is_empty() {
            self.early = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_preface_is_told_from_a_request_however_it_comes() {
        for (bytes, due) in [(PREFACE, true), (b"PUT /pub/1 HTTP/1.1\r\n\r\n", false), (b"PRI * HTTP/1.1\r\n", false)] {
            for cut in 0..bytes.len() {
                let mut io = AsyncReadExt::chain(&bytes[..cut], &bytes[cut..]);
                let (is_two, early) = is_two(&mut io).await.unwrap();
                assert_eq!(is_two, due);
                let mut all = Vec::new();
                Rewound::new(early, io).read_to_end(&mut all).await.unwrap();
                assert_eq!(all, bytes);
            }
        }
    }
}
