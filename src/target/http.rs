//! The HTTP face: who asks what, and answers with heads exactly as the profile wants them.
//!
//! Receiving by polls is in `http/poll.rs`, by endless responses in `http/stream.rs`; publishing is here. Requests that are
//! their own answer are in `http/echo.rs`.

use super::hub::Member;
use super::join::Refusal;
use super::outbox::{Item, Message, Outbox};
use super::place::{PlaceName, value};
use super::server::Core;
use super::socket::Socket;
use crate::catalog::{Format, HeaderProfile};
use crate::clock::{Nanos, SECOND, now};
use crate::codec::MAX_MESSAGE;
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::spawn_local;

mod browser;
mod echo;
mod poll;
mod preface;
mod stream;
mod tunnel;

use browser::Browser;
use poll::Poll;
use preface::{Rewound, is_two};
use stream::EventStream;

/// hyper's buffers for one connection would otherwise grow to 400 KB, bytes.
const BUFFER: usize = 16 * 1024;
/// A polling session that asks for nothing this long is gone.
const IDLE: Nanos = 60 * SECOND;
/// Requests that one client may have under way at once on a connection of HTTP/2.
const MOST_STREAMS: u32 = 64;
/// How often idle sessions are looked for.
const REAP_EVERY: Duration = Duration::from_secs(5);
/// Sessions that may exist at once.
const MOST_SESSIONS: usize = 65_536;

type Body = Either<Full<Bytes>, EventStream>;
type Answer = Result<Response<Body>, Denial>;

/// The sessions of the HTTP face.
pub struct Face {
    core: Rc<Core>,
    sessions: RefCell<HashMap<Sid, Rc<Session>>>,
    browser: Browser,
}

/// A session's own name: 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Sid(u64);

struct Session {
    member: Member,
    profile: HeaderProfile,
    receiving: Receiving,
}

enum Receiving {
    Polls(Rc<Poll>),
    Stream(Rc<Outbox>),
}

/// Why a request isn't done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denial {
    BadRequest,
    Token,
    NotFound,
    Method,
    /// Another GET of this session is held.
    Held,
    /// The messages asked for are no longer kept.
    Gone,
    TooLarge,
    Full,
    /// The answer was lost on purpose.
    Unanswered,
}

