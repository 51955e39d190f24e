//! Messages that are held.

use super::*;
use std::collections::BTreeMap;
use wsbench::catalog::Distribution;
use wsbench::target::drawn;

/// The log's lines: id, drawn, held.
fn lines(path: &std::path::Path) -> Vec<[u64; 3]> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("id,drawn_ns,held_ns"));
    lines.map(|line| line.split(',').map(|n| n.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap()).collect()
}

const DELAY: &str = "uniform(5ms, 60ms)";

fn expect(id: u64) -> u64 {
    drawn(&DELAY.parse::<Distribution>().unwrap(), 42, id)
}

#[test]
fn every_message_is_held_as_drawn_and_comes_on_every_face() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("held.csv");
    let config = acting(&format!("reply_delay = \"{DELAY}\"\nseed = 42\nlog = \"{}\"", log.display()));
    const N: u64 = 40;
    let report = with(config, |server| async move {
        let mut ws = joined(&server, "/room/r").await;
        let mut raw = tcp(&server, "/room/r").await;
        let udp = Datagrams::joined(&server, "/room/r").await;
        let (mut stream, mut poll) = (Http::open(&server).await, Http::open(&server).await);
        stream.stream("stream", "000000000000000a", "/room/r", "").await;
        let mut cursor = poll.join("000000000000000b", "/room/r", "&batch=1").await;
        let mut publisher = Http::open(&server).await;
        let mut sent = BTreeMap::new();
        for n in 0..N {
            sent.insert(n, now());
            match n % 4 {
                0 => ws.send(0x82, &payload(n)).await,
                1 => raw.send_framed(&payload(n)).await,
                2 => udp.send(payload(n)).await,
                _ => assert_eq!(publisher.post("000000000000000b", &payload(n)).await.status, 204),
            }
        }
        let mut order = Vec::new();
        for _ in 0..N {
            let message = id(&raw.read_framed().await);
            assert!(now() - sent[&message] >= expect(message), "{message}");
            order.push(message);
        }
        let mut polled = Vec::new();
        while polled.len() < N as usize {
            let messages = unbatched(&poll.get(&format!("/poll/000000000000000b?c={cursor}")).await.body);
            cursor += messages.len() as u64;
            polled.extend(messages.iter().map(|m| id(m)));
        }
        assert_eq!(polled, order);
        for message in &order {
            assert_eq!(id(&ws.message().await.1), *message);
            assert_eq!(id(&udp.receive().await), *message);
            assert_eq!(id(&stream.chunk().await.1[4..]), *message);
        }
        assert!(!order.is_sorted(), "delays that differ change the order: {order:?}");
        order.sort_unstable();
        assert!(order.into_iter().eq(0..N));
    });
    assert_eq!((truth(&report).held.count(), report.received, report.delivered), (N, N, 5 * N));
    let mut lines = lines(&log);
    lines.sort_unstable();
    assert!(lines.iter().map(|line| line[0]).eq(0..N));
    for [id, drawn, held] in lines {
        assert_eq!(drawn, expect(id), "{id}");
        assert!(held >= drawn, "{id} was held {held} of {drawn}");
    }
}

#[test]
fn a_message_without_a_tag_goes_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("held.csv");
    let config = acting(&format!("reply_delay = \"{DELAY}\"\nseed = 42\nlog = \"{}\"", log.display()));
    with(config, |server| async move {
        let mut raw = tcp(&server, "/echo").await;
        for text in ["a", "b", "c"] {
            raw.send_framed(text.as_bytes()).await;
            assert_eq!(raw.read_framed().await, text.as_bytes());
        }
    });
    let drawn: Vec<[u64; 2]> = lines(&log).iter().map(|line| [line[0], line[1]]).collect();
    assert_eq!(drawn, [[0, expect(0)], [1, expect(1)], [2, expect(2)]]);
}

#[test]
fn events_are_held_too_and_a_greeting_is_not() {
    let report = with(acting("reply_delay = \"constant(30ms)\""), |server| async move {
        let mut raw = tcp(&server, "/topic/0").await;
        let push = crate::rooms::push(1);
        let dues: Vec<u64> = push.schedule.arrivals().map(|offset| push.start + offset).collect();
        server.orders.send(wsbench::target::Order::Push(push)).await.unwrap();
        for (n, due) in (0..).zip(&dues) {
            assert_eq!(id(&raw.read_framed().await), n);
            assert!(now() >= due + 30 * MILLI);
        }
        let greeted = tcp(&server, &format!("/hello?tag={}&size=32", "t".repeat(32))).await.read_framed().await;
        assert_eq!(greeted, "t".repeat(32).as_bytes());
    });
    assert_eq!((truth(&report).held.count(), report.events), (140, 100));
}

#[test]
fn a_delay_and_an_emulated_network_add_up() {
    let config = Config { delay: wsbench::units::Span::from_millis(10), ..acting("reply_delay = \"constant(30ms)\"") };
    with(config, |server| async move {
        let mut raw = tcp(&server, "/echo").await;
        let sent = now();
        raw.send_framed(b"x").await;
        raw.read_framed().await;
        assert!(now() - sent >= 50 * MILLI);
    });
}
