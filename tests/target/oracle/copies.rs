//! Copies of the fan-out that are dropped or come late, whoever they are for.

use super::*;
use crate::websocket::Ws;

/// Takes everything that is there for a polling session until `n` messages have come.
async fn polled(poll: &mut Http, sid: &str, cursor: &mut u64, n: usize, batch: bool) -> Vec<u64> {
    let mut got = Vec::new();
    while got.len() < n {
        let answer = poll.get(&format!("/poll/{sid}?c={cursor}")).await;
        assert_eq!(answer.status, 200);
        let messages = if batch { unbatched(&answer.body) } else { vec![answer.body] };
        *cursor += messages.len() as u64;
        got.extend(messages.iter().map(|m| id(m)));
    }
    got
}

#[test]
fn every_nth_copy_is_dropped_over_websocket_tcp_and_polling() {
    const MESSAGES: u64 = 50;
    const MEMBERS: u64 = 6;
    let report = with(acting("drop_copy = 7"), |server| async move {
        // In the order of joining, which is that of the copies.
        let mut ws: Ws = joined(&server, "/room/r").await;
        let mut raw = tcp(&server, "/room/r").await;
        let (mut one, mut many) = (Http::open(&server).await, Http::open(&server).await);
        let mut one_at = one.join("0000000000000001", "/room/r", "").await;
        let mut many_at = many.join("0000000000000002", "/room/r", "&batch=1").await;
        let mut stream = Http::open(&server).await;
        stream.stream("stream", "0000000000000003", "/room/r", "").await;
        let udp = Datagrams::joined(&server, "/room/r").await;
        let kept = |member: u64| -> Vec<u64> {
            (0..MESSAGES).filter(|message| !(message * MEMBERS + member + 1).is_multiple_of(7)).collect()
        };
        for n in 0..MESSAGES {
            raw.send_framed(&payload(n)).await;
        }
        for n in kept(0) {
            assert_eq!(id(&ws.message().await.1), n);
        }
        for n in kept(1) {
            assert_eq!(id(&raw.read_framed().await), n);
        }
        assert_eq!(polled(&mut one, "0000000000000001", &mut one_at, kept(2).len(), false).await, kept(2));
        assert_eq!(polled(&mut many, "0000000000000002", &mut many_at, kept(3).len(), true).await, kept(3));
        for n in kept(4) {
            assert_eq!(id(&stream.chunk().await.1[4..]), n);
        }
        for n in kept(5) {
            assert_eq!(id(&udp.receive().await), n);
        }
        assert!(raw.is_silent().await && udp.is_silent().await);
        for (poll, sid, cursor) in [(&mut one, 1, one_at), (&mut many, 2, many_at)] {
            assert_eq!(poll.get(&format!("/poll/{sid:016x}?c={cursor}&now=1")).await.status, 204, "nothing is left");
        }
    });
    let dropped = MESSAGES * MEMBERS / 7;
    assert_eq!(truth(&report).copies_dropped, dropped);
    assert_eq!((report.delivered, report.dropped), (MESSAGES * MEMBERS - dropped, 0));
}

#[test]
fn every_nth_copy_comes_late_and_others_overtake_it() {
    let report = with(acting("delay_copy = 2\ncopy_delay = \"150ms\""), |server| async move {
        let mut raw = tcp(&server, "/room/r").await;
        let mut poll = Http::open(&server).await;
        let mut cursor = poll.join("0000000000000001", "/room/r", "&batch=1").await;
        let mut ws = joined(&server, "/room/r").await;
        let sent = now();
        for n in 0..2 {
            raw.send_framed(&payload(n)).await;
        }
        // Copies 2, 4 and 6: the poll's of message 0, the stream's and the WebSocket's of message 1.
        assert_eq!(id(&ws.message().await.1), 0);
        assert_eq!(id(&raw.read_framed().await), 0);
        assert_eq!(polled(&mut poll, "0000000000000001", &mut cursor, 2, true).await, [1, 0]);
        assert!(now() - sent >= 150 * MILLI);
        assert_eq!(id(&ws.message().await.1), 1);
        assert_eq!(id(&raw.read_framed().await), 1);
        assert_eq!(poll.get(&format!("/poll/0000000000000001?c={cursor}&now=1")).await.status, 204);
    });
    assert_eq!((truth(&report).copies_delayed, report.delivered), (3, 6));
}

#[test]
fn a_late_copy_for_someone_who_left_is_no_copy() {
    let report = with(acting("delay_copy = 1\ncopy_delay = \"150ms\""), |server| async move {
        let leaves = Datagrams::joined(&server, "/room/r").await;
        let mut stays = tcp(&server, "/room/r").await;
        stays.send_framed(b"x").await;
        leaves.send("WSBENCH/1 LEAVE").await;
        assert_eq!(stays.read_framed().await, b"x");
        assert!(leaves.is_silent().await);
    });
    assert_eq!((truth(&report).copies_delayed, report.delivered), (1, 1));
}
