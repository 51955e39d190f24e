//! What the target does on purpose: all of it really done, exactly as often as it says, and counted.

use crate::harness::*;
use crate::websocket::{joined, upgrade};
use wsbench::catalog::{Engine, Oracle};
use wsbench::clock::{MILLI, now};
use wsbench::measure::Truth;
use wsbench::target::{Config, Report, Target};
use wsbench::wire::{Kind, Tag};

mod copies;
mod datagrams;
mod delays;

/// A configuration with this oracle, as in a scenario.
fn acting(table: &str) -> Config {
    let oracle: Oracle = toml::from_str(table).unwrap();
    Config { oracle, ..config() }
}

fn truth(report: &Report) -> &Truth {
    report.truth.as_ref().expect("an oracle tells what it did")
}

fn payload(id: u64) -> Vec<u8> {
    Tag { kind: Kind::Message, run: 1, id, due: 0 }.encode().to_vec()
}

fn id(payload: &[u8]) -> u64 {
    Tag::find(payload).unwrap().id
}

#[test]
fn a_target_that_is_asked_for_nothing_has_nothing_to_tell() {
    let report = with(acting("seed = 5"), |server| async move {
        let mut raw = tcp(&server, "/echo").await;
        raw.send_framed(b"x").await;
        assert_eq!(raw.read_framed().await, b"x");
    });
    assert_eq!(report.truth, None);
}

#[test]
fn a_log_that_can_not_be_made_is_told_before_anything_runs() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = acting("reply_delay = \"constant(1ms)\"\nlog = \"/nowhere/at/all.csv\"");
    let error = runtime.block_on(async { Target::bind(&config).err().unwrap().to_string() });
    assert!(error.contains("/nowhere/at/all.csv"), "{error}");
}

#[test]
fn a_stall_freezes_everything_for_its_length() {
    let report = with(acting("stall = \"40ms/100ms\""), |server| async move {
        let mut raw = tcp(&server, "/echo").await;
        let end = now() + 350 * MILLI;
        while now() < end {
            raw.send_framed(b"x").await;
            raw.read_framed().await;
        }
    });
    let stalls = &truth(&report).stalls;
    assert!(stalls.count() >= 2, "{}", stalls.count());
    assert!(stalls.at(0.0) >= 40 * MILLI, "{}", stalls.at(0.0));
}

#[test]
fn every_kth_connection_over_all_faces_is_refused_or_reset() {
    let report = with(acting("refuse = 3\nreset = 2"), |server| async move {
        let ports = [server.ports.tcp, server.ports.websocket, server.ports.http];
        for n in 1..=12 {
            let mut raw = Raw::open(&server, ports[n % 3 / 2 + n % 2]).await;
            if n % 3 == 0 {
                assert!(raw.rest().await.is_empty(), "connection {n} ends in order without a byte");
                continue;
            }
            assert!(raw.is_silent().await);
            raw.write("GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await;
            let mut answer = Vec::new();
            let read = patient(tokio::io::AsyncReadExt::read_to_end(&mut raw.socket, &mut answer)).await;
            match n % 2 {
                0 => assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset, "connection {n}"),
                _ => assert!(!answer.is_empty(), "connection {n} is served"),
            }
        }
    });
    assert_eq!((truth(&report).connections_refused, truth(&report).connections_reset, report.accepted), (4, 4, 12));
}

#[test]
fn every_kth_peer_is_refused() {
    let report = with(acting("refuse = 2"), |server| async move {
        let _first = Datagrams::joined(&server, "/echo").await;
        let second = Datagrams::open(&server).await;
        let cookie = second.cookie("/echo").await;
        let join = format!("WSBENCH/1 JOIN /echo token={TOKEN} cookie={cookie}");
        second.send(&join).await;
        assert_eq!(second.receive().await, b"WSBENCH/1 ERR turned away on purpose");
        second.send("from nobody").await;
        assert!(second.is_silent().await);
        second.send(&join).await;
        assert_eq!(second.receive().await, b"WSBENCH/1 OK", "the third join");
    });
    assert_eq!(truth(&report).connections_refused, 1);
}

