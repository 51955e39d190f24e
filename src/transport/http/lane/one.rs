//! HTTP/1.1: one request at a time on one connection.
//!
//! The connection is driven by whoever waits for its answer, not by a task of its own: a message is in the sink's hands
//! in the same turn of the scheduler in which it was read.

use super::{Head, Lost};
use crate::transport::counted::Counted;
use crate::transport::failure::class_of;
use crate::transport::{ErrorClass, Failure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

/// hyper's buffer would grow to 400 KiB for each connection, bytes.
const MAX_BUFFER: usize = 16 * 1024;

pub(super) struct One {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    pub stream: Counted,
    body: Option<Incoming>,
    /// Has it carried a request already, or waited for one? The target may then close it at any moment.
    pub is_used: bool,
}

/// The connection while it lasts: one that is over has to be dropped for its sender to hear of it.
struct Driver(Option<Connection<TokioIo<Counted>, Full<Bytes>>>);

impl One {
    pub async fn open(stream: Counted) -> Result<One, Failure> {
        let io = TokioIo::new(stream.clone());
        let (sender, connection) = Builder::new().max_buf_size(MAX_BUFFER).handshake(io).await.map_err(classify)?;
        Ok(One { sender, driver: Driver(Some(connection)), stream, body: None, is_used: false })
    }

    /// Whether it takes a request; false once the target has closed it.
    pub async fn is_ready(&mut self) -> bool {
        self.body = None;
        let ready = self.driver.drive(self.sender.ready()).await;
        ready.is_ok() && self.driver.0.is_some()
    }

    pub async fn ask(&mut self, request: Request<Bytes>) -> Result<Head, Lost> {
        let was_reused = std::mem::replace(&mut self.is_used, true);
        match self.driver.drive(self.sender.try_send_request(request.map(Full::new))).await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                self.body = Some(body);
                Ok(Head { status: head.status, headers: head.headers })
            }
            Err(mut error) => {
                let is_unsent = error.take_message().is_some();
                Err(Lost { failure: classify(error.into_error()), is_unsent, was_reused })
            }
        }
    }

    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(body) = &mut self.body else { return Ok(None) };
        loop {
            match self.driver.drive(body.frame()).await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    // Trailers are nobody's message.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(classify(error)),
            }
        }
    }

    pub async fn until_closed(&mut self) {
        self.body = None;
        poll_fn(|cx| self.driver.poll(cx)).await;
    }
}

impl Driver {
    /// Moves the connection on; ready once it is over. How it ended, whoever waits for an answer hears.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(connection) = &mut self.0 {
            let _told_to_the_sender = ready!(Pin::new(connection).poll(cx));
            self.0 = None;
        }
        Poll::Ready(())
    }

    /// Waits for `work`, and moves the connection on meanwhile.
    async fn drive<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            // First, so that a request is handed over before the connection looks for one.
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            let _ = self.poll(cx);
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// What kind of failure hyper met.
fn classify(error: hyper::Error) -> Failure {
    let class = match io_source(&error) {
        // So hyper calls a chunk that is none.
        Some(io) if io.get_ref().is_none_or(|e| !e.is::<rustls::Error>()) && is_malformed(io.kind()) => {
            ErrorClass::HttpProtocol
        }
        Some(io) => class_of(io),
        None if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => ErrorClass::Truncated,
        None => ErrorClass::HttpProtocol,
    };
    let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    Failure::new(class, format!("{error}{cause}"))
}

fn is_malformed(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
}

fn io_source(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return Some(io);
        }
        source = inner.source();
    }
    None
}
