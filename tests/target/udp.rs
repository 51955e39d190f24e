//! The UDP face.

use crate::harness::*;

#[test]
fn a_proven_peer_is_echoed_and_may_leave() {
    let report = with_target(|server| async move {
        let peer = Datagrams::joined(&server, "/echo").await;
        for payload in [b"hello".to_vec(), Vec::new(), vec![0xC2; 1200]] {
            peer.send(&payload).await;
            assert_eq!(peer.receive().await, payload);
        }
        peer.send("WSBENCH/1 LEAVE").await;
        peer.send("anyone?").await;
        assert!(peer.is_silent().await);
    });
    assert_eq!((report.received, report.delivered, report.accepted), (3, 3, 0));
}

#[test]
fn a_repeated_join_is_answered_and_changes_nothing() {
    with_target(|server| async move {
        let peer = Datagrams::open(&server).await;
        let cookie = peer.cookie("/room/a").await;
        assert_eq!(cookie.len(), 16);
        for _ in 0..2 {
            peer.send(format!("WSBENCH/1 JOIN /room/a token={TOKEN} cookie={cookie}")).await;
            assert_eq!(peer.receive().await, b"WSBENCH/1 OK");
        }
        peer.send("once").await;
        assert_eq!(peer.receive().await, b"once");
        assert!(peer.is_silent().await, "a member twice would hear it twice");
    });
}

#[test]
fn nothing_longer_than_the_question_goes_to_an_unproven_peer() {
    with_target(|server| async move {
        let peer = Datagrams::open(&server).await;
        peer.send("WSBENCH/1 JOIN /echo").await;
        assert!(peer.is_silent().await, "a cookie would be longer than that");
        for join in
            [format!("{:<64}", "WSBENCH/1 JOIN /echo token=wrong"), format!("WSBENCH/1 JOIN {}", "\u{1}".repeat(99))]
        {
            peer.send(&join).await;
            let answer = peer.receive().await;
            assert!(answer.starts_with(b"WSBENCH/1 COOKIE ") && answer.len() <= join.len());
        }
        peer.send("a message from nobody").await;
        assert!(peer.is_silent().await);
    });
}

#[test]
fn a_cookie_is_good_for_its_own_address_only() {
    with_target(|server| async move {
        let owner = Datagrams::open(&server).await;
        let thief = Datagrams::open(&server).await;
        let cookie = owner.cookie("/echo").await;
        thief.send(format!("WSBENCH/1 JOIN /echo token={TOKEN} cookie={cookie}")).await;
        let answer = String::from_utf8(thief.receive().await).unwrap();
        assert!(answer.starts_with("WSBENCH/1 COOKIE ") && !answer.ends_with(&cookie));
    });
}

#[test]
fn refusals_say_why() {
    let report = with_target(|server| async move {
        let peer = Datagrams::open(&server).await;
        let cookie = peer.cookie("/echo").await;
        peer.send(format!("WSBENCH/1 JOIN /echo token=wrong cookie={cookie}")).await;
        assert_eq!(peer.receive().await, b"WSBENCH/1 ERR wrong or missing token");
        peer.send(format!("WSBENCH/1 JOIN /nowhere token={TOKEN} cookie={cookie}")).await;
        assert_eq!(peer.receive().await, b"WSBENCH/1 ERR no such place");
    });
    assert_eq!(report.refused, 1);
}
