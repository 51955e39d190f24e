//! The target against clients that others wrote.

use crate::harness::*;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use wsbench::catalog::Engine;
use wsbench::target::Config;

#[test]
fn tungstenite_agrees_with_every_engine() {
    for engine in Engine::ALL {
        with(Config { engine: *engine, ..config() }, |server| async move {
            let socket = TcpStream::connect((server.bind, server.ports.websocket)).await.unwrap();
            let url = format!("ws://127.0.0.1:{}/echo?token={TOKEN}", server.ports.websocket);
            let (mut ws, _) = tokio_tungstenite::client_async(url, socket).await.unwrap();
            for message in [Message::text("Grüße"), Message::binary(vec![0xC2; 100_000])] {
                ws.send(message.clone()).await.unwrap();
                assert_eq!(patient(ws.next()).await.unwrap().unwrap(), message);
            }
            ws.send(Message::Ping(Bytes::from_static(b"p"))).await.unwrap();
            assert_eq!(patient(ws.next()).await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"p")));
            ws.close(None).await.unwrap();
            assert_eq!(patient(ws.next()).await.unwrap().unwrap(), Message::Close(None));
            assert!(patient(ws.next()).await.is_none(), "a clean end");
        });
    }
}

#[test]
fn hyper_polls_and_reads_a_stream() {
    with_target(|server| async move {
        let connect = async || {
            let socket = TcpStream::connect((server.bind, server.ports.http)).await.unwrap();
            let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
            tokio::spawn(connection);
            sender
        };
        let request = |method: &str, path: String, body: &'static str| {
            let request = Request::builder().method(method).uri(path).header("host", "x");
            request.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
        };
        let (mut poll, mut sse) = (connect().await, connect().await);
        let join = |kind: &str, sid: &str| format!("/{kind}/{sid}?join=%2Froom%2Fr&token={TOKEN}");
        let joined = poll.send_request(request("GET", join("poll", "00000000000000aa"), "")).await.unwrap();
        assert_eq!(joined.headers()["cursor"], "0");
        let mut events = sse.send_request(request("GET", join("sse", "00000000000000bb"), "")).await.unwrap();
        let published = poll.send_request(request("POST", "/pub/00000000000000aa".into(), "hello")).await.unwrap();
        assert_eq!(published.status(), StatusCode::NO_CONTENT);
        let event = patient(events.body_mut().frame()).await.unwrap().unwrap();
        assert_eq!(event.into_data().unwrap(), "data: hello\n\n");
        let answer = poll.send_request(request("GET", "/poll/00000000000000aa?c=0".into(), "")).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    });
}
