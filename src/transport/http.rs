//! HTTP: one connection receives, by the strategy of the transport, and another publishes by POST. By HTTP/2 both are
//! streams of one connection.
//!
//! | transport | receives by |
//! |---|---|
//! | long-polling | `polling.rs`: a GET that is held until there is a message, then the next |
//! | short-polling | `polling.rs`: a GET at an interval |
//! | sse | `streaming.rs`: an event stream |
//! | http-streaming | `streaming.rs`: an endless chunked response of length-prefixed messages |

use super::cookies::Jar;
use super::headers::{Purpose, Said};
use super::net::{Ground, Runtime};
use super::session::Session;
use super::speech::Speech;
use super::tcp::garbage;
use super::{Ended, Endpoint, ErrorClass, Failure, Opened, Opening};
use crate::catalog::{Http, HttpVersion, TransportKind};
use crate::clock::{Nanos, now};
use crate::codec::CodecError;
use crate::codec::body::Body;
use crate::dialect::{HttpFace, Receive, speak};
use hyper::HeaderMap;
use hyper::header::{CONNECTION, CONTENT_ENCODING, COOKIE, HOST, HeaderName, HeaderValue, SET_COOKIE};
use joining::Joining;
use lane::{Head, Lane, Shared};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::pending;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::time::Duration;

mod joining;
mod lane;
mod polling;
mod publish;
mod streaming;

pub(super) async fn open(opening: &Opening, settings: &Http) -> Result<Opened, Failure> {
    let Opening { endpoint, place, deadline, began, .. } = opening;
    let session = opening.session(Speech::new(endpoint, place), None);
    let kind = endpoint.transport.kind();
    let receive =
        Receive { transport: kind, batch: settings.batch, headers: settings.headers, format: endpoint.format };
    let face = speak(&endpoint.dialect, &endpoint.token).http(place, new_sid(), receive);
    let face: Face = Rc::new(RefCell::new(face));
    let purpose = if kind == TransportKind::Sse { Purpose::Events } else { Purpose::Receive };
    let said = Said::new(endpoint, place, settings.headers, &settings.extra_headers, &settings.identity);
    let cookies = settings.identity.cookies.then(Rc::<Jar>::default);
    let shared = Shared::default();
    let lane = |purpose| {
        let requests = Requests::new(endpoint, settings, &said, purpose, cookies.clone())?;
        Ok::<_, Failure>(Lane::new(requests, session.meter.clone(), shared.clone()))
    };
    let mut posts = lane(Purpose::Publish)?;
    let mut lane = lane(purpose)?;
    // Both at once, as a browser would: neither waits for the other's round trip.
    let (connected, warmed) = tokio::join!(lane.connect(*deadline), async {
        match endpoint.publishes && settings.keep_alive && settings.http == HttpVersion::One {
            true => posts.warm(*deadline).await,
            false => Ok(()),
        }
    });
    let mut phases = connected?;
    warmed?;
    let connected = *began + phases.tcp.unwrap_or(0) + phases.tls.unwrap_or(0);
    let joining = Joining::new(session.clone(), lane, &mut posts, face.clone());
    let joined = async {
        Ok(match kind {
            TransportKind::Sse | TransportKind::HttpStreaming => Strategy::Streaming(streaming::join(joining).await?),
            _ => {
                let interval = settings.interval.filter(|_| kind == TransportKind::ShortPolling).map(|span| span.0);
                Strategy::Polling(polling::join(joining, interval).await?)
            }
        })
    };
    let strategy = deadline.bound(&Runtime, ErrorClass::HandshakeTimeout, "joining", joined).await?;
    let joined = now();
    phases.upgrade = Some(joined - connected);
    phases.total = joined - *began;
    let publisher = publish::Publisher::new(face, posts);
    Ok(Opened { connection: session.clone().run(live(session, strategy, publisher, shared)), phases })
}

/// The requests of a session: whoever receives and whoever publishes ask by it in turn.
type Face = Rc<RefCell<Box<dyn HttpFace>>>;

/// A joined session, by how it receives.
enum Strategy {
    Polling(polling::Polling),
    Streaming(streaming::Streaming),
}

