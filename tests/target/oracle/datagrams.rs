//! The fates of datagrams, known before they are sent.

use super::*;
use wsbench::target::{Fate, fate};

const FAULTS: &str = "udp_drop = \"12%\"\nudp_duplicate = \"8%\"\nudp_swap = \"15%\"\nseed = 3";

/// What a peer must receive, and how many were dropped, sent twice and overtaken: by the rules, written down once more.
fn foreseen(order: u64, messages: u64) -> (Vec<u64>, [u64; 3]) {
    let oracle: Oracle = toml::from_str(FAULTS).unwrap();
    let fates: Vec<Fate> = (0..messages).map(|id| fate(&oracle, id, order)).collect();
    let mut came: Vec<u64> = Vec::new();
    let mut counts = [0; 3];
    let mut kept = None;
    for (id, fate) in (0..).zip(fates) {
        match (fate, kept) {
            (Fate::Drop, _) => counts[0] += 1,
            (Fate::Swap, None) => kept = Some(id),
            (fate, _) => {
                came.push(id);
                if fate == Fate::Duplicate {
                    came.push(id);
                    counts[1] += 1;
                }
                if let Some(overtaken) = kept.take() {
                    came.push(overtaken);
                    counts[2] += 1;
                }
            }
        }
    }
    came.extend(kept);
    (came, counts)
}

async fn received(peer: &Datagrams, n: usize) -> Vec<u64> {
    let mut got = Vec::new();
    for _ in 0..n {
        got.push(id(&peer.receive().await));
    }
    assert!(peer.is_silent().await);
    got
}

#[test]
fn an_echo_is_what_the_fates_say() {
    const N: u64 = 200;
    let (want, [dropped, duplicated, swapped]) = foreseen(0, N);
    assert!(dropped > 10 && duplicated > 5 && swapped > 10);
    let report = with(acting(FAULTS), |server| async move {
        let peer = Datagrams::joined(&server, "/echo").await;
        for n in 0..N {
            peer.send(payload(n)).await;
        }
        peer.send("WSBENCH/1 LEAVE").await;
        assert_eq!(received(&peer, want.len()).await, want);
    });
    let truth = truth(&report);
    assert_eq!((truth.udp_dropped, truth.udp_duplicated, truth.udp_swapped), (dropped, duplicated, swapped));
    assert_eq!((report.delivered, report.dropped), (N - dropped, 0));
}

#[test]
fn peers_of_a_room_have_fates_of_their_own() {
    const N: u64 = 100;
    let wants = [foreseen(0, N), foreseen(2, N)];
    assert_ne!(wants[0], wants[1]);
    let sums: Vec<u64> = (0..3).map(|kind| wants.iter().map(|(_, counts)| counts[kind]).sum()).collect();
    let report = with(acting(FAULTS), |server| async move {
        let first = Datagrams::joined(&server, "/room/r").await;
        let mut publisher = tcp(&server, "/room/r").await;
        let third = Datagrams::joined(&server, "/room/r").await;
        for n in 0..N {
            publisher.send_framed(&payload(n)).await;
        }
        for n in 0..N {
            assert_eq!(id(&publisher.read_framed().await), n, "a stream has no such fates");
        }
        for (peer, (want, _)) in [first, third].iter().zip(&wants) {
            peer.send("WSBENCH/1 LEAVE").await;
            assert_eq!(received(peer, want.len()).await, *want);
        }
    });
    let truth = truth(&report);
    assert_eq!([truth.udp_dropped, truth.udp_duplicated, truth.udp_swapped], sums[..]);
}

#[test]
fn a_datagram_that_nothing_overtakes_comes_all_the_same() {
    let report = with(acting("udp_swap = \"100%\""), |server| async move {
        let peer = Datagrams::joined(&server, "/echo").await;
        let sent = now();
        peer.send(payload(1)).await;
        assert_eq!(id(&peer.receive().await), 1);
        assert!(now() - sent >= 200 * MILLI);
        peer.send(payload(2)).await;
        peer.send(payload(3)).await;
        assert_eq!((id(&peer.receive().await), id(&peer.receive().await)), (3, 2));
    });
    assert_eq!((truth(&report).udp_swapped, report.delivered), (1, 3));
}

#[test]
fn what_is_no_message_is_never_touched() {
    let report = with(acting("udp_drop = \"100%\""), |server| async move {
        // A cookie and an OK come, or this would wait for ever.
        let peer = Datagrams::joined(&server, "/echo").await;
        peer.send(payload(1)).await;
        peer.send("without a tag").await;
        assert!(peer.is_silent().await);
    });
    assert_eq!((truth(&report).udp_dropped, report.delivered, report.received), (2, 0, 2));
}
