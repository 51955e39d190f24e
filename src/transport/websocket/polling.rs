//! Beginning by polling, as browsers' clients do: a session is joined by HTTP requests and then goes over to a WebSocket.
//! While it does so a request for messages is held, as a client's is that polls; its answer is waited for before the
//! WebSocket takes over, so that nothing is lost in between. A session is owed nothing before that.

use super::{Codec, shake_hands};
use crate::catalog::{Format, TransportKind, Websocket};
use crate::clock::now;
use crate::codec::body::{Body, Cut};
use crate::codec::response::ResponseDecoder;
use crate::dialect::{Ask, Head, Headers, HttpFace, Receive, Switch, speak};
use crate::transport::cookies::Jar;
use crate::transport::counted::Reading;
use crate::transport::headers::{Purpose, Said};
use crate::transport::io::{Io, Socket};
use crate::transport::joining::{Joined, Joining, Notes, Units};
use crate::transport::net::{Deadline, Ground, dial};
use crate::transport::speech::Speech;
use crate::transport::{ConnectPhases, Endpoint, ErrorClass, Failure, Opening, tcp_info};
use std::pin::pin;

/// Connects and joins by polling, then goes over to a WebSocket.
pub(super) async fn upgraded<G: Ground>(
    ground: &G,
    opening: &Opening,
    settings: &Websocket,
    speech: &Speech,
) -> Result<(Joined<G::Socket>, Codec, ConnectPhases), Failure> {
    let (endpoint, deadline) = (&*opening.endpoint, opening.deadline);
    let dialed = dial(ground, endpoint, settings.nodelay, deadline).await?;
    let connected = now();
    let mut polled = Polled::new(opening, settings, speech, Joining::new(dialed.io));
    let joining = pin!(async {
        polled.join().await?;
        let switch = polled.face.switch();
        let none = "the target offers no WebSocket to go over to";
        Ok((polled, switch.ok_or_else(|| Failure::new(ErrorClass::HttpProtocol, none))?))
    });
    let class = ErrorClass::HandshakeTimeout;
    let (polled, switch) = deadline.bound(ground, class.clone(), "joining by polling", joining).await?;
    let polling = now();
    let (joined, codec) = over(ground, deadline, polled, switch).await?;
    let ended = now();
    let phases = ConnectPhases {
        tcp: Some(dialed.tcp),
        tls: dialed.tls,
        upgrade: Some(polling - connected),
        switch: Some(ended - polling),
        total: ended - opening.began,
    };
    Ok((joined, codec, phases))
}

/// Goes over to the WebSocket.
async fn over<G: Ground>(
    ground: &G,
    deadline: Deadline,
    mut polled: Polled<'_, G::Socket>,
    Switch { path, probe, last }: Switch,
) -> Result<(Joined<G::Socket>, Codec), Failure> {
    let (endpoint, settings) = (polled.endpoint, polled.settings);
    let held = polled.face.poll();
    polled.write(&held).await?;
    let dialed = dial(ground, endpoint, settings.nodelay, deadline).await?;
    let switching = pin!(async {
        let mut said = polled.said.clone();
        said.cookie = polled.cookie(&path);
        let shake = shake_hands(endpoint, settings, &said, path, Joining::new(dialed.io), Some(&*probe));
        let (mut joining, mut codec, head) = shake.await?;
        ground.turn().await;
        polled.hear().await?;
        ground.turn().await;
        let mut wire = Vec::new();
        codec.decoder.put(Format::Text, last, &mut wire);
        polled.notes.said.iter().for_each(|said| codec.decoder.put(Format::Text, said, &mut wire));
        joining.ask(&wire).await?;
        let mut joined = joining.joined(head);
        let former = polled.http.joined();
        joined.handshake.asked += former.handshake.asked;
        joined.handshake.answered += former.handshake.answered;
        joined.former = Some(Box::new(former.reading()));
        Ok((joined, codec))
    });
    deadline.bound(ground, ErrorClass::HandshakeTimeout, "going over to the WebSocket", switching).await
}

/// A session that polls, on one connection: one request at a time is all that joining takes.
struct Polled<'a, S> {
    endpoint: &'a Endpoint,
    settings: &'a Websocket,
    speech: &'a Speech,
    said: Said,
    /// The cookies that the target sets; `None`: they aren't kept.
    cookies: Option<Jar>,
    http: Http<S>,
    /// Path and query of the latest request.
    asked: String,
    face: Box<dyn HttpFace>,
    notes: Notes,
}

