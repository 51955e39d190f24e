//! A server that keeps the latest message of a channel alone: who polls too seldom has missed the others for good, who has a
//! WebSocket gets them all. What came too late to come at all is told from what was never settled.

use super::harness::Bench;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio_tungstenite::tungstenite::{self, Message};
use wsbench::result::Document;

/// By path: the number of the latest message, and the message.
type Latest = Arc<Mutex<HashMap<String, (u64, Vec<u8>)>>>;
/// By path: everyone with a WebSocket.
type Sockets = Arc<Mutex<HashMap<String, Vec<std::sync::mpsc::Sender<String>>>>>;

const SCENARIO: &str = r#"
[workload.chat]
rooms = 2
payload = "64B"

[load]
sessions = 6
rate = "300/s"
duration = "1s"
drain = "500ms"

[dialect.nchan]
publish = "/pub/{room}"

[transports.websocket]
[transports.short-polling]
interval = "100ms"

[target.urls]
websocket = "ws://ADDRESS/ws/{room}"
short-polling = "http://ADDRESS/poll/{room}"
"#;

/// Serves polls with nchan's headers, and publishes by POST.
fn serve_http(stream: TcpStream, latest: &Latest) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let (mut request, mut length, mut seen) = (String::new(), 0, None);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            } else if let Some(value) = lower.strip_prefix("if-none-match:") {
                seen = value.trim().parse::<u64>().ok();
            }
            if line == "\r\n" {
                break;
            }
            if request.is_empty() {
                request = line;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let room = path.rsplit('/').next().unwrap().to_owned();
        let mut latest = latest.lock().unwrap();
        let answer = match method {
            "POST" => {
                let entry = latest.entry(room).or_default();
                *entry = (entry.0 + 1, body);
                b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_vec()
            }
            // No channel knows its latest message here.
            _ if path.starts_with("/pub/") => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            _ => match latest.get(&room).filter(|(number, _)| seen.is_none_or(|seen| *number > seen)) {
                None => b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(),
                Some((number, message)) => {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nLast-Modified: x\r\nEtag: {number}\r\nContent-Length: {}\r\n\r\n",
                        message.len()
                    );
                    [head.into_bytes(), message.clone()].concat()
                }
            },
        };
        drop(latest);
        writer.write_all(&answer)?;
    }
}

/// Hands every message on to all of its path.
fn serve_websocket(stream: TcpStream, path: &str, sockets: &Sockets) {
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    let (sender, messages) = std::sync::mpsc::channel();
    sockets.lock().unwrap().entry(path.to_owned()).or_default().push(sender);
    socket.get_mut().set_read_timeout(Some(Duration::from_millis(2))).unwrap();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                let all = &sockets.lock().unwrap()[path];
                all.iter().for_each(|member| drop(member.send(text.to_string())));
            }
            Ok(_) => {}
            Err(tungstenite::Error::Io(e)) if matches!(e.kind(), std::io::ErrorKind::WouldBlock) => {}
            Err(_) => return,
        }
        for message in messages.try_iter() {
            let _ = socket.send(Message::text(message));
        }
    }
}

/// What a connection asks for first, which stays there to be read.
fn path_of(stream: &TcpStream) -> String {
    let mut begin = [0; 32];
    loop {
        let n = stream.peek(&mut begin).unwrap_or(0);
        let words: Vec<_> = begin[..n].split(|byte| *byte == b' ').collect();
        if words.len() > 2 || n == 0 {
            return String::from_utf8_lossy(words.get(1).unwrap_or(&&b""[..])).into_owned();
        }
        thread::yield_now();
    }
}

fn listen() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (latest, sockets) = (Latest::default(), Sockets::default());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (latest, sockets) = (latest.clone(), sockets.clone());
            thread::spawn(move || {
                let path = path_of(&stream);
                match path.starts_with("/ws/") {
                    true => serve_websocket(stream, &path, &sockets),
                    false => drop(serve_http(stream, &latest)),
                }
            });
        }
    });
    address
}

#[test]
fn messages_that_nobody_keeps_are_lost_to_who_polls_and_reach_who_has_a_websocket() {
    let bench = Bench::new(&SCENARIO.replace("ADDRESS", &listen()));
    let ran = bench.run(&["-q"]).well();
    let document: Document = ran.document();
    let [websocket, polling] = ["websocket", "short-polling"].map(|arm| {
        let cell = document.cells.iter().find(|cell| cell.arm == arm).unwrap();
        let outcome = &cell.trials[0].outcome;
        assert!(outcome.errors.is_empty(), "{arm}: {:?}", outcome.errors);
        (outcome.measure, outcome.measure.reach())
    });
    assert_eq!((websocket.1, websocket.0.lost, websocket.0.unfinished), (Some(1.0), 0, 0));
    // Some fifteen messages of a room come between two polls, of which the last alone is there.
    let counters = polling.0;
    assert!(counters.balance() && counters.delivered > 0, "{counters:?}");
    assert!(counters.lost > counters.expected / 4, "{counters:?}");
    assert!(counters.lost > counters.unfinished, "{counters:?}");
}
