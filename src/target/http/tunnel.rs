//! A stream of HTTP/2 that becomes a WebSocket (RFC 8441).

use super::{Body, Face, empty};
use crate::target::websocket::enter;
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;

pub fn is_asked_for(request: &Request<Incoming>) -> bool {
    request.method() == Method::CONNECT
        && request.extensions().get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// Lets the client in, or turns it away.
pub async fn answer(face: &Face, mut request: Request<Incoming>) -> Response<Body> {
    // Before it asked it waited for the settings (RFC 8441 §3), which the emulated network doesn't hold: their way is charged here.
    face.core.network.round_trip().await;
    face.core.network.inbound.cross().await;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let response = match enter(&face.core, path) {
        Ok(entrant) => {
            let stream = hyper::upgrade::on(&mut request);
            entrant.serve(async { stream.await.map(TokioIo::new).map_err(io::Error::other) });
            let mut response = empty(StatusCode::OK);
            if let Some(chosen) = first_offered(&request) {
                response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, chosen);
            }
            response
        }
        Err(status) => empty(status),
    };
    face.core.network.outbound.cross().await;
    response
}

fn first_offered(request: &Request<Incoming>) -> Option<HeaderValue> {
    let offered = request.headers().get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    HeaderValue::from_str(offered.split(',').next()?.trim()).ok()
}