impl<'a, S: Socket> Polled<'a, S> {
    fn new(
        opening: &'a Opening,
        settings: &'a Websocket,
        speech: &'a Speech,
        joining: Joining<Io<S>>,
    ) -> Polled<'a, S> {
        let endpoint = &*opening.endpoint;
        let transport = TransportKind::LongPolling;
        let receive = Receive { transport, batch: true, headers: settings.headers, format: Format::Text };
        let face = speak(&endpoint.dialect, &endpoint.token).http(&opening.place, 0, receive);
        let mut notes = Notes::default();
        match speech.talk() {
            Some(talk) => talk.begin(&mut |heard| notes.take(heard)),
            None => notes.is_joined = true,
        }
        let said = Said::new(endpoint, &opening.place, settings.headers, &settings.extra_headers, &settings.identity);
        Polled {
            endpoint,
            settings,
            speech,
            said,
            cookies: settings.identity.cookies.then(Jar::default),
            http: Http::new(joining),
            asked: String::new(),
            face,
            notes,
        }
    }

    /// Asks until the session is joined.
    async fn join(&mut self) -> Result<(), Failure> {
        loop {
            for said in std::mem::take(&mut self.notes.said) {
                let ask = self.face.publish(said.into());
                self.write(&ask).await?;
                usable(self.read().await?.0)?;
            }
            let ask = match self.face.join() {
                Some(ask) => ask,
                None if self.notes.is_joined => return Ok(()),
                None => self.face.poll(),
            };
            self.write(&ask).await?;
            self.hear().await?;
        }
    }

    async fn write(&mut self, ask: &Ask) -> Result<(), Failure> {
        let is_post = ask.method == "POST";
        let purpose = if is_post { Purpose::Publish } else { Purpose::Receive };
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", ask.method, ask.path, self.said.host);
        let is_own = |name: &str| ask.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let usual = self.said.headers(purpose);
        for (name, value) in usual.iter().filter(|(name, _)| !is_own(name)).chain(&ask.headers) {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(cookie) = self.cookie(&ask.path) {
            head += &format!("Cookie: {cookie}\r\n");
        }
        if is_post {
            head += &format!("Content-Length: {}\r\n", ask.body.len());
        }
        head += "\r\n";
        let mut request = head.into_bytes();
        request.extend_from_slice(&ask.body);
        self.asked.clone_from(&ask.path);
        self.http.joining.ask(&request).await
    }

    /// What a request for `path` has as its `Cookie`.
    fn cookie(&self, path: &str) -> Option<String> {
        let own = self.said.cookie.as_deref();
        self.cookies.as_ref().map_or_else(|| own.map(str::to_owned), |jar| jar.header(path, own))
    }

    /// Waits for the answer to the latest request, and keeps its cookies.
    async fn read(&mut self) -> Result<(u16, Vec<u8>), Failure> {
        let read = self.http.read().await?;
        let set = self.http.decoder.take_cookies();
        if let Some(jar) = &self.cookies {
            set.iter().for_each(|header| _ = jar.take(header, &self.asked));
        }
        Ok(read)
    }

    /// Reads an answer and hears what is in it.
    async fn hear(&mut self) -> Result<(), Failure> {
        let (status, bytes) = self.read().await?;
        if self.face.is_nothing_new(status) {
            return Ok(());
        }
        usable(status)?;
        let cut = self.face.answered(&Head { status, headers: &Unread })?;
        let (speech, notes) = (self.speech, &mut self.notes);
        let mut heard = Ok(());
        let mut take = |message: &[u8]| {
            if let (Ok(()), Some(talk)) = (&heard, speech.talk()) {
                heard = talk.hear(message, &mut |heard| notes.take(heard));
            }
        };
        match cut {
            Cut::Own => self.face.cut(&bytes, &mut take)?,
            cut => {
                let mut body = Body::new(cut);
                body.push(&bytes, &mut take)?;
                body.end(&mut take)?;
            }
        }
        Ok(heard?)
    }
}

/// HTTP on one connection.
struct Http<S> {
    joining: Joining<Io<S>>,
    decoder: ResponseDecoder,
    /// How much of what came was read.
    at: usize,
}

impl<S: Socket> Http<S> {
    fn new(joining: Joining<Io<S>>) -> Http<S> {
        Http { joining, decoder: ResponseDecoder::default(), at: 0 }
    }

    /// Waits for the answer to what was asked: its status and its body.
    async fn read(&mut self) -> Result<(u16, Vec<u8>), Failure> {
        let Http { joining, decoder, at } = self;
        let mut body = Vec::new();
        let whole = |came: &[u8]| {
            let (used, response) = decoder.push_with(&came[*at..], |bytes| body.extend_from_slice(bytes))?;
            *at += used;
            Ok(response.map(|response| (response, *at)))
        };
        let (response, _) = joining.answer("the answer to a request", whole).await?;
        if !response.keeps_alive {
            let detail = "the target closes the connection that the session began by; it has to be kept alive";
            return Err(Failure::new(ErrorClass::HttpProtocol, detail));
        }
        Ok((response.status, body))
    }

    /// All that passed was part of a handshake.
    fn joined(self) -> Joined<S> {
        self.joining.joined(self.at)
    }
}

impl<S: Socket> Joined<S> {
    /// What the connection has counted beyond its handshake, which is what the system did.
    fn reading(&self) -> Reading {
        let socket = self.io.socket();
        let counts = tcp_info::read_with_unread(socket, socket.is_ipv6());
        Reading::new(0, self.early.len() as u64, counts, self.handshake.before)
    }
}

/// Headers that nobody looks at: what joins a session stands in the bodies.
struct Unread;

impl Headers for Unread {
    fn get(&self, _: &str) -> Option<&str> {
        None
    }
}

/// Is it an answer to take something from?
fn usable(status: u16) -> Result<(), Failure> {
    match status {
        200..300 => Ok(()),
        _ => Err(Failure::new(ErrorClass::HttpStatus(status), format!("a request was answered with {status}"))),
    }
}
