//! What someone who doesn't know the token, or forges an address, can get out of the target.

use crate::harness::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config as Cases, TestRunner};

const SID: &str = "00000000000000a1";

/// Any datagram: noise, and lines that resemble a join with more or less of what it takes.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let verb = prop_oneof![4 => Just("WSBENCH/1 JOIN".to_owned()), 1 => "(WSBENCH/1 )?(JOIN|LEAVE|OK|COOKIE|ERR|)"];
    let token = prop_oneof![Just(format!(" token={TOKEN}")), Just(String::new()), "( token=)?[ -~]{0,20}"];
    let pad = prop_oneof![Just(0), 0usize..80];
    let place = prop_oneof![
        Just("/echo".to_owned()),
        Just("/room/all".into()),
        Just(format!("/hello?tag={}&size=60000", "t".repeat(32))),
        Just(String::new()),
        "/?[ -~]{0,40}",
    ];
    let line = (verb, place, token, "( cookie=[0-9a-f]{0,16})?", pad);
    let line = line.prop_map(|(verb, place, token, cookie, pad)| {
        format!("{verb} {place}{token}{cookie}{}", " ".repeat(pad)).into_bytes()
    });
    prop_oneof![vec(any::<u8>(), 0..200), line]
}

#[test]
fn an_unproven_address_never_gets_more_bytes_than_came_from_it() {
    let mut runner = TestRunner::new_with_rng(Cases::default(), TestRunner::deterministic().new_rng());
    let datagrams: Vec<Vec<u8>> = (0..2000).map(|_| datagram().new_tree(&mut runner).unwrap().current()).collect();
    with_target(|server| async move {
        let (victim, member) = (Datagrams::open(&server).await, Datagrams::joined(&server, "/room/all").await);
        let (mut sent, mut answered) = (0, 0);
        for datagram in datagrams {
            victim.send(&datagram).await;
            // The target reads in order: once this is back, everything before it has had its answer.
            member.send("fan-out").await;
            assert_eq!(member.receive().await, b"fan-out", "no stranger publishes");
            let answers = victim.waiting();
            let back: usize = answers.iter().map(Vec::len).sum();
            assert!(back <= datagram.len(), "{datagram:?} → {answers:?}");
            assert!(answers.iter().all(|answer| answer.starts_with(b"WSBENCH/1 ")), "{answers:?}");
            (sent, answered) = (sent + 1, answered + answers.len());
        }
        assert!(answered > 100 && answered < sent, "{answered} of {sent} were answered");
    });
}

#[test]
fn a_refused_token_gets_no_more_bytes_than_came_and_no_fan_out() {
    with_target(|server| async move {
        let (stranger, member) = (Datagrams::open(&server).await, Datagrams::joined(&server, "/room/all").await);
        let cookie = stranger.cookie("/room/all").await;
        for place in ["", "/room/all", "/hello?tag=tttttttttttttttttttttttttttttttt&size=60000", "/nowhere"] {
            for token in ["", " token=", " token=wrong", " token=secre", " token=secret2"] {
                let join = format!("WSBENCH/1 JOIN {place}{token} cookie={cookie}");
                stranger.send(&join).await;
                let answer = stranger.receive().await;
                assert!(answer.starts_with(b"WSBENCH/1 ERR ") && answer.len() <= join.len(), "{join}");
                stranger.send("from a stranger").await;
                member.send("fan-out").await;
                assert_eq!(member.receive().await, b"fan-out");
                assert_eq!(stranger.waiting(), [] as [Vec<u8>; 0], "{join}");
            }
        }
    });
}

#[test]
fn every_face_wants_the_token() {
    let report = with_target(|server| async move {
        for token in ["", "token=", "token=wrong", "token=secre", "token=secret2", "token=SECRET", "nekot=secret"] {
            let mut ws = Raw::open(&server, server.ports.websocket).await;
            ws.write(format!(
                "GET /echo?{token} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ))
            .await;
            assert!(ws.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 401 "), "{token}");
            let mut tcp = Raw::open(&server, server.ports.tcp).await;
            tcp.write(format!("WSBENCH/1 JOIN /echo {token} framing=length\n")).await;
            assert!(tcp.rest().await.starts_with(b"ERR wrong or missing token"), "{token}");
            let udp = Datagrams::open(&server).await;
            let cookie = udp.cookie("/echo").await;
            udp.send(format!("WSBENCH/1 JOIN /echo {token} cookie={cookie}")).await;
            assert!(udp.receive().await.starts_with(b"WSBENCH/1 ERR wrong or missing token"), "{token}");
            for kind in ["poll", "sse", "stream"] {
                let mut http = Http::open(&server).await;
                let answer = http.get(&format!("/{kind}/{SID}?join=/echo&{token}")).await;
                assert_eq!(answer.status, 401, "{kind} {token}");
                assert_eq!(http.post(SID, b"x").await.status, 404, "no session came of it");
            }
        }
    });
    assert_eq!((report.refused, report.received, report.delivered), (7 * 6, 0, 0));
}

#[test]
fn a_session_of_someone_else_is_known_to_who_knows_its_name_and_to_nobody_else() {
    with_target(|server| async move {
        let mut owner = Http::open(&server).await;
        let cursor = owner.join(SID, "/room/r", "").await;
        let mut stranger = Http::open(&server).await;
        for guess in ["00000000000000a0", "00000000000000A2", "0000000000000000", "ffffffffffffffff"] {
            assert_eq!(stranger.get(&format!("/poll/{guess}?c={cursor}&now=1")).await.status, 404, "{guess}");
            assert_eq!(stranger.post(guess, b"x").await.status, 404, "{guess}");
            assert_eq!(stranger.request("DELETE", &format!("/pub/{guess}")).await.status, 404, "{guess}");
        }
        // Not even with the name may it be taken over without the token.
        for kind in ["poll", "sse", "stream"] {
            let taken = stranger.get(&format!("/{kind}/{SID}?join=/room/other&token=wrong")).await;
            assert_eq!(taken.status, 401, "{kind}");
        }
        assert_eq!(owner.get(&format!("/poll/{SID}?c={cursor}&now=1")).await.status, 204, "it heard nothing of that");
        assert_eq!(owner.post(SID, b"mine").await.status, 204);
        assert_eq!(owner.get(&format!("/poll/{SID}?c={cursor}&now=1")).await.body, b"mine");
    });
}
