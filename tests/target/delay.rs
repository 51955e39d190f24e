//! The emulated network: at least the delay, each way, on every face. (How much more is not a test's business.)

use crate::harness::*;
use crate::websocket::joined;
use std::future::Future;
use wsbench::catalog::Engine;
use wsbench::clock::{MILLI, now};
use wsbench::target::Config;
use wsbench::units::Span;

const DELAY: u64 = 20;

fn delayed() -> Config {
    Config { delay: Span::from_millis(DELAY), ..config() }
}

async fn takes_transits(n: u64, what: &str, exchange: impl Future<Output = ()>) {
    let start = now();
    exchange.await;
    let took = now() - start;
    assert!(took >= n * DELAY * MILLI, "{what} took {} ms", took / MILLI);
}

#[test]
fn a_connect_costs_a_round_trip_and_so_does_an_exchange() {
    for engine in Engine::ALL {
        with(Config { engine: *engine, ..delayed() }, |server| async move {
            takes_transits(4, "a WebSocket's connect and upgrade", async {
                let mut ws = joined(&server, "/echo").await;
                takes_transits(2, "its echo", async {
                    ws.send_text("x").await;
                    ws.frame().await;
                })
                .await;
                takes_transits(2, "its pong", async {
                    ws.send(0x89, b"x").await;
                    ws.frame().await;
                })
                .await;
                takes_transits(2, "its close", async {
                    ws.send(0x88, &1000u16.to_be_bytes()).await;
                    assert_eq!(ws.frame().await.0, 0x88);
                })
                .await;
            })
            .await;
        });
    }
}

#[test]
fn streams_datagrams_and_requests_are_held_alike() {
    with(delayed(), |server| async move {
        takes_transits(4, "TCP's connect and join", async {
            let mut raw = tcp(&server, "/echo").await;
            takes_transits(2, "TCP's echo", async {
                raw.send_framed(b"x").await;
                raw.read_framed().await;
            })
            .await;
            takes_transits(2, "TCP's close", async {
                tokio::io::AsyncWriteExt::shutdown(&mut raw.socket).await.unwrap();
                raw.rest().await;
            })
            .await;
        })
        .await;
        takes_transits(4, "UDP's two joins", async {
            let peer = Datagrams::joined(&server, "/echo").await;
            takes_transits(2, "UDP's echo", async {
                peer.send("x").await;
                peer.receive().await;
            })
            .await;
        })
        .await;
        let mut http = Http::open(&server).await;
        takes_transits(4, "HTTP's connect and request", async { _ = http.join("00000000000000a1", "/echo", "").await })
            .await;
        takes_transits(2, "a kept connection's request", async { _ = http.post("00000000000000a1", b"x").await }).await;
    });
}

#[test]
fn what_is_under_way_is_pipelined_not_queued_behind_one_another() {
    with(delayed(), |server| async move {
        let mut raw = tcp(&server, "/echo").await;
        let start = now();
        for n in 0..100u32 {
            raw.send_framed(&n.to_be_bytes()).await;
        }
        for n in 0..100u32 {
            assert_eq!(raw.read_framed().await, n.to_be_bytes());
        }
        let took = (now() - start) / MILLI;
        assert!(
            took < 100 * 2 * DELAY / 2,
            "a hundred echoes in {took} ms: one after the other they take four seconds"
        );
    });
}