#[test]
fn every_kth_upgrade_is_answered_wrongly() {
    for (bad, line) in
        [("429", "HTTP/1.1 429 "), ("503", "HTTP/1.1 503 "), ("bad-accept", "HTTP/1.1 101 Switching Protocols\r\n")]
    {
        let report = with(acting(&format!("bad_upgrade = \"{bad}\"\nupgrade = 2")), |server| async move {
            for _ in 0..3 {
                let _served = joined(&server, "/echo").await;
                let (mut raw, head) = upgrade(&server, &format!("/echo?token={TOKEN}"), "").await;
                assert!(head.starts_with(line), "{head}");
                assert_eq!(head.contains("\r\nRetry-After: 1\r\n"), bad != "bad-accept", "{head}");
                assert!(!head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
                raw.rest().await;
            }
        });
        assert_eq!(truth(&report).upgrades_refused, 3);
    }
    let report = with(acting("bad_upgrade = \"503\""), |server| async move {
        for _ in 0..2 {
            let (_, head) = upgrade(&server, &format!("/echo?token={TOKEN}"), "").await;
            assert!(head.starts_with("HTTP/1.1 503 "), "every one is: {head}");
        }
        let (_, head) = upgrade(&server, "/echo?token=wrong", "").await;
        assert!(head.starts_with("HTTP/1.1 401 "), "but for those that were refused anyway: {head}");
    });
    assert_eq!(truth(&report).upgrades_refused, 2);
}

#[test]
fn pings_and_pongs_come_unasked_between_the_messages() {
    for engine in Engine::ALL {
        let config = Config { engine: *engine, ..acting("pings = \"7ms\"\npongs = \"11ms\"") };
        let got = std::rc::Rc::new(std::cell::Cell::new([0, 0, 0]));
        let seen = got.clone();
        let report = with(config, |server| async move {
            let mut ws = joined(&server, "/echo").await;
            let mut counts = [0; 3];
            ws.send_text("hello").await;
            let mut closing = false;
            loop {
                match ws.frame().await {
                    (0x89, payload) => {
                        assert!(payload.is_empty());
                        ws.send(0x8A, b"").await;
                        counts[0] += 1;
                    }
                    (0x8A, _) => counts[1] += 1,
                    (0x81, payload) => {
                        assert_eq!(payload, b"hello");
                        counts[2] += 1;
                        ws.send_text("hello").await;
                    }
                    (0x88, _) => break,
                    other => panic!("{other:?}"),
                }
                if !closing && counts[0] >= 4 && counts[1] >= 3 {
                    closing = true;
                    ws.send(0x88, &1000u16.to_be_bytes()).await;
                }
            }
            seen.set(counts);
        });
        let [pings, pongs, messages] = got.get();
        assert_eq!(
            (truth(&report).pings, truth(&report).pongs, report.delivered),
            (pings, pongs, messages),
            "{engine}"
        );
        assert!(messages > 1);
    }
}

#[test]
fn sessions_are_closed_after_their_time_on_every_face() {
    // A held GET must not end by itself before.
    let hold = wsbench::units::Span::from_millis(5_000);
    for engine in Engine::ALL {
        let config = Config { engine: *engine, hold, ..acting("close_after = \"250ms\"\nclose_code = 3005") };
        let report = with(config, |server| async move {
            let start = now();
            let mut ws = joined(&server, "/room/r").await;
            let mut raw = tcp(&server, "/room/r").await;
            let udp = Datagrams::joined(&server, "/room/r").await;
            let (mut poll, mut sse) = (Http::open(&server).await, Http::open(&server).await);
            sse.stream("sse", "000000000000000a", "/room/r", "").await;
            let cursor = poll.join("000000000000000b", "/room/r", "").await;
            let held = format!("/poll/000000000000000b?c={cursor}");
            assert_eq!(poll.get(&held).await.status, 204);
            assert!(now() - start >= 250 * MILLI);
            assert_eq!(poll.get(&held).await.status, 404, "the session is gone");
            assert_eq!(ws.frame().await, (0x88, 3005u16.to_be_bytes().to_vec()));
            ws.send(0x88, &3005u16.to_be_bytes()).await;
            assert!(raw.rest().await.is_empty(), "a FIN");
            assert_eq!(sse.0.read(5).await, b"0\r\n\r\n");
            assert_eq!(sse.post("000000000000000a", b"x").await.status, 404);
            udp.send("forgotten").await;
            assert!(udp.is_silent().await);
        });
        assert_eq!((truth(&report).closed, report.received), (5, 0), "{engine}");
    }
}

#[test]
fn a_session_that_left_before_its_time_is_not_closed() {
    let report = with(acting("close_after = \"250ms\""), |server| async move {
        let mut raw = tcp(&server, "/echo").await;
        tokio::io::AsyncWriteExt::shutdown(&mut raw.socket).await.unwrap();
        raw.rest().await;
        let mut stays = joined(&server, "/echo").await;
        assert_eq!(stays.frame().await, (0x88, 1001u16.to_be_bytes().to_vec()));
    });
    assert_eq!(truth(&report).closed, 1);
}
