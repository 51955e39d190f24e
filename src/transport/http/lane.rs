//! One request at a time, on a connection of its own (`lane/one.rs`) or as a stream of the session's (`lane/two.rs`); the
//! connection is opened when it is needed and kept where that is asked.

use super::{Requests, header};
use crate::catalog::HttpVersion;
use crate::dialect::{self, Ask};
use crate::transport::counted::Counted;
use crate::transport::meter::Meter;
use crate::transport::net::{Deadline, Runtime, dial};
use crate::transport::trunk::{self, Trunk};
use crate::transport::{ConnectPhases, ErrorClass, Failure};
use bytes::Bytes;
use hyper::{HeaderMap, Request, StatusCode, Uri};
use one::One;
use std::convert::Infallible;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use tokio::sync::Mutex;
use two::Two;

mod one;
mod two;

/// A body that nobody wants is read to its end up to this size, bytes; beyond it the connection is cheaper to replace, and
/// the stream to reset.
const MAX_DISCARDED: usize = 64 * 1024;

pub(super) struct Lane {
    requests: Requests,
    meter: Rc<Meter>,
    /// By HTTP/2: the session's connection.
    shared: Shared,
    live: Option<Live>,
    /// By HTTP/2: the request before this was turned away untouched.
    was_turned_away: bool,
}

/// What requests go out on.
enum Live {
    One(Box<One>),
    Two(Two),
}

/// Where the lanes of a session find its one connection of HTTP/2, once one of them has opened it.
#[derive(Clone, Default)]
pub(super) struct Shared(Rc<Mutex<Option<Trunk>>>);

impl Shared {
    /// Moves the connection on while nobody waits for it: pings are answered, and who is told to go hears of it.
    pub async fn keep_moving(self) -> Infallible {
        poll_fn(|cx| {
            if let Ok(open) = self.0.try_lock()
                && let Some(trunk) = &*open
            {
                let _whoever_asks_next_finds_out = trunk.poll(cx);
            }
            Poll::Pending
        })
        .await
    }
}

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
    /// Certainly nothing of it was written, or at least done (RFC 9113 §8.7).
    pub is_unsent: bool,
    /// It was lost on a connection that had been used before, which the target may have closed in good faith; by HTTP/2 only
    /// where nothing was done about it.
    pub was_reused: bool,
}

impl Lost {
    /// It could not even be asked.
    fn unsent(failure: Failure) -> Lost {
        Lost { failure, is_unsent: true, was_reused: false }
    }
}

impl Lane {
    pub fn new(requests: Requests, meter: Rc<Meter>, shared: Shared) -> Lane {
        Lane { requests, meter, shared, live: None, was_turned_away: false }
    }

    /// Opens the connection, unless the session's is there already; how long that took.
    pub async fn connect(&mut self, deadline: Deadline) -> Result<ConnectPhases, Failure> {
        match self.requests.http {
            HttpVersion::One => {
                let (stream, phases) = self.dial(deadline).await?;
                self.live = Some(Live::One(Box::new(One::open(stream).await?)));
                Ok(phases)
            }
            HttpVersion::Two => {
                let shared = self.shared.clone();
                // Held over the connect, so that two lanes don't open two.
                let mut open = shared.0.lock().await;
                let mut phases = ConnectPhases::default();
                let trunk = match &*open {
                    Some(trunk) if trunk.ready().await.is_ok() && !trunk.is_over() => trunk.clone(),
                    _ => {
                        *open = None;
                        let stream;
                        (stream, phases) = self.dial(deadline).await?;
                        open.insert(Trunk::open(stream).await?).clone()
                    }
                };
                self.live = Some(Live::Two(Two::new(trunk)));
                Ok(phases)
            }
        }
    }

    async fn dial(&self, deadline: Deadline) -> Result<(Counted, ConnectPhases), Failure> {
        let dialed = dial(&Runtime, &self.requests.endpoint, self.requests.nodelay, deadline).await?;
        if self.requests.http == HttpVersion::Two {
            trunk::agreed(&dialed.io)?;
        }
        let phases = ConnectPhases { tcp: Some(dialed.tcp), tls: dialed.tls, ..ConnectPhases::default() };
        Ok((Counted::new(dialed.io, self.meter.clone()), phases))
    }

    /// Opens the connection before there is a request. The target may close it again at any moment, as one that has
    /// been used: what finds it closed then is tried again on a new one.
    pub async fn warm(&mut self, deadline: Deadline) -> Result<(), Failure> {
        self.connect(deadline).await?;
        if let Some(Live::One(one)) = &mut self.live {
            one.is_used = true;
        }
        Ok(())
    }

