//! One connection of HTTP/2 (RFC 9113), whose streams carry all that a session asks for.
//!
//! It is moved on by whoever waits for one of its streams, not by a task of its own: what was read is in the sink's hands
//! in the same turn of the scheduler.

use super::counted::Counted;
use super::failure::class_of;
use super::io::Io;
use super::{ErrorClass, Failure};
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Error, Reason};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// What may come on one stream, and on all of them together, before it was read, bytes: as hyper has it, and enough for
/// any message of the usual size at any distance.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 5 << 20;

/// The connection, shared by those who ask on it.
#[derive(Clone)]
pub(super) struct Trunk(Rc<Inner>);

struct Inner {
    requests: SendRequest<Bytes>,
    /// `None` once it is over: its streams hear of the end when it is dropped.
    connection: RefCell<Option<Connection<Counted>>>,
    bytes: Counted,
}

impl Trunk {
    /// Sends the preface over a connection that counts from its first byte on.
    pub async fn open(bytes: Counted) -> Result<Trunk, Failure> {
        bytes.watch_frames();
        let mut builder = Builder::new();
        builder.enable_push(false).initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        let (requests, connection) = builder.handshake(bytes.clone()).await.map_err(|error| classify(&error))?;
        Ok(Trunk(Rc::new(Inner { requests, connection: RefCell::new(Some(connection)), bytes })))
    }

    /// The connection as it counts.
    pub fn bytes(&self) -> &Counted {
        &self.0.bytes
    }

    /// Whether the target has said that it takes WebSockets (RFC 8441 §3). False until its settings have come, which are its
    /// first frame.
    pub fn carries_websockets(&self) -> bool {
        self.0.requests.is_extended_connect_protocol_enabled()
    }

    /// A handle for one request, once the target takes one more.
    pub async fn ready(&self) -> Result<SendRequest<Bytes>, Error> {
        self.carry(self.0.requests.clone().ready()).await
    }

    pub fn is_over(&self) -> bool {
        self.0.connection.borrow().is_none()
    }

    /// Moves the connection on; ready once it is over. How it ended, whoever waits for a stream hears.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut connection = self.0.connection.borrow_mut();
        if let Some(open) = &mut *connection {
            let _told_to_the_streams = ready!(Pin::new(open).poll(cx));
            *connection = None;
        }
        Poll::Ready(())
    }

    /// Waits for `work`, and moves the connection on meanwhile.
    pub async fn carry<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            // First, so that what it asks goes out with this turn.
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            let _ = self.poll(cx);
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// A target that speaks TLS must have agreed on HTTP/2 (RFC 9113 §3.2); without TLS it is known beforehand.
pub(super) fn agreed(io: &Io) -> Result<(), Failure> {
    match io {
        Io::Tls(stream) if stream.get_ref().1.alpn_protocol() != Some(b"h2") => {
            Err(Failure::new(ErrorClass::HttpProtocol, "the target's TLS did not agree on HTTP/2 (ALPN `h2`)"))
        }
        _ => Ok(()),
    }
}

/// Certainly nothing was done about a request that failed so (RFC 9113 §8.7): it may be sent again whatever it is. A
/// GOAWAY is told to those streams alone that are behind the last one that the target takes.
pub(super) fn is_untouched(error: &Error) -> bool {
    error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM))
}

/// What kind of failure this is.
pub(super) fn classify(error: &Error) -> Failure {
    let class = match error.get_io() {
        // So it calls the end of the connection.
        Some(io) if io.kind() == ErrorKind::BrokenPipe => ErrorClass::Truncated,
        Some(io) => class_of(io),
        None if error.is_remote() && error.is_go_away() => ErrorClass::GoAway,
        None if error.is_remote() && error.is_reset() => ErrorClass::StreamReset,
        None if error.is_library() => {
            let detail = format!("{error}; does the target speak HTTP/2 on this port?");
            return Failure::new(ErrorClass::HttpProtocol, detail);
        }
        None => ErrorClass::HttpProtocol,
    };
    Failure::new(class, error.to_string())
}
