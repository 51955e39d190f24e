//! The real bus: a NATS server, over core NATS.

mod address;
mod state;

use super::{BusError, Carrier, Inbox, Received};
use crate::clock::{self, Nanos};
use address::Address;
use async_nats::client::PublishErrorKind;
use async_nats::connection::State as Connection;
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Subscriber};
use futures_util::StreamExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use state::State;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

pub use state::Health;

/// Longer packets gain nothing, and hold up those behind them.
const MAX_PACKET: usize = 256 << 10;

/// How long connecting to one address may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A server that leaves three of these unanswered is gone.
const PING: Duration = Duration::from_secs(2);

/// How long a connection that takes nothing may hold up its sender.
const SENDING: Duration = Duration::from_millis(200);
const FLUSHING: Duration = Duration::from_secs(1);

/// Messages that wait in this process: to be sent, and of one subscription to be taken.
const TO_SEND: usize = 512;
const TO_TAKE: usize = 8192;

/// Where the NATS server is, and who we are there.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NatsOptions {
    /// `nats://HOST[:PORT]` or `tls://…`, several with commas between; a user and password, or a token, may stand before the host.
    pub url: String,
    /// A credentials file, as `nsc` writes it.
    pub credentials: Option<PathBuf>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub token: Option<String>,
    /// Certificates to trust in place of the system's.
    pub ca: Option<PathBuf>,
    /// How the server calls the connection in its lists.
    pub name: String,
}

/// Without secrets.
impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = Address::all(&self.url).unwrap_or_default().into_iter().map(|a| a.url).collect();
        let NatsOptions { credentials, user, ca, name, .. } = self;
        let mut shown = f.debug_struct("NatsOptions");
        shown.field("urls", &urls).field("credentials", credentials).field("user", user).field("ca", ca);
        shown.field("name", name).finish_non_exhaustive()
    }
}

/// By what the server is to know us.
enum Proof {
    Nothing,
    File(PathBuf),
    Password(String, String),
    Token(String),
}

impl Proof {
    fn of(options: &NatsOptions, addresses: &[Address]) -> Result<Proof, BusError> {
        let wrong = |words: &str| Err(BusError::Settings(words.to_owned()));
        let NatsOptions { credentials, user, password, token, .. } = options;
        if password.is_some() && user.is_none() {
            return wrong("a password for NATS without a user");
        }
        let mut proofs: Vec<Proof> = Vec::new();
        proofs.extend(credentials.clone().map(Proof::File));
        proofs.extend(user.clone().map(|user| Proof::Password(user, password.clone().unwrap_or_default())));
        proofs.extend(token.clone().map(Proof::Token));
        // All servers of one cluster know the same users.
        let within = addresses.iter().find_map(|address| address.user.clone());
        proofs.extend(within.map(|(user, password)| match password {
            Some(password) => Proof::Password(user, password),
            None => Proof::Token(user),
        }));
        let first = proofs.pop();
        if !proofs.is_empty() {
            return wrong("more than one of a credentials file, a user and a token for NATS");
        }
        Ok(first.unwrap_or(Proof::Nothing))
    }

    fn name(&self) -> &'static str {
        match self {
            Proof::Nothing => "anybody without credentials",
            Proof::File(_) => "the credentials file",
            Proof::Password(..) => "this user and password",
            Proof::Token(_) => "this token",
        }
    }
}

/// A connection to NATS that comes back by itself, for ever. What is published while there is none is lost.
pub struct Nats {
    client: Client,
    state: Arc<watch::Sender<State>>,
    /// The connection takes nothing, as when the network is gone and nobody has said so yet.
    is_stuck: AtomicBool,
}

impl Nats {
    /// Needs a running tokio runtime.
    ///
    /// # Errors
    /// What is wrong and what can be done about it, without secrets.
    pub async fn connect(options: &NatsOptions) -> Result<Nats, BusError> {
        let addresses = Address::all(&options.url)?;
        let proof = Proof::of(options, &addresses)?;
        let state = Arc::new(watch::Sender::new(State::default()));
        let events = state.clone();
        let connecting = ConnectOptions::new()
            .name(&options.name)
            .connection_timeout(CONNECT)
            .ping_interval(PING)
            .client_capacity(TO_SEND)
            .subscription_capacity(TO_TAKE)
            .reconnect_delay_callback(pause)
            .event_callback(move |event| {
                events.send_modify(|state| state.note(event));
                std::future::ready(())
            });
        let connecting = match &proof {
            Proof::Nothing => connecting,
            Proof::File(file) => {
                let text = std::fs::read_to_string(file);
                let made = text.and_then(|text| connecting.credentials(&text));
                made.map_err(|error| BusError::Settings(format!("NATS credentials file {}: {error}", file.display())))?
            }
            Proof::Password(user, password) => connecting.user_and_password(user.clone(), password.clone()),
            Proof::Token(token) => connecting.token(token.clone()),
        };
        let connecting = match &options.ca {
            None => connecting,
            Some(file) => {
                certificates(file)?;
                connecting.add_root_certificates(file.clone())
            }
        };
        let urls: Vec<String> = addresses.into_iter().map(|address| address.url).collect();
        let connected = connecting.connect(urls.as_slice()).await;
        let client = connected.map_err(|error| unconnected(&error, urls.join(","), &proof))?;
        Ok(Nats { client, state, is_stuck: AtomicBool::new(false) })
    }

