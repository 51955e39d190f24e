//! One fan-out for all faces: what one transport publishes, every other receives; and events on topics.

use crate::harness::*;
use crate::websocket::{Ws, joined};
use wsbench::catalog::{Arrival, Format};
use wsbench::clock::now;
use wsbench::schedule::{Schedule, Stage};
use wsbench::target::{Config, Order, Part, Push};
use wsbench::units::{ByteSize, Rate, Span};
use wsbench::wire::{Composer, Kind, PayloadSpec, Sizes, Tag};

#[test]
fn a_room_spans_all_transports() {
    let report = with_target(|server| async move {
        let mut ws = joined(&server, "/room/all").await;
        let mut tcp = tcp(&server, "/room/all").await;
        let udp = Datagrams::joined(&server, "/room/all").await;
        let (mut sse, mut stream, mut poll) =
            (Http::open(&server).await, Http::open(&server).await, Http::open(&server).await);
        assert_eq!(sse.stream("sse", "000000000000000a", "/room/all", "&format=text").await.status, 200);
        assert_eq!(stream.stream("stream", "000000000000000b", "/room/all", "").await.status, 200);
        let mut cursor = poll.join("000000000000000c", "/room/all", "").await;

        let mut publisher = Http::open(&server).await;
        for n in 0..4 {
            let text = format!("message {n}");
            match n {
                0 => ws.send_text(&text).await,
                1 => tcp.send_framed(text.as_bytes()).await,
                2 => udp.send(&text).await,
                _ => assert_eq!(publisher.post("000000000000000a", text.as_bytes()).await.status, 204),
            }
            assert_eq!(ws.message().await, (Format::Text, text.clone().into_bytes()));
            assert_eq!(tcp.read_framed().await, text.as_bytes());
            assert_eq!(udp.receive().await, text.as_bytes());
            assert_eq!(sse.chunk().await.1, format!("data: {text}\n\n").as_bytes());
            assert_eq!(stream.chunk().await.1[4..], *text.as_bytes());
            assert_eq!(poll.get(&format!("/poll/000000000000000c?c={cursor}")).await.body, text.as_bytes());
            cursor += 1;
        }
    });
    assert_eq!((report.received, report.delivered, report.dropped), (4, 24, 0));
}

#[test]
fn a_publisher_can_be_left_out_on_every_transport() {
    with(Config { echo_self: false, ..config() }, |server| async move {
        let mut ws: Ws = joined(&server, "/room/r").await;
        let mut poll = Http::open(&server).await;
        let mut publisher = Http::open(&server).await;
        let sid = "00000000000000ff";
        let cursor = poll.join(sid, "/room/r", "&batch=1").await;
        publisher.post(sid, b"own 1").await;
        ws.send_text("theirs 1").await;
        publisher.post(sid, b"own 2").await;
        assert_eq!(ws.message().await.1, b"own 1");
        assert_eq!(ws.message().await.1, b"own 2");
        let answer = poll.get(&format!("/poll/{sid}?c={cursor}")).await;
        assert_eq!(unbatched(&answer.body), [b"theirs 1"]);
        ws.send_text("theirs 2").await;
        let answer = poll.get(&format!("/poll/{sid}?c={}", cursor + 1)).await;
        assert_eq!(unbatched(&answer.body), [b"theirs 2"], "the client counts only what it got");
    });
}

#[test]
fn a_session_that_left_hears_no_more() {
    let report = with_target(|server| async move {
        let mut stays = tcp(&server, "/room/r").await;
        drop(tcp(&server, "/room/r").await);
        let mut leaves = Http::open(&server).await;
        leaves.stream("sse", "000000000000000a", "/room/r", "").await;
        let mut deletes = Http::open(&server).await;
        assert_eq!(deletes.request("DELETE", "/pub/000000000000000a").await.status, 204);
        assert_eq!(leaves.0.read(5).await, b"0\r\n\r\n", "its stream ends");
        assert_eq!(deletes.post("000000000000000a", b"x").await.status, 404);
        stays.send_framed(b"alone").await;
        assert_eq!(stays.read_framed().await, b"alone");
    });
    assert_eq!(report.delivered, 1);
}

pub fn push(topics: u32) -> Push {
    let rate = Rate::new(2000.0).unwrap();
    let stage = |millis| Stage { from: rate, to: rate, over: Span::from_millis(millis) };
    Push {
        part: Part::WHOLE,
        schedule: Schedule { arrival: Arrival::Constant, stages: vec![stage(20), stage(50)], seed: 5 },
        start: now(),
        run: 77,
        topics,
        payload: PayloadSpec { format: Format::Binary, sizes: Sizes::Fixed(ByteSize(64)), template: None, own: None },
        seed: 9,
        measure: (20_000_000, 70_000_000),
    }
}

#[test]
fn events_come_by_the_schedule_with_their_tags() {
    let push = push(2);
    let due: Vec<u64> = push.schedule.arrivals().map(|offset| push.start + offset).collect();
    let senders = push.schedule.senders(2);
    let report = with_target(|server| async move {
        let mut ws = joined(&server, "/topic/0").await;
        let mut tcp = tcp(&server, "/topic/1").await;
        ws.send_text("topics take no messages").await;
        server.orders.send(Order::Push(push.clone())).await.unwrap();
        let composer = Composer::new(push.payload.clone(), push.seed);
        for (id, due) in (0..).zip(due) {
            let payload = match push.schedule.sender(id, &senders) {
                0 => ws.message().await,
                _ => (Format::Binary, tcp.read_framed().await),
            };
            let tag = Tag { kind: Kind::Event, run: 77, id, due };
            let mut composed = Vec::new();
            composer.compose(&tag, &mut composed);
            assert_eq!(payload, (Format::Binary, composed));
            assert!(now() >= due);
        }
    });
    assert_eq!((report.events, report.lateness.count(), report.received), (100, 100, 1));
    assert_eq!(report.delivered, 140);
}

#[test]
fn a_topic_takes_no_posts() {
    with_target(|server| async move {
        let mut http = Http::open(&server).await;
        http.join("000000000000000a", "/topic/0", "").await;
        assert_eq!(http.post("000000000000000a", b"x").await.status, 405);
    });
}
