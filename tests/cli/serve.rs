//! `wsbench serve --oracle`: what is asked for is done, and told in the end.

use super::harness::Bench;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

#[test]
fn what_was_done_on_purpose_is_told_when_it_is_interrupted() {
    let bench = Bench::new("");
    let flags = ["serve", "--open", "--oracle", "reply_delay=constant(2ms)", "--oracle", "drop_copy=2"];
    let flags = [&flags[..], &["--oracle", "log=held.csv"]].concat();
    let mut served = bench.command(&flags).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(served.stdout.take().unwrap());
    let mut tcp = None;
    let mut line = String::new();
    while stdout.read_line(&mut line).unwrap() > 0 && !line.starts_with("ready") {
        tcp = line.split_once("tcp://").map(|(_, address)| address.trim().to_owned()).or(tcp);
        line.clear();
    }
    let mut client = TcpStream::connect(tcp.unwrap()).unwrap();
    client.write_all(b"WSBENCH/1 JOIN /echo framing=newline\na\nb\nc\n").unwrap();
    let mut answer = [0; 7];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"OK\na\nc\n");
    kill(Pid::from_raw(served.id() as i32), Signal::SIGINT).unwrap();
    let mut told = String::new();
    stdout.read_to_string(&mut told).unwrap();
    assert!(served.wait().unwrap().success());
    assert!(told.starts_with("received 3 messages, delivered 2 copies\non purpose: 3 messages held, "), "{told}");
    assert!(told.ends_with("on purpose: 1 copies dropped\n"), "{told}");
    assert_eq!(std::fs::read_to_string(bench.path().join("held.csv")).unwrap().lines().count(), 4);
}

#[test]
fn a_bad_oracle_is_told_before_anything_is_served() {
    let bench = Bench::new("");
    let unknown = bench.say(&["serve", "--oracle", "stal=200ms/1s"]).with_code(2);
    assert!(unknown.stderr.contains("stal") && unknown.stderr.contains("`stall`"), "{}", unknown.stderr);
    let sum = bench.say(&["serve", "--oracle", "udp_drop=60%", "--oracle", "udp_swap=60%"]).with_code(2);
    assert!(sum.stderr.contains("120 % in all") && sum.stdout.is_empty(), "{}", sum.stderr);
}
