//! One request at a time on one connection, which is opened when it is needed and kept where that is asked.
//!
//! The connection is driven by whoever waits for its answer, not by a task of its own: a message is in the sink's hands
//! in the same turn of the scheduler in which it was read.

use super::{Requests, header};
use crate::dialect::{self, Ask};
use crate::transport::counted::Counted;
use crate::transport::failure::class_of;
use crate::transport::meter::Meter;
use crate::transport::net::{Deadline, Runtime, dial};
use crate::transport::{ConnectPhases, ErrorClass, Failure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// hyper's buffer would grow to 400 KiB for each connection, bytes.
const MAX_BUFFER: usize = 16 * 1024;
/// A body that nobody wants is read to its end up to this size, bytes; beyond it the connection is cheaper to replace.
const MAX_DISCARDED: usize = 64 * 1024;

pub(super) struct Lane {
    requests: Requests,
    meter: Rc<Meter>,
    live: Option<Live>,
}

struct Live {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    stream: Counted,
    body: Option<Incoming>,
    /// Has it carried a request already, or waited for one? The target may then close it at any moment.
    is_used: bool,
}

/// The connection while it lasts: one that is over has to be dropped for its sender to hear of it.
struct Driver(Option<Connection<TokioIo<Counted>, Full<Bytes>>>);

/// The head of an answer; its body follows by [`Lane::chunk`].
pub(super) struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
}

impl Head {
    /// As a dialect looks at it.
    pub fn of_dialect(&self) -> dialect::Head<'_> {
        dialect::Head { status: self.status.as_u16(), headers: &self.headers }
    }
}

impl dialect::Headers for HeaderMap {
    fn get(&self, name: &str) -> Option<&str> {
        HeaderMap::get(self, name)?.to_str().ok()
    }
}

/// A request without an answer.
pub(super) struct Lost {
    pub failure: Failure,
    /// Certainly nothing of it was written.
    pub is_unsent: bool,
    /// It was lost on a connection that had been used before: the target may have closed it in good faith.
    pub was_reused: bool,
}

impl Lane {
    pub fn new(requests: Requests, meter: Rc<Meter>) -> Lane {
        Lane { requests, meter, live: None }
    }

    /// Opens the connection; how long that took.
    pub async fn connect(&mut self, deadline: Deadline) -> Result<ConnectPhases, Failure> {
        let dialed = dial(&Runtime, &self.requests.endpoint, self.requests.nodelay, deadline).await?;
        let stream = Counted::new(dialed.io, self.meter.clone());
        let io = TokioIo::new(stream.clone());
        let (sender, connection) = Builder::new().max_buf_size(MAX_BUFFER).handshake(io).await.map_err(classify)?;
        let driver = Driver(Some(connection));
        self.live = Some(Live { sender, driver, stream, body: None, is_used: false });
        Ok(ConnectPhases { tcp: Some(dialed.tcp), tls: dialed.tls, ..ConnectPhases::default() })
    }

    /// Opens the connection before there is a request. The target may close it again at any moment, as one that has
    /// been used: what finds it closed then is tried again on a new one.
    pub async fn warm(&mut self, deadline: Deadline) -> Result<(), Failure> {
        self.connect(deadline).await?;
        if let Some(live) = &mut self.live {
            live.is_used = true;
        }
        Ok(())
    }

    /// The connection as it counts, if there is one.
    pub fn stream(&self) -> Option<Counted> {
        self.live.as_ref().map(|live| live.stream.clone())
    }

    /// Waits for a connection that can take a request: the one there is, if the target hasn't closed it, or a new one.
    pub async fn ready(&mut self) -> Result<(), Failure> {
        if let Some(live) = &mut self.live {
            live.body = None;
            let ready = live.driver.drive(live.sender.ready()).await;
            if ready.is_ok() && live.driver.0.is_some() {
                return Ok(());
            }
            self.live = None;
        }
        let deadline = Deadline::after(self.requests.endpoint.connect_timeout);
        self.connect(deadline).await.map(|_| ())
    }

    /// Sends a request on the connection that [`ready`](Self::ready) found, and waits for the head of its answer.
    pub async fn ask(&mut self, ask: &Ask) -> Result<Head, Lost> {
        let unsent = |detail: String| Lost {
            failure: Failure::new(ErrorClass::HttpProtocol, detail),
            is_unsent: true,
            was_reused: false,
        };
        let body = Full::new(ask.body.clone());
        let mut request = match Request::builder().method(ask.method).uri(&ask.path).body(body) {
            Ok(request) => request,
            Err(error) => return Err(unsent(format!("{:?} can't be asked for: {error}", ask.path))),
        };
        self.requests.write_headers(&ask.path, request.headers_mut());
        for (name, value) in &ask.headers {
            match header(name, value) {
                Ok((name, value)) => drop(request.headers_mut().insert(name, value)),
                Err(failure) => return Err(unsent(failure.detail)),
            }
        }
        let Some(live) = &mut self.live else { return Err(unsent("there is no connection".to_owned())) };
        let was_reused = std::mem::replace(&mut live.is_used, true);
        match live.driver.drive(live.sender.try_send_request(request)).await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                live.body = Some(body);
                self.requests.keep_cookies(&ask.path, &head.headers);
                Ok(Head { status: head.status, headers: head.headers })
            }
            Err(mut error) => {
                self.live = None;
                let is_unsent = error.take_message().is_some();
                Err(Lost { failure: classify(error.into_error()), is_unsent, was_reused })
            }
        }
    }

    /// The next piece of the body; `None` at its end. After an error the connection is gone.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(live) = &mut self.live else { return Ok(None) };
        let Some(body) = &mut live.body else { return Ok(None) };
        loop {
            match live.driver.drive(body.frame()).await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    // Trailers are nobody's message.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    self.live = None;
                    return Err(classify(error));
                }
            }
        }
    }

    /// Done with the answer: reads what is left of a small body, so that the connection can be used again.
    pub async fn finish(&mut self) {
        let mut discarded = 0;
        loop {
            match self.chunk().await {
                Ok(Some(bytes)) if discarded <= MAX_DISCARDED => discarded += bytes.len(),
                Ok(None) if self.requests.keep_alive => return,
                Ok(_) => break,
                Err(_) => return,
            }
        }
        self.live = None;
    }

    /// Waits until the target has closed the connection.
    pub async fn until_closed(&mut self) {
        if let Some(live) = &mut self.live {
            live.body = None;
            let driver = &mut live.driver;
            poll_fn(|cx| driver.poll(cx)).await;
        }
        self.live = None;
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
