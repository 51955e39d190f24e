//! Connections on the reactor: slow and broken ones among others, and many at once.

use crate::harness::*;
use crate::websocket::{Ws, joined};
use socket2::SockRef;
use std::cell::RefCell;
use std::io::Read;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use wsbench::target::Config;
use wsbench::units::Span;

const LARGEST: usize = 16 << 20;

#[test]
fn who_reads_nothing_loses_what_is_too_much_and_holds_up_nobody() {
    let report = with(Config { echo_self: false, ..config() }, |server| async move {
        let mut slow = tcp(&server, "/room/r").await;
        let mut quick = tcp(&server, "/room/r").await;
        let mut publisher = tcp(&server, "/room/r").await;
        for n in 0..5 {
            publisher.send_framed(&vec![n; LARGEST]).await;
            assert!(quick.read_framed().await == vec![n; LARGEST]);
        }
        // One is with the socket, and two are as much as may wait.
        for n in 0..3 {
            assert!(slow.read_framed().await == vec![n; LARGEST], "{n}");
        }
        assert!(slow.is_silent().await);
        publisher.send_framed(b"again").await;
        assert_eq!(slow.read_framed().await, b"again");
    });
    assert_eq!((report.received, report.delivered, report.dropped), (6, 10, 2));
}

#[test]
fn reading_goes_on_after_too_much_was_under_way() {
    let config = Config { delay: Span::from_millis(50), ..config() };
    let report = with(config, |server| async move {
        // Its members may not publish, so that nothing comes back.
        let mut raw = tcp(&server, "/topic/t").await;
        for _ in 0..10 {
            raw.send_framed(&vec![1; LARGEST]).await;
        }
        raw.socket.shutdown().await.unwrap();
        assert!(raw.rest().await.is_empty());
    });
    assert_eq!(report.received, 10);
}

#[test]
fn a_room_goes_on_when_members_break_off_in_the_middle_of_a_fan_out() {
    with(Config { echo_self: false, ..config() }, |server| async move {
        let mut stays = joined(&server, "/room/r").await;
        let mut publisher = tcp(&server, "/room/r").await;
        for round in 0..20u8 {
            let mut breaks = Vec::new();
            for _ in 0..5 {
                breaks.push(joined(&server, "/room/r").await);
            }
            publisher.send_framed(&vec![round; 1 << 20]).await;
            // With unread bytes and without lingering a close is a reset.
            breaks.iter().for_each(Ws::reset_on_close);
            drop(breaks);
            publisher.send_framed(&[round]).await;
            assert!(stays.frame().await.1 == vec![round; 1 << 20]);
            assert_eq!(stays.frame().await.1, [round]);
        }
    });
}

#[test]
fn many_messages_in_one_read_come_in_order_to_everyone() {
    let report = with_target(|server| async move {
        let mut hears = joined(&server, "/room/r").await;
        let mut raw = tcp(&server, "/room/r").await;
        let wire: Vec<u8> = (0..5000u32).flat_map(|n| [4u32.to_be_bytes(), n.to_be_bytes()].concat()).collect();
        raw.write(&wire).await;
        for n in 0..5000u32 {
            assert_eq!(raw.read_framed().await, n.to_be_bytes());
            assert_eq!(hears.frame().await.1, n.to_be_bytes());
        }
    });
    assert_eq!((report.received, report.delivered, report.dropped), (5000, 10_000, 0));
}

#[test]
fn a_client_that_floods_lets_others_have_their_turn() {
    with_target(|server| async move {
        let flood = async {
            let mut raw = tcp(&server, "/topic/t").await;
            loop {
                raw.send_framed(&vec![0; 1 << 16]).await;
            }
        };
        let exchanges = async {
            let mut ws = joined(&server, "/echo").await;
            for _ in 0..100 {
                ws.send_text("x").await;
                ws.frame().await;
            }
        };
        tokio::select! {
            () = flood => unreachable!(),
            () = exchanges => {}
        }
    });
}

#[test]
fn sessions_may_come_byte_by_byte() {
    with_target(|server| async move {
        let mut raw = Raw::open(&server, server.ports.tcp).await;
        for byte in format!("WSBENCH/1 JOIN /echo token={TOKEN} framing=newline\nhello\n").bytes() {
            raw.write([byte]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(raw.read_to("hello\n").await, "OK\nhello\n");
    });
}

#[test]
fn a_target_that_ends_lets_every_connection_go() {
    for delay in [Span::ZERO, Span::from_millis(20)] {
        let sockets = Rc::new(RefCell::new(Vec::new()));
        let kept = sockets.clone();
        with(Config { delay, ..config() }, |server| async move {
            let mut ws = joined(&server, "/room/r").await;
            let mut raw = tcp(&server, "/echo").await;
            let silent = Raw::open(&server, server.ports.tcp).await;
            // On its way when the target ends.
            ws.send_text("x").await;
            raw.send_framed(b"x").await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            kept.borrow_mut().extend([ws.into_socket(), raw.socket, silent.socket].map(|s| s.into_std().unwrap()));
        });
        for mut socket in sockets.take() {
            socket.set_nonblocking(false).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let read = socket.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
            assert!(matches!(read, Ok(_) | Err(std::io::ErrorKind::ConnectionReset)), "{read:?}");
        }
    }
}

impl Ws {
    fn reset_on_close(&self) {
        SockRef::from(self.socket()).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
