//! WebSocket as a stream of HTTP/2 (RFC 8441): an extended CONNECT, once the target's settings allow it, and then the same
//! frames as ever.

use super::{Frames, check_chosen, live};
use crate::catalog::Websocket;
use crate::clock::now;
use crate::codec::websocket::{Decoder, Role};
use crate::dialect::speak;
use crate::transport::counted::Counted;
use crate::transport::headers::{Purpose, Said};
use crate::transport::joining::Joining;
use crate::transport::net::{Runtime, dial};
use crate::transport::speech::Speech;
use crate::transport::trunk::{self, Trunk, classify};
use crate::transport::{ConnectPhases, Endpoint, ErrorClass, Failure, Opened, Opening};
use bytes::{Buf, Bytes};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use hyper::{HeaderMap, Method, Request};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) async fn open(opening: &Opening, settings: &Websocket) -> Result<Opened, Failure> {
    let session = opening.session(Speech::new(&opening.endpoint, &opening.place), Some(settings.close_code));
    let dialed = dial(&Runtime, &opening.endpoint, settings.nodelay, opening.deadline).await?;
    trunk::agreed(&dialed.io)?;
    let connected = now();
    let shake = async {
        let trunk = Trunk::open(Counted::new(dialed.io, session.meter.clone())).await?;
        let tunnel = shake_hands(opening, settings, &trunk, &session.speech).await?;
        Ok((trunk, tunnel))
    };
    let what = "the WebSocket handshake";
    let (trunk, tunnel) = opening.deadline.bound(&Runtime, ErrorClass::HandshakeTimeout, what, shake).await?;
    let ended = now();
    let phases = ConnectPhases {
        tcp: Some(dialed.tcp),
        tls: dialed.tls,
        upgrade: Some(ended - connected),
        total: ended - opening.began,
        ..ConnectPhases::default()
    };
    let living = live(session.clone(), settings.engine, tunnel, Frames::new(settings));
    Ok(Opened { connection: session.run(async move { trunk.carry(living).await }), phases })
}

/// Asks for the stream, and joins by what the dialect says then.
async fn shake_hands(
    opening: &Opening,
    settings: &Websocket,
    trunk: &Trunk,
    speech: &Speech,
) -> Result<Tunnel, Failure> {
    let request = request(opening, settings)?;
    allowed(trunk).await?;
    let mut requests = trunk.ready().await.map_err(|error| classify(&error))?;
    let (response, send) = requests.send_request(request, false).map_err(|error| classify(&error))?;
    let (head, receive) = trunk.carry(response).await.map_err(|error| classify(&error))?.into_parts();
    if !head.status.is_success() {
        let detail = format!("the target answered {} instead of 200", head.status);
        return Err(Failure::new(ErrorClass::UpgradeStatus(head.status.as_u16()), detail));
    }
    check(&opening.endpoint, &head.headers, settings)?;
    trunk.bytes().joined(trunk.bytes().head_len());
    let tunnel = Tunnel::new(send, receive);
    let Some(talk) = speech.talk() else { return Ok(tunnel) };
    let mut joining = Joining::new(tunnel);
    let mut decoder = Decoder::new(Role::Client);
    let (_, head) = trunk.carry(joining.talk(talk, &mut decoder, 0)).await?;
    let (tunnel, early) = joining.into_parts(head);
    trunk.bytes().joined_but_for(early.len() as u64);
    tunnel.unread(early);
    Ok(tunnel)
}

/// The extended CONNECT (RFC 8441 §4): HTTP/2 itself keeps out who doesn't mean it, so there is no key and no accept.
fn request(opening: &Opening, settings: &Websocket) -> Result<Request<()>, Failure> {
    let endpoint = &*opening.endpoint;
    let said = Said::new(endpoint, &opening.place, settings.headers, &settings.extra_headers, &settings.identity);
    let scheme = if endpoint.tls.is_some() { "https" } else { "http" };
    let path = speak(&endpoint.dialect, &endpoint.token).upgrade_path(&opening.place);
    let uri = format!("{scheme}://{}{path}", said.host);
    let mut request = Request::builder().method(Method::CONNECT).uri(uri).header("sec-websocket-version", "13");
    if !settings.subprotocols.is_empty() {
        request = request.header("sec-websocket-protocol", settings.subprotocols.join(", "));
    }
    for (name, value) in &said.headers(Purpose::Upgrade) {
        request = request.header(name, value);
    }
    if let Some(cookie) = &said.cookie {
        request = request.header("cookie", cookie);
    }
    let request = request.extension(Protocol::from_static("websocket")).body(());
    request.map_err(|error| Failure::new(ErrorClass::HttpProtocol, format!("the handshake can't be sent: {error}")))
}

