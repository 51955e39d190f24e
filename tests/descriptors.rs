//! A target without descriptors: it waits for some instead of dying or spinning. A process of its own, since the limit
//! is the process's.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;
use tokio::sync::mpsc;
use wsbench::catalog::{Engine, Oracle};
use wsbench::target::{Config, Order, Ports, Target};
use wsbench::units::Span;

#[test]
fn a_target_without_descriptors_serves_on_when_it_has_some() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let config = Config {
        bind: Ipv4Addr::LOCALHOST.into(),
        ports: Ports::default(),
        token: None,
        engine: Engine::Native,
        delay: Span::ZERO,
        nodelay: true,
        hold: Span::from_millis(100),
        echo_self: true,
        core: None,
        oracle: Oracle::default(),
        tls: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(async {
        let target = Target::bind(&config).unwrap();
        let address = (Ipv4Addr::LOCALHOST, target.ports().tcp);
        let (orders, inbox) = mpsc::channel(1);
        let running = async {
            // It has what it needs to run from the moment it is bound, even if nothing is left when it starts.
            tokio::time::sleep(Duration::from_millis(100)).await;
            target.run(inbox).await
        };
        let clients = tokio::task::spawn_blocking(move || {
            // Connects are answered by the kernel; there is nothing left to accept them with.
            let mut clients: Vec<TcpStream> = std::iter::from_fn(|| TcpStream::connect(address).ok()).collect();
            std::thread::sleep(Duration::from_millis(300));
            let mut last = clients.pop().unwrap();
            clients.clear();
            last.write_all(b"WSBENCH/1 JOIN /echo framing=newline\nhello\n").unwrap();
            let mut answer = [0; 9];
            last.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"OK\nhello\n");
        });
        let stop = async {
            clients.await.unwrap();
            orders.send(Order::Stop).await.unwrap();
        };
        tokio::join!(running, stop).0.unwrap()
    });
    assert!((1..1000).contains(&report.accept_errors), "{} errors", report.accept_errors);
}
