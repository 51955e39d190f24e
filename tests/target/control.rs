//! The target as a process that takes orders by lines.

use crate::harness::config;
use nix::sys::signal::{Signal, raise};
use std::io::{Cursor, Read, Write as _};
use std::net::TcpStream;
use std::thread;
use wsbench::target::{Config, Order, Ports, Reply, Target, converse, standalone};

fn replies(lines: &[String]) -> (Result<(), String>, Vec<Reply>) {
    let mut output = Vec::new();
    let input = Cursor::new(lines.join("\n").into_bytes());
    let result = converse(input, &mut output).map_err(|error| error.to_string());
    let replies = output.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    (result, replies.map(|line| serde_json::from_slice(line).unwrap()).collect())
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

#[test]
fn it_says_ready_and_reports_when_stopped() {
    for end in [vec![json(&Order::Stop)], Vec::new()] {
        let (result, replies) = replies(&[vec![json(&config())], end].concat());
        assert_eq!(result, Ok(()));
        let [Reply::Ready { ports, certificate: None }, Reply::Report(report)] = &replies[..] else {
            panic!("{replies:?}")
        };
        assert!(ports.websocket > 0 && ports.tcp > 0 && ports.udp > 0 && ports.http > 0);
        assert_eq!(report.accepted, 0);
    }
}

#[test]
fn it_tells_what_is_wrong_with_its_configuration() {
    for (lines, problem) in [
        (vec![], "no configuration"),
        (vec!["{}".to_owned()], "not a target's configuration"),
        (vec![json(&Config { core: Some(100_000), ..config() })], "core 100000"),
    ] {
        let (result, replies) = replies(&lines);
        let said = result.unwrap_err();
        assert!(said.contains(problem), "{said}");
        assert_eq!(replies, [Reply::Failed { problem: said }]);
    }
}

#[test]
fn a_line_that_is_no_order_ends_it_with_the_reason() {
    let (result, replies) = replies(&[json(&config()), "\"sleep\"".into()]);
    let problem = result.unwrap_err();
    assert!(problem.contains("not an order") && problem.contains("sleep"), "{problem}");
    assert!(matches!(&replies[..], [Reply::Ready { .. }, Reply::Failed { problem: said }] if *said == problem));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ports = Ports { tcp: port, ..Ports::default() };
    let (result, _) = replies(&[json(&Config { ports, ..config() })]);
    let said = result.unwrap_err();
    assert!(said.contains("tcp") && said.contains(&format!("127.0.0.1:{port}")), "{said}");
}

#[test]
fn alone_it_serves_until_interrupted() {
    let report = standalone(&config(), |ports, _| {
        let mut early = TcpStream::connect(("127.0.0.1", ports.tcp)).unwrap();
        early.write_all(b"WSBENCH/1 JOIN /echo token=wrong framing=length\n").unwrap();
        thread::spawn(move || {
            let mut answer = String::new();
            early.read_to_string(&mut answer).unwrap();
            raise(Signal::SIGINT).unwrap();
            assert!(answer.starts_with("ERR "));
        });
        Ok(())
    });
    assert_eq!(report.unwrap().refused, 1);
}

#[test]
fn it_listens_on_the_ports_it_is_given_and_on_ipv6() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let first = Target::bind(&Config { bind: "::1".parse().unwrap(), ..config() }).unwrap();
        let ports = first.ports();
        drop(first);
        let again = Target::bind(&Config { bind: "::1".parse().unwrap(), ports, ..config() }).unwrap();
        assert_eq!(again.ports(), ports);
        let mut connected = std::net::TcpStream::connect(("::1", ports.tcp)).unwrap();
        drop(again);
        assert_eq!(connected.read(&mut [0; 1]).map_err(|_| ()).unwrap_or(0), 0);
    });
}