    /// From now on, looks for the end of the answer's head. By HTTP/2 that has been done since the connection was opened.
    pub fn watch_head(&self) {
        if let Some(Live::One(one)) = &self.live {
            one.stream.watch_head();
        }
    }

    /// The session is joined by the head that was watched: what came before and with it was its handshake.
    pub fn joined(&self) {
        self.stream().inspect(|stream| stream.joined(stream.head_len()));
    }

    /// The session is joined by all that was said and heard so far.
    pub fn joined_by_now(&self) {
        self.stream().inspect(|stream| stream.joined_by_now());
    }

    /// As [`joined_by_now`](Self::joined_by_now), of a connection that no other lane counts: by HTTP/2 there is none.
    pub fn warmed_by_now(&self) {
        if self.requests.http == HttpVersion::One {
            self.joined_by_now();
        }
    }

    fn stream(&self) -> Option<&Counted> {
        match self.live.as_ref()? {
            Live::One(one) => Some(&one.stream),
            Live::Two(two) => Some(two.bytes()),
        }
    }

    /// Waits for a connection that can take a request: the one there is, if the target hasn't closed it, or a new one.
    pub async fn ready(&mut self) -> Result<(), Failure> {
        let is_ready = match &mut self.live {
            None => false,
            Some(Live::One(one)) => one.is_ready().await,
            Some(Live::Two(two)) => two.is_ready().await,
        };
        if is_ready {
            return Ok(());
        }
        self.live = None;
        let deadline = Deadline::after(self.requests.endpoint.connect_timeout);
        self.connect(deadline).await.map(|_| ())
    }

    /// Sends a request on the connection that [`ready`](Self::ready) found, and waits for the head of its answer.
    pub async fn ask(&mut self, ask: &Ask) -> Result<Head, Lost> {
        let request = self.request(ask).map_err(Lost::unsent)?;
        let asked = match &mut self.live {
            None => Err(Lost::unsent(Failure::new(ErrorClass::HttpProtocol, "there is no connection"))),
            Some(Live::One(one)) => one.ask(request).await,
            Some(Live::Two(two)) => two.ask(request).await,
        };
        if let Ok(head) = &asked {
            self.requests.keep_cookies(&ask.path, &head.headers);
        }
        match self.requests.http {
            HttpVersion::One => {
                if asked.is_err() {
                    self.live = None;
                }
                asked
            }
            HttpVersion::Two => self.turned_away(asked),
        }
    }

    /// A stream that broke leaves the connection to the others. What was turned away may be asked again, but only once in a
    /// row: a target may turn away everything.
    fn turned_away(&mut self, asked: Result<Head, Lost>) -> Result<Head, Lost> {
        let is_untouched = asked.as_ref().is_err_and(|lost| lost.is_unsent);
        let was_turned_away = std::mem::replace(&mut self.was_turned_away, is_untouched);
        asked.map_err(|lost| Lost { was_reused: is_untouched && !was_turned_away, ..lost })
    }

    fn request(&self, ask: &Ask) -> Result<Request<Bytes>, Failure> {
        let uri = self.requests.uri(&ask.path)?;
        let request = Request::builder().method(ask.method).uri(uri).body(ask.body.clone());
        let mut request = request.map_err(|error| {
            Failure::new(ErrorClass::HttpProtocol, format!("{:?} can't be asked for: {error}", ask.path))
        })?;
        self.requests.write_headers(&ask.path, request.headers_mut());
        for (name, value) in &ask.headers {
            let (name, value) = header(name, value)?;
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }

    /// The next piece of the body; `None` at its end. After an error it is gone, and with HTTP/1.1 the connection as well.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = match &mut self.live {
            None => Ok(None),
            Some(Live::One(one)) => one.chunk().await,
            Some(Live::Two(two)) => two.chunk().await,
        };
        if chunk.is_err() && matches!(self.live, Some(Live::One(_))) {
            self.live = None;
        }
        chunk
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
        match &mut self.live {
            None => {}
            Some(Live::One(one)) => one.until_closed().await,
            Some(Live::Two(two)) => two.until_closed().await,
        }
        self.live = None;
    }
}

impl Requests {
    /// What is asked for, as HTTP/1.1 or HTTP/2 names it.
    fn uri(&self, path: &str) -> Result<Uri, Failure> {
        let uri = match self.http {
            HttpVersion::One => Uri::try_from(path),
            HttpVersion::Two => {
                let scheme = if self.endpoint.tls.is_some() { "https" } else { "http" };
                Uri::try_from(format!("{scheme}://{}{path}", self.authority))
            }
        };
        uri.map_err(|error| Failure::new(ErrorClass::HttpProtocol, format!("{path:?} can't be asked for: {error}")))
    }
}