/// Waits for the target's settings, which must say that it takes such a CONNECT (RFC 8441 §3).
async fn allowed(trunk: &Trunk) -> Result<(), Failure> {
    let is_allowed = poll_fn(|cx| {
        let is_over = trunk.poll(cx).is_ready();
        match trunk.carries_websockets() {
            true => Poll::Ready(Some(true)),
            false if is_over => Poll::Ready(None),
            // The first frame are the settings.
            false if trunk.bytes().has_frame() => Poll::Ready(Some(false)),
            false => Poll::Pending,
        }
    });
    match is_allowed.await {
        Some(true) => Ok(()),
        Some(false) => {
            let detail = "the target's HTTP/2 carries no WebSockets: its settings lack ENABLE_CONNECT_PROTOCOL \
                          (RFC 8441); leave out `http = 2`";
            Err(Failure::new(ErrorClass::NoExtendedConnect, detail))
        }
        None => {
            let ended = || Failure::new(ErrorClass::Truncated, "the connection ended before the target's settings");
            Err(trunk.ready().await.err().map_or_else(ended, |error| classify(&error)))
        }
    }
}

/// What was chosen must have been offered.
fn check(endpoint: &Endpoint, headers: &HeaderMap, settings: &Websocket) -> Result<(), Failure> {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let chosen = value("sec-websocket-protocol");
    check_chosen(endpoint, settings, chosen.is_some())?;
    if let Some(chosen) = chosen
        && !settings.subprotocols.iter().any(|offered| offered == chosen)
    {
        let detail = format!("the server chose subprotocol {chosen:?}, which was not offered");
        return Err(Failure::new(ErrorClass::BadSubprotocol, detail));
    }
    match value("sec-websocket-extensions") {
        Some(extension) => {
            let detail = format!("the server chose extension {extension:?}, which was not offered");
            Err(Failure::new(ErrorClass::UpgradeInvalid, detail))
        }
        None => Ok(()),
    }
}

/// Both directions of one stream. Whoever waits for it has to move the trunk on.
#[derive(Clone)]
struct Tunnel(Rc<RefCell<Ends>>);

struct Ends {
    send: SendStream<Bytes>,
    receive: RecvStream,
    /// What has come and wasn't read yet.
    unread: Bytes,
}

impl Tunnel {
    fn new(send: SendStream<Bytes>, receive: RecvStream) -> Tunnel {
        Tunnel(Rc::new(RefCell::new(Ends { send, receive, unread: Bytes::new() })))
    }

    /// Puts back what was read too much.
    fn unread(&self, bytes: Vec<u8>) {
        self.0.borrow_mut().unread = bytes.into();
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let ends = &mut *self.0.borrow_mut();
        while ends.unread.is_empty() {
            let Some(data) = ready!(ends.receive.poll_data(cx)) else { return Poll::Ready(Ok(())) };
            ends.unread = data.map_err(io::Error::other)?;
            let came = ends.unread.len();
            ends.receive.flow_control().release_capacity(came).map_err(io::Error::other)?;
        }
        let n = ends.unread.len().min(into.remaining());
        into.put_slice(&ends.unread[..n]);
        ends.unread.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let ends = &mut *self.0.borrow_mut();
        ends.send.reserve_capacity(bytes.len());
        while ends.send.capacity() == 0 && !bytes.is_empty() {
            match ready!(ends.send.poll_capacity(cx)) {
                Some(capacity) => drop(capacity.map_err(io::Error::other)?),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let n = bytes.len().min(ends.send.capacity());
        ends.send.send_data(Bytes::copy_from_slice(&bytes[..n]), false).map_err(io::Error::other)?;
        Poll::Ready(Ok(n))
    }

    /// The trunk writes when it is moved on.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = self.0.borrow_mut().send.send_data(Bytes::new(), true);
        Poll::Ready(ended.map_err(io::Error::other))
    }
}