impl Denial {
    fn status(self) -> StatusCode {
        match self {
            Denial::BadRequest => StatusCode::BAD_REQUEST,
            Denial::Token => StatusCode::UNAUTHORIZED,
            Denial::NotFound => StatusCode::NOT_FOUND,
            Denial::Method => StatusCode::METHOD_NOT_ALLOWED,
            Denial::Held => StatusCode::CONFLICT,
            Denial::Gone => StatusCode::GONE,
            Denial::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Denial::Full => StatusCode::SERVICE_UNAVAILABLE,
            Denial::Unanswered => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Denial {
        match refusal {
            Refusal::Token => Denial::Token,
            _ => Denial::NotFound,
        }
    }
}

/// Serves a client by the HTTP that it begins with: HTTP/2 by prior knowledge (RFC 9113 §3.3), or where TLS agreed on it; or
/// else HTTP/1.1.
pub async fn serve(face: Rc<Face>, mut socket: Socket) -> io::Result<()> {
    let (is_two, early) = is_two(&mut socket).await?;
    let socket = Rewound::new(early, socket);
    if is_two { serve_two(face, socket).await } else { serve_one(face, socket).await }
}

async fn serve_one(face: Rc<Face>, socket: Rewound<Socket>) -> io::Result<()> {
    let service = service_fn(|request| face.serve(request));
    // No timeout on heads: it would also close connections that merely rest between two requests.
    http1::Builder::new()
        .auto_date_header(false)
        .header_read_timeout(None)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(socket), service)
        .await
        .map_err(io::Error::other)
}

async fn serve_two(face: Rc<Face>, socket: Rewound<Socket>) -> io::Result<()> {
    let leaving = Rc::new(Notify::new());
    let left = leaving.clone();
    let service = service_fn(move |request| {
        let (face, leaving) = (face.clone(), leaving.clone());
        async move {
            if tunnel::is_asked_for(&request) {
                return Ok(tunnel::answer(&face, request).await);
            }
            let response = face.serve(request).await?;
            // What HTTP/1.1 says by a header is a frame here.
            if response.headers().get(CONNECTION).is_some_and(|value| value == "close") {
                leaving.notify_one();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http2::Builder::new(OnThisThread);
    builder.enable_connect_protocol().auto_date_header(false).max_concurrent_streams(MOST_STREAMS);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = left.notified() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(io::Error::other)
}

/// Runs what hyper wants to be run beside a connection of HTTP/2.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, work: F) {
        drop(spawn_local(work));
    }
}

/// Lets polling sessions go that nobody asks for any more.
pub async fn reap(face: Rc<Face>) {
    loop {
        tokio::time::sleep(REAP_EVERY).await;
        face.reap(now());
    }
}

impl Face {
    pub fn new(core: Rc<Core>) -> Rc<Face> {
        Rc::new(Face { core, sessions: RefCell::default(), browser: Browser::default() })
    }

    fn reap(&self, now: Nanos) {
        self.sessions.borrow_mut().retain(|_, session| match &session.receiving {
            Receiving::Polls(poll) => poll.idle_since().is_none_or(|since| now.saturating_sub(since) < IDLE),
            Receiving::Stream(_) => true,
        });
    }

    async fn serve(self: &Rc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, MAX_MESSAGE).collect().await.map(|body| body.to_bytes());
        self.core.network.inbound.cross().await;
        let mut profile = HeaderProfile::Minimal;
        let answer = match body {
            Ok(body) => self.answer(&parts, body, &mut profile).await,
            Err(error) if error.is::<LengthLimitError>() => Err(Denial::TooLarge),
            Err(_) => Err(Denial::BadRequest),
        };
        let mut response = answer.unwrap_or_else(|denial| empty(denial.status()));
        if profile == HeaderProfile::Browser {
            self.browser.dress(&parts, &mut response);
        }
        self.core.network.outbound.cross().await;
        Ok(response)
    }

    /// Does what `request` asks; sets the header profile of the session that asks.
    async fn answer(self: &Rc<Self>, request: &Parts, body: Bytes, profile: &mut HeaderProfile) -> Answer {
        let query = request.uri.query().unwrap_or("");
        if request.uri.path() == echo::PATH {
            *profile = asked_profile(query);
            return echo::answer(self, request, query, &body).await;
        }
        let (kind, sid) = route(request.uri.path()).ok_or(Denial::NotFound)?;
        if kind == "pub" {
            return self.publish(request, sid, &body, profile);
        }
        if request.method != Method::GET {
            return Err(Denial::Method);
        }
        if let Some(place) = value(query, "join") {
            *profile = asked_profile(query);
            let seat = self.seat(sid, &place, query)?;
            return match kind {
                "poll" => poll::join(self, seat, query, *profile),
                kind => stream::join(self, seat, kind, query, *profile),
            };
        }
        let session = self.session(sid, profile)?;
        match &session.receiving {
            Receiving::Polls(poll) if kind == "poll" => poll::ask(self, &session.member, poll, query).await,
            _ => Err(Denial::NotFound),
        }
    }

    /// What joining takes, whatever the way to receive. A session may join again unless it is receiving right now.
    fn seat(&self, sid: Sid, place: &str, query: &str) -> Result<Seat, Denial> {
        let place = self.core.admit(place, value(query, "token").as_deref())?;
        let mut sessions = self.sessions.borrow_mut();
        if sessions.get(&sid).is_some_and(|session| session.is_receiving()) {
            return Err(Denial::Held);
        }
        sessions.remove(&sid);
        if sessions.len() >= MOST_SESSIONS {
            return Err(Denial::Full);
        }
        Ok(Seat { sid, place })
    }

    fn publish(&self, request: &Parts, sid: Sid, body: &Bytes, profile: &mut HeaderProfile) -> Answer {
        match request.method {
            Method::POST => {
                let session = self.session(sid, profile)?;
                if !session.member.may_publish() {
                    return Err(Denial::Method);
                }
                session.member.publish(&message(&request.headers, body));
            }
            Method::DELETE => {
                self.session(sid, profile)?;
                self.leave(sid);
            }
            _ => return Err(Denial::Method),
        }
        Ok(empty(StatusCode::NO_CONTENT))
    }

    fn session(&self, sid: Sid, profile: &mut HeaderProfile) -> Result<Rc<Session>, Denial> {
        let session = self.sessions.borrow().get(&sid).cloned().ok_or(Denial::NotFound)?;
        *profile = session.profile;
        Ok(session)
    }

    fn leave(&self, sid: Sid) {
        let left = self.sessions.borrow_mut().remove(&sid);
        match left.as_ref().map(|session| &session.receiving) {
            Some(Receiving::Polls(poll)) => poll.close(),
            Some(Receiving::Stream(outbox)) => _ = outbox.send(Item::End),
            None => {}
        }
    }

    /// Leaves if `sid` still is the session with this seat; false if it isn't.
    fn leave_if(&self, sid: Sid, member: u64) -> bool {
        let same = self.sessions.borrow().get(&sid).is_some_and(|session| session.member.id() == member);
        if same {
            self.leave(sid);
        }
        same
    }

    fn take_seat(self: &Rc<Self>, sid: Sid, session: Session) {
        let member = session.member.id();
        self.sessions.borrow_mut().insert(sid, Rc::new(session));
        if let Some(oracle) = &self.core.oracle {
            let face = Rc::downgrade(self);
            oracle.close_later(move |_| face.upgrade().is_some_and(|face| face.leave_if(sid, member)));
        }
    }
}

/// A place that a session may take.
struct Seat {
    sid: Sid,
    place: PlaceName,
}

impl Session {
    fn is_receiving(&self) -> bool {
        match &self.receiving {
            Receiving::Polls(poll) => poll.is_held(),
            Receiving::Stream(_) => true,
        }
    }
}

/// The headers that a query asks of its answers.
fn asked_profile(query: &str) -> HeaderProfile {
    value(query, "headers").and_then(|name| name.parse().ok()).unwrap_or(HeaderProfile::Minimal)
}

/// `/KIND/SID`, for the kinds there are.
fn route(path: &str) -> Option<(&str, Sid)> {
    let (kind, sid) = path.strip_prefix('/')?.split_once('/')?;
    let known = matches!(kind, "poll" | "sse" | "stream" | "pub");
    let digits = sid.len() == 16 && sid.bytes().all(|b| b.is_ascii_hexdigit());
    let sid = u64::from_str_radix(sid, 16).ok().filter(|_| known && digits)?;
    Some((kind, Sid(sid)))
}

/// What was posted: text or binary as its type says; without one, text if it can be.
fn message(headers: &HeaderMap, body: &Bytes) -> Message {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let untyped = Message::untyped(body);
    match kind {
        Some("application/octet-stream") => Message { format: Format::Binary, ..untyped },
        _ => untyped,
    }
}

fn whole(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(body)));
    *response.status_mut() = status;
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    whole(status, Bytes::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Engine;
    use crate::target::{Config, Ports};
    use crate::units::Span;

    #[test]
    fn routes_are_exact() {
        assert_eq!(route("/poll/00000000000000ff"), Some(("poll", Sid(255))));
        for wrong in
            ["/", "/poll", "/poll/ff", "/poll/+0000000000000ff", "/get/00000000000000ff", "/poll/00000000000000ff/"]
        {
            assert_eq!(route(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_type_decides_what_a_post_is() {
        let mut headers = HeaderMap::new();
        let body = Bytes::from_static(b"text");
        assert_eq!(message(&headers, &body).format, Format::Text);
        headers.insert(CONTENT_TYPE, "application/octet-stream".parse().unwrap());
        assert_eq!(message(&headers, &body).format, Format::Binary);
    }

    #[test]
    fn a_session_that_asks_for_nothing_is_let_go_after_its_time() {
        let config = Config {
            bind: std::net::Ipv4Addr::LOCALHOST.into(),
            ports: Ports::default(),
            token: None,
            engine: Engine::Fastwebsockets,
            delay: Span::ZERO,
            nodelay: true,
            hold: Span::from_millis(25_000),
            echo_self: true,
            core: None,
            oracle: crate::catalog::Oracle::default(),
            tls: None,
        };
        let face = Face::new(Core::new(&config).unwrap());
        let seat = Seat { sid: Sid(1), place: PlaceName::Echo };
        assert!(poll::join(&face, seat, "", HeaderProfile::Minimal).is_ok());
        face.reap(now() + IDLE - SECOND);
        assert_eq!(face.sessions.borrow().len(), 1);
        face.reap(now() + IDLE);
        assert!(face.sessions.borrow().is_empty());
    }
}
