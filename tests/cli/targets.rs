//! Targets that aren't ours: plain echo servers, and ones that are down, silent, or never let go.

use super::harness::Bench;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use tokio_tungstenite::tungstenite;
use wsbench::clock;

fn scenario(arm: &str) -> String {
    format!("[workload.echo]\npayload = \"64B\"\n[load]\nsessions = 5\nrate = \"100/s\"\nduration = \"500ms\"\n{arm}\n")
}

/// Serves every connection on a thread of its own; threads end with the test's process.
fn listen(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}

fn silent(stream: TcpStream) {
    thread::sleep(Duration::from_secs(60));
    drop(stream);
}

/// Echoes what comes, pings in between, and never answers a close.
fn websocket_that_never_closes(stream: TcpStream) {
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    loop {
        match socket.read() {
            Ok(message) if message.is_text() || message.is_binary() => {
                let _ = socket.send(tungstenite::Message::Ping("are you there".into()));
                let _ = socket.send(message);
            }
            Ok(message) if message.is_close() => thread::sleep(Duration::from_secs(60)),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

#[test]
fn plain_echo_servers_need_no_protocol_of_ours() {
    let tcp = listen(echo);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp_address = udp.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((n, from)) = udp.recv_from(&mut buffer) {
            let _ = udp.send_to(&buffer[..n], from);
        }
    });
    let bench = Bench::new(&scenario("[transports.tcp]\n[transports.udp]"));
    let targets = [format!("tcp=tcp://{tcp}"), format!("udp=udp://{udp_address}")];
    let ran = bench.run(&["--target", &targets[0], "--target", &targets[1], "--format", "json", "-q"]).well();
    for cell in ran.json() {
        assert_eq!(cell["reach"], 1.0, "{cell}");
        assert!(cell["counters"]["delivered"].as_u64().unwrap() > 30);
        assert_eq!(cell["cpu_us_per_message"]["target"], serde_json::Value::Null);
    }
}

#[test]
fn nobody_listening_is_1_with_the_class_and_the_count() {
    let bench = Bench::new(&scenario("[transports.tcp]"));
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ran = bench.run(&["--target", &format!("tcp=tcp://127.0.0.1:{port}"), "-q"]).with_code(1);
    assert_eq!(ran.document().cells[0].trials[0].outcome.errors["refused"], 5);
    assert!(ran.stdout.contains("refused"), "{}", ran.stdout);
}

#[test]
fn a_target_that_never_answers_ends_on_time_with_everything_unfinished() {
    let bench = Bench::new(&scenario("[transports.tcp]"));
    let target = format!("tcp=tcp://{}", listen(silent));
    let began = clock::now();
    let ran = bench.run(&["--target", &target, "--duration", "1s", "-q"]).with_code(1);
    let took = Duration::from_nanos(clock::now() - began);
    let counters = ran.document().cells[0].trials[0].outcome.measure;
    assert!(counters.balance() && counters.sent > 80 && counters.unfinished == counters.sent, "{counters:?}");
    assert!(took < Duration::from_secs(20), "a second of load took {took:?}");
}

#[test]
fn a_target_that_never_closes_is_counted_and_its_pings_are_answered_but_never_counted() {
    for engine in ["native", "fastwebsockets", "tungstenite"] {
        let bench = Bench::new(&scenario(&format!("[transports.websocket]\nengine = \"{engine}\"")));
        let target = format!("websocket=ws://{}/", listen(websocket_that_never_closes));
        let ran = bench.run(&["--target", &target, "--duration", "1s", "-q"]).well();
        let outcome = &ran.document().cells[0].trials[0].outcome;
        assert_eq!(outcome.measure.reach(), Some(1.0), "{engine}");
        assert_eq!((outcome.measure.unmatched, outcome.measure.duplicate), (0, 0), "{engine}");
        assert_eq!(outcome.errors["close-timeout"], 5, "{engine}: {:?}", outcome.errors);
    }
}

#[test]
fn a_target_that_hangs_up_at_once_is_1_with_the_reason() {
    let bench = Bench::new(&scenario("[transports.tcp]"));
    let target = format!("tcp=tcp://{}", listen(drop));
    let ran = bench.run(&["--target", &target, "-q"]).with_code(1);
    let document = ran.document();
    let trial = &document.cells[0].trials[0];
    assert!(trial.failure.as_ref().unwrap().contains("closed-by-target"), "{:?}", trial.failure);
    assert!(!trial.is_valid());
}

#[test]
fn the_reference_target_elsewhere_is_joined_with_the_token_of_its_url() {
    let bench = Bench::new(
        "[workload.chat]\nrooms = 2\n[load]\nsessions = 6\nrate = \"100/s\"\nduration = \"300ms\"\n[transports.websocket]\n\
         dialect = \"wsbench\"\n[transports.tcp]\ndialect = \"wsbench\"\n[transports.udp]\ndialect = \"wsbench\"\n\
         [transports.long-polling]\n[transports.sse]\n",
    );
    let mut served = bench.command(&["serve", "--token", "hunter2"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(served.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut url = |name: &str| {
        let line = lines.find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().replace("/echo", "/")
    };
    let (websocket, tcp, udp, http) = (url("websocket"), url("tcp"), url("udp"), url("http"));
    let targets = [
        format!("websocket={websocket}"),
        format!("tcp={tcp}"),
        format!("udp={udp}"),
        format!("long-polling={http}"),
        format!("sse={http}"),
    ];
    let flags: Vec<&str> = targets.iter().flat_map(|t| ["--target", t]).collect();
    let ran = bench.run(&[&["-q"], flags.as_slice()].concat());
    served.kill().unwrap();
    served.wait().unwrap();
    let ran = ran.well();
    for cell in &ran.document().cells {
        assert_eq!(
            cell.trials[0].outcome.measure.reach(),
            Some(1.0),
            "{}: {:?}",
            cell.arm,
            cell.trials[0].outcome.errors
        );
    }
    for file in ["result.json", "report.html", "summary.md"] {
        assert!(!std::fs::read_to_string(ran.out.join(file)).unwrap().contains("hunter2"), "{file}");
    }
}

#[test]
fn a_handshake_that_is_never_answered_is_a_class_of_its_own() {
    let bench = Bench::new(&scenario("[transports.websocket]"));
    let target = format!("websocket=ws://{}/", listen(silent));
    let ran = bench.run(&["--target", &target, "--duration", "1s", "-q"]).with_code(1);
    assert_eq!(ran.document().cells[0].trials[0].outcome.errors["handshake-timeout"], 5);
}
