//! `wsbench serve`: what is asked for is done, and told in the end.

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

#[test]
fn a_target_over_tls_writes_its_certificate_by_which_another_run_knows_it() {
    let scenario = "[workload.echo]\n[load]\nsessions = 3\nrate = \"50/s\"\nduration = \"300ms\"\n[transports.tcp]\ndialect = \"wsbench\"\n";
    let bench = Bench::new(scenario);
    let serving = bench.command(&["serve", "--tls", "target.pem"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut serving = Serving(serving);
    let mut stdout = BufReader::new(serving.0.stdout.take().unwrap());
    let mut url = None;
    let mut line = String::new();
    while stdout.read_line(&mut line).unwrap() > 0 && !line.starts_with("ready") {
        url = line.split_once("tls://").map(|(_, rest)| format!("tcp=tls://{}", rest.trim())).or(url);
        line.clear();
    }
    let ran = bench.run(&["--no-charts", "--cacert", "target.pem", "--target", &url.unwrap()]).well();
    let [cell] = &ran.document().summary()[..] else { panic!("one arm") };
    assert_eq!((cell.reach, cell.tls.as_ref().unwrap().whole), (Some(1.0), 3));
}

/// A target that ends with its test.
struct Serving(std::process::Child);

impl Drop for Serving {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