    /// What befell the connection so far.
    pub fn health(&self) -> Health {
        let is_connected = self.client.connection_state() == Connection::Connected;
        Health { is_connected, ..self.state.borrow().health.clone() }
    }

    /// Waits until what was published has left this process, but not for long.
    pub async fn flush(&self) {
        let _ = timeout(FLUSHING, self.client.flush()).await;
    }

    async fn send(&self, subject: &str, reply: Option<&str>, bytes: Vec<u8>) -> Result<(), BusError> {
        let length = bytes.len();
        if self.state.borrow().may_not_publish.contains(subject) {
            return Err(BusError::Denied { doing: "publish to", subject: subject.to_owned() });
        }
        // What is queued now would arrive late and stale.
        if self.client.connection_state() != Connection::Connected {
            self.drop_one();
            return Ok(());
        }
        let sending = async {
            match reply {
                None => self.client.publish(subject.to_owned(), bytes.into()).await,
                Some(reply) => self.client.publish_with_reply(subject.to_owned(), reply.to_owned(), bytes.into()).await,
            }
        };
        let patience = if self.is_stuck.load(Ordering::Relaxed) { Duration::ZERO } else { SENDING };
        let sent = timeout(patience, sending).await;
        self.is_stuck.store(sent.is_err(), Ordering::Relaxed);
        let Ok(sent) = sent else {
            self.drop_one();
            return Ok(());
        };
        sent.map_err(|error| match error.kind() {
            PublishErrorKind::InvalidSubject => BusError::Subject(subject.to_owned()),
            PublishErrorKind::MaxPayloadExceeded => BusError::TooLong { length, limit: self.client.max_payload() },
            PublishErrorKind::Send => BusError::Closed,
        })
    }

    fn drop_one(&self) {
        self.state.send_modify(|state| state.health.dropped += 1);
    }
}

impl Carrier for Nats {
    type Inbox = NatsInbox;

    async fn publish(&self, subject: &str, bytes: Vec<u8>) -> Result<(), BusError> {
        self.send(subject, None, bytes).await
    }

    async fn ask(&self, subject: &str, reply: &str, bytes: Vec<u8>) -> Result<(), BusError> {
        self.send(subject, Some(reply), bytes).await
    }

    async fn subscribe(&self, subject: &str) -> Result<NatsInbox, BusError> {
        let subscriber = self.client.subscribe(subject.to_owned()).await;
        let subscriber = subscriber.map_err(|_| BusError::Subject(subject.to_owned()))?;
        // The server takes things in the order in which they come by one connection, so what is sent next comes after this.
        self.flush().await;
        Ok(NatsInbox { subscriber, subject: subject.to_owned(), state: self.state.subscribe() })
    }

    fn limit(&self) -> usize {
        self.client.max_payload().min(MAX_PACKET)
    }

    fn now(&self) -> Nanos {
        clock::now()
    }
}

/// What comes to one subscription. Ends when the connection is closed, and when the server doesn't let this user listen, as
/// [`Health::complaint`] then says.
pub struct NatsInbox {
    subscriber: Subscriber,
    subject: String,
    state: watch::Receiver<State>,
}

impl Inbox for NatsInbox {
    async fn next(&mut self) -> Option<Received> {
        loop {
            if self.state.borrow_and_update().may_not_subscribe.contains(&self.subject) {
                return None;
            }
            tokio::select! {
                message = self.subscriber.next() => {
                    let message = message?;
                    let reply = message.reply.map(|reply| reply.to_string());
                    return Some(Received { subject: message.subject.to_string(), bytes: message.payload, reply });
                }
                changed = self.state.changed() => changed.ok()?,
            }
        }
    }
}

/// Before the given attempt to connect. Many who lost the same server don't come back all at once.
fn pause(attempt: usize) -> Duration {
    const MAX: u64 = 2_000;
    if attempt <= 1 {
        return Duration::ZERO;
    }
    let whole = (50_u64 << attempt.min(6)).min(MAX);
    Duration::from_millis(whole / 2 + rand::random_range(0..=whole / 2))
}

/// That the file holds certificates, which would else be found out by a handshake that fails.
fn certificates(file: &std::path::Path) -> Result<(), BusError> {
    let wrong = |words: String| BusError::Settings(format!("NATS certificates {}: {words}", file.display()));
    let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(wrong("no certificate in PEM".to_owned())),
        Ok(_) => Ok(()),
        Err(error) => Err(wrong(error.to_string())),
    }
}

fn unconnected(error: &ConnectError, url: String, proof: &Proof) -> BusError {
    let source = error.source();
    let why = source.map_or_else(|| error.to_string(), ToString::to_string);
    let io = source.and_then(|source| source.downcast_ref::<io::Error>());
    let is_tls = io.and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<rustls::Error>());
    match error.kind() {
        ConnectErrorKind::ServerParse => BusError::Settings(format!("NATS URL {url}: {why}")),
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            BusError::Credentials { url, who: proof.name(), why }
        }
        ConnectErrorKind::Tls => BusError::Tls { url, why },
        ConnectErrorKind::Io if is_tls => BusError::Tls { url, why },
        ConnectErrorKind::Dns => BusError::Unreachable { url, why: format!("its name isn't known ({why})") },
        ConnectErrorKind::TimedOut => {
            BusError::Unreachable { url, why: format!("nothing came for {} s", CONNECT.as_secs()) }
        }
        ConnectErrorKind::Io | ConnectErrorKind::MaxReconnects => BusError::Unreachable { url, why },
    }
}