async fn live(session: Rc<Session>, strategy: Strategy, publisher: publish::Publisher, shared: Shared) -> Ended {
    let receive = async {
        let ended = match strategy {
            Strategy::Polling(polling) => polling.receive().await,
            Strategy::Streaming(streaming) => streaming.receive().await,
        };
        // A target that forgets a leaving session may refuse its last poll: how leaving went is the publisher's to say.
        if ended.failure.is_some() && session.closing.is_by_us() { pending().await } else { ended }
    };
    tokio::select! {
        biased;
        ended = publisher.publish(&session) => ended,
        ended = receive => ended,
        never = shared.keep_moving() => match never {},
    }
}

/// What all requests of one purpose share.
struct Requests {
    endpoint: Rc<Endpoint>,
    http: HttpVersion,
    /// By HTTP/2: whom it asks, in the place of `Host`.
    authority: String,
    headers: HeaderMap,
    /// `Cookie`, where the arm has one of its own; and those that the target sets, which both connections share.
    cookie: Option<String>,
    cookies: Option<Rc<Jar>>,
    keep_alive: bool,
    nodelay: bool,
}

impl Requests {
    fn new(
        endpoint: &Rc<Endpoint>,
        settings: &Http,
        said: &Said,
        purpose: Purpose,
        cookies: Option<Rc<Jar>>,
    ) -> Result<Requests, Failure> {
        let mut headers = HeaderMap::new();
        if settings.http == HttpVersion::One {
            let host = HeaderValue::try_from(&said.host);
            headers.insert(HOST, host.map_err(|_| not_a_header("Host"))?);
        }
        for (name, value) in &said.headers(purpose) {
            let (name, value) = header(name, value)?;
            headers.append(name, value);
        }
        if settings.http == HttpVersion::Two {
            // It speaks of the connection by frames (RFC 9113 §8.2.2).
            headers.remove(CONNECTION);
        } else if !settings.keep_alive {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let Http { http, keep_alive, nodelay, .. } = *settings;
        let (authority, cookie) = (said.host.clone(), said.cookie.clone());
        Ok(Requests { endpoint: endpoint.clone(), http, authority, headers, cookie, cookies, keep_alive, nodelay })
    }

    /// The headers of a request for `path`.
    fn write_headers(&self, path: &str, into: &mut HeaderMap) {
        into.clone_from(&self.headers);
        let cookie = match &self.cookies {
            Some(jar) => jar.header(path, self.cookie.as_deref()),
            None => self.cookie.clone(),
        };
        if let Some(value) = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
            into.insert(COOKIE, value);
        }
    }

    /// Keeps the cookies that an answer to a request for `path` sets.
    fn keep_cookies(&self, path: &str, answer: &HeaderMap) {
        if let Some(jar) = &self.cookies {
            answer.get_all(SET_COOKIE).iter().for_each(|value| _ = jar.take(value.as_bytes(), path));
        }
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
    header.ok_or_else(|| not_a_header(name))
}

/// Its value may be a secret.
fn not_a_header(name: &str) -> Failure {
    Failure::new(ErrorClass::HttpProtocol, format!("the value of header {name:?} can't be sent"))
}

/// Is it an answer to take something from?
fn usable(head: &Head) -> Result<(), Failure> {
    if !head.status.is_success() {
        let detail = format!("a request was answered with {}", head.status);
        return Err(Failure::new(ErrorClass::HttpStatus(head.status.as_u16()), detail));
    }
    match head.headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            let detail = format!("the answer is encoded ({encoding:?}); switch that off, or use headers = \"minimal\"");
            Err(Failure::new(ErrorClass::HttpProtocol, detail))
        }
        _ => Ok(()),
    }
}

/// What is wrong with a body.
fn unreadable(body: &Body, error: CodecError) -> Failure {
    match body {
        Body::Lengths(_) => garbage(&error),
        _ => error.into(),
    }
}

/// A number that no other session has: SipHash with keys that std draws anew for each.
fn new_sid() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Longer and longer pauses between attempts that fail, so that a target in trouble isn't hammered.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_secs(1);

    fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Notes a failure and waits. Returns how many there were in a row.
    pub async fn failed(&mut self, ground: &impl Ground) -> u32 {
        let pause = Backoff::FIRST * 2u32.saturating_pow(self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let until = now() + pause.min(Backoff::LONGEST).as_nanos() as Nanos;
        ground.until(until, pending::<Infallible>()).await;
        self.failures
    }
}

/// How long after `last` it is now.
fn since(last: Option<Nanos>) -> Option<Nanos> {
    last.map(|last| now() - last)
}
