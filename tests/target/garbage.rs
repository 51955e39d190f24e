//! Untrusted bytes on every port: the target goes on.

use crate::harness::*;
use crate::websocket::joined;
use tokio::io::AsyncWriteExt as _;
use wsbench::catalog::Engine;
use wsbench::target::Config;

/// Bytes that are no protocol's, drawn from a seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    (0..length as u64).map(|n| wsbench::seed::mix(seed, n) as u8).collect()
}

#[test]
fn garbage_on_every_port_is_survived() {
    for engine in Engine::ALL {
        with(Config { engine: *engine, ..config() }, |server| async move {
            let ports = server.ports;
            for port in [ports.websocket, ports.tcp, ports.http] {
                for seed in 0..20 {
                    let mut raw = Raw::open(&server, port).await;
                    // The target may hang up before it has all been written.
                    _ = raw.socket.write_all(&noise(seed, 30_000)).await;
                }
            }
            let datagrams = Datagrams::open(&server).await;
            for seed in 0..50 {
                datagrams.send(noise(seed, 1 + 20 * seed as usize)).await;
            }
            for seed in 0..20 {
                let mut ws = joined(&server, "/echo").await;
                let bytes = noise(seed, 3000);
                ws.send(bytes[0], &bytes).await;
                let mut tcp = tcp(&server, "/room/noise").await;
                tcp.write(bytes).await;
            }
            let mut ws = joined(&server, "/echo").await;
            ws.send_text("still here").await;
            assert_eq!(ws.message().await.1, b"still here");
            let mut http = Http::open(&server).await;
            http.join("00000000000000a1", "/echo", "").await;
            let peer = Datagrams::joined(&server, "/echo").await;
            peer.send("still here").await;
            assert_eq!(peer.receive().await, b"still here");
        });
    }
}

#[test]
fn endless_heads_and_lines_are_cut_off() {
    with_target(|server| async move {
        for port in [server.ports.websocket, server.ports.tcp, server.ports.http] {
            let mut raw = Raw::open(&server, port).await;
            raw.write("GET /echo HTTP/1.1\r\nx: ").await;
            // Ends when the target hangs up; a hang would be the failure.
            while patient(raw.socket.write_all(&[b'y'; 4096])).await.is_ok() {}
        }
    });
}

#[test]
fn a_client_that_does_not_read_loses_its_own_copies_only() {
    let report = with_target(|server| async move {
        let mut reads = tcp(&server, "/room/r").await;
        let _never_reads = tcp(&server, "/room/r").await;
        let message = vec![b'x'; 1 << 20];
        for _ in 0..80 {
            reads.send_framed(&message).await;
            assert!(reads.read_framed().await == message);
        }
    });
    assert!(report.dropped > 0 && report.delivered >= 80, "{report:?}");
}
