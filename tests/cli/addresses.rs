//! Where targets are and who sessions are: IPv6, Unix sockets, source addresses, and values per session.

use super::harness::{Bench, Ran};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;
use tokio_tungstenite::tungstenite;
use tungstenite::handshake::server::{Request, Response};

const ALL: &str = "[transports.websocket]\n[transports.websocket-library]\ntransport = \"websocket\"\n\
    engine = \"fastwebsockets\"\n[transports.tcp]\n[transports.udp]\n[transports.long-polling]\n\
    [transports.short-polling]\ninterval = \"10ms\"\n[transports.sse]\n[transports.http-streaming]\n[transports.http]\n";

fn echo(rest: &str) -> String {
    format!(
        "[workload.echo]\npayload = \"96B\"\n[load]\nsessions = 4\nrate = \"100/s\"\nduration = \"400ms\"\n{rest}\n"
    )
}

/// Whether this machine has the loopback of IPv6.
fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[track_caller]
fn assert_all_answered(ran: &Ran, arms: usize) {
    let document = ran.document();
    assert_eq!(document.cells.len(), arms);
    for cell in &document.cells {
        let outcome = &cell.trials[0].outcome;
        assert_eq!(outcome.measure.reach(), Some(1.0), "{}: {:?}", cell.arm, outcome.errors);
        assert!(outcome.measure.delivered > 10, "{}", cell.arm);
        // Without an answer to their leaving, polls may end with an error; opening never does.
        assert_eq!(outcome.sessions.connected, 4, "{}: {:?}", cell.arm, outcome.errors);
    }
}

#[test]
fn the_embedded_target_listens_on_ipv6_for_every_transport() {
    if !has_ipv6() {
        return;
    }
    let bench = Bench::new(&echo(&format!("[target.embedded]\nlisten = \"::1\"\n{ALL}")));
    let ran = bench.run(&["-q"]).well();
    assert_all_answered(&ran, 9);
    let document = ran.document();
    assert_eq!(document.network_floor[0].host, "::1");
    assert_eq!(document.plan["cells"][0]["network"]["listen"], "::1");
    // 40 bytes of IPv6 and 8 of UDP to each datagram.
    let udp = &document.cells.iter().find(|cell| cell.arm == "udp").unwrap().trials[0].outcome.traffic;
    assert_eq!(udp.sent.wire, udp.sent.payload + 48 * udp.sent.messages);
}

#[test]
fn the_embedded_target_is_known_by_its_certificate_wherever_it_listens() {
    let arms = "[transports.websocket]\ntls = true\n[transports.long-polling]\ntls = true\n";
    for listen in ["127.0.0.9", "::1"].into_iter().filter(|ip| !ip.contains(':') || has_ipv6()) {
        let bench = Bench::new(&echo(&format!("[target.embedded]\nlisten = \"{listen}\"\n{arms}")));
        let ran = bench.run(&["-q"]).well();
        assert_all_answered(&ran, 2);
        assert!(ran.document().cells.iter().all(|cell| cell.trials[0].outcome.tls.is_some()));
    }
}

#[test]
fn targets_at_ipv6_addresses_are_reached_by_every_transport() {
    if !has_ipv6() {
        return;
    }
    let bench = Bench::new(&echo(&format!("{ALL}[transports.websocket.extra_headers]\nX-A = \"b\"\n")));
    let mut served = bench.command(&["serve", "--bind", "::1", "--token", "T"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut ports = BTreeMap::new();
    for line in BufReader::new(served.stdout.take().unwrap()).lines().map_while(Result::ok).take(4) {
        let mut words = line.split_whitespace();
        let (name, url) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let port = url.split("]:").nth(1).unwrap().split('/').next().unwrap().to_owned();
        assert!(url.contains("://[::1]:"), "{url}");
        ports.insert(name, port);
    }
    let mut flags = Vec::new();
    for (arm, scheme, name) in [
        ("websocket", "ws", "websocket"),
        ("websocket-library", "ws", "websocket"),
        ("tcp", "tcp", "tcp"),
        ("udp", "udp", "udp"),
        ("long-polling", "http", "http"),
        ("short-polling", "http", "http"),
        ("sse", "http", "http"),
        ("http-streaming", "http", "http"),
        ("http", "http", "http"),
    ] {
        flags.push("--target".to_owned());
        flags.push(format!("{arm}={scheme}://[::1]:{}/?token=T", ports[name]));
    }
    let text = std::fs::read_to_string(bench.path().join("scenario.toml")).unwrap();
    // At a URL these speak no dialect of ours unless told so.
    let told = ["websocket", "websocket-library", "tcp", "udp", "http"].iter().fold(text, |text, arm| {
        text.replacen(&format!("[transports.{arm}]\n"), &format!("[transports.{arm}]\ndialect = \"wsbench\"\n"), 1)
    });
    std::fs::write(bench.path().join("scenario.toml"), told).unwrap();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let ran = bench.run(&[&["-q"], flags.as_slice()].concat());
    served.kill().unwrap();
    served.wait().unwrap();
    assert_all_answered(&ran.well(), 9);
}

/// Everything that a server was told, a text for each connection.
type Seen = Arc<Mutex<Vec<String>>>;

/// Upgrades, keeps what it was asked, and echoes.
#[allow(clippy::result_large_err)]
fn websocket(stream: impl Read + Write, seen: &Seen) {
    let note = |request: &Request, response: Response| {
        let mut text = request.uri().to_string();
        for name in ["host", "origin", "authorization", "x-user", "x-n"] {
            let value = request.headers().get(name).map_or("", |value| value.to_str().unwrap());
            text += &format!("|{value}");
        }
        seen.lock().unwrap().push(text);
        Ok(response)
    };
    let Ok(mut socket) = tungstenite::accept_hdr(stream, note) else { return };
    while let Ok(message) = socket.read() {
        if message.is_text() {
            seen.lock().unwrap().push(format!("says {}", message.to_text().unwrap()));
            let _ = socket.send(message);
        }
    }
}

fn serve_tcp(seen: &Seen, serve: impl Fn(std::net::TcpStream, &Seen) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, seen) = (listener.local_addr().unwrap().to_string(), seen.clone());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (serve, seen) = (serve.clone(), seen.clone());
            thread::spawn(move || serve(stream, &seen));
        }
    });
    address
}

const USERS: &str = "name,token\nann,t-hunter2-ann\njoe,\"t-hunter2-joe\"\n\"eve x\",t-hunter2-eve\n";

#[test]
fn every_session_has_its_own_values_over_all_workers_and_no_result_holds_them() {
    let bench = Bench::new(
        "[workload.chat]\nrooms = 2\npayload = \"200B\"\n\
         template = '{\"from\":\"{{user.name}}\",\"n\":{{n}},\"id\":\"{{tag}}\",\"fill\":\"{{fill}}\"}'\n\
         [load]\nsessions = 5\nworkers = 2\nrate = \"100/s\"\nduration = \"300ms\"\n\
         [values]\nuser = { csv = \"users.csv\" }\nn = { counter = 100 }\n\
         [transports.websocket]\nhost = \"{user.token}.example.org\"\norigin = \"https://{session}.example.org\"\n\
         auth = { basic = \"{user.name}:${PASSWORD}\" }\n\
         extra_headers = { X-User = \"{user.token}\", X-N = \"{n}\" }\n",
    );
    std::fs::write(bench.path().join("users.csv"), USERS).unwrap();
    let seen = Seen::default();
    let address = serve_tcp(&seen, websocket);
    let target = format!("websocket=ws://{address}/room/{{room}}/{{session}}?name={{user.name}}");
    let mut command = bench.command(&["run", "scenario.toml", "--out", "out", "-q", "--target", &target]);
    let output = command.env("PASSWORD", "p-hunter2{n}").output().unwrap();
    let ran = super::harness::ran(output, bench.path().join("out"));
    // Nobody fans out, so that most copies never come; what was asked is what counts here.
    let said = seen.lock().unwrap().clone();
    let asked: BTreeSet<&str> = said.iter().map(String::as_str).filter(|text| text.starts_with('/')).collect();
    let want = |session: u32| {
        let (name, token, basic) = [
            ("ann", "t-hunter2-ann", "YW5uOnAtaHVudGVyMntufQ=="),
            ("joe", "t-hunter2-joe", "am9lOnAtaHVudGVyMntufQ=="),
            ("eve%20x", "t-hunter2-eve", "ZXZlIHg6cC1odW50ZXIye259"),
        ][session as usize % 3];
        format!(
            "/room/{}/{session}?name={name}|{token}.example.org|https://{session}.example.org|Basic {basic}|{token}|{}",
            session % 2,
            100 + session
        )
    };
    let want: Vec<String> = (0..5).map(want).collect();
    assert_eq!(asked, want.iter().map(String::as_str).collect(), "{}", ran.stderr);
    let texts: Vec<&str> = said.iter().filter_map(|text| text.strip_prefix("says ")).collect();
    assert!(texts.len() > 10);
    for text in texts {
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        let n = json["n"].as_u64().unwrap();
        assert_eq!(
            (text.len(), json["from"].as_str().unwrap()),
            (200, ["ann", "joe", "eve x"][(n as usize - 100) % 3])
        );
    }
    let document = ran.document();
    assert_eq!(document.cells[0].trials[0].outcome.sessions.connected, 5);
    assert!(document.cells[0].settings.contains(&("auth".to_owned(), "basic".to_owned())));
    for file in ["result.json", "report.html", "summary.md"] {
        let text = std::fs::read_to_string(ran.out.join(file)).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("eve x"), "{file}");
    }
    assert!(!ran.stdout.contains("hunter2") && !ran.stderr.contains("hunter2"));
}

#[test]
fn credentials_of_a_url_are_sent_and_never_shown() {
    let bench = Bench::new(&echo("[transports.websocket]"));
    let seen = Seen::default();
    let address = serve_tcp(&seen, websocket);
    let target = format!("websocket=ws://joe%40x:hunter2@{address}/echo");
    let ran = bench.run(&["-q", "--target", &target]).well();
    // "joe@x:hunter2".
    let asked = format!("/echo|{address}||Basic am9lQHg6aHVudGVyMg==||");
    assert!(seen.lock().unwrap().contains(&asked), "{:?}", seen.lock().unwrap().first());
    let result = std::fs::read_to_string(ran.out.join("result.json")).unwrap();
    assert!(!result.contains("hunter2") && !result.contains("am9lQHg6aHVudGVyMg"), "{result}");
    let check = bench.say(&["check", "scenario.toml", "--target", &target]).with_code(0);
    assert!(!check.stdout.contains("hunter2") && check.stdout.contains(&format!("ws://{address}/echo")));
}

#[test]
fn a_cookie_leads_the_later_requests_of_a_session_back() {
    let bench = Bench::new(&echo("[transports.http]\n[transports.without]\ntransport = \"http\"\ncookies = false"));
    let counter = Arc::new(Mutex::new(0));
    let serve = move |mut stream: std::net::TcpStream, seen: &Seen| {
        let own = {
            let mut counter = counter.lock().unwrap();
            *counter += 1;
            *counter
        };
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        loop {
            let head: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let Some(first) = head.first() else { return };
            let cookie = head.iter().find_map(|line| line.strip_prefix("Cookie: ")).unwrap_or("none");
            seen.lock().unwrap().push(format!("{first} of {own}: {cookie}"));
            let answer = format!("HTTP/1.1 200 OK\r\nSet-Cookie: node={own}; HttpOnly\r\nContent-Length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    };
    let seen = Seen::default();
    let address = serve_tcp(&seen, serve);
    let text = std::fs::read_to_string(bench.path().join("scenario.toml")).unwrap();
    let gets = text.replace("[transports.without]", "method = \"GET\"\n[transports.without]\nmethod = \"GET\"");
    std::fs::write(bench.path().join("scenario.toml"), gets).unwrap();
    let targets = [format!("http=http://{address}/kept/x"), format!("without=http://{address}/dropped/x")];
    let ran = bench.run(&["-q", "--target", &targets[0], "--target", &targets[1]]).well();
    assert_eq!(ran.document().cells[0].trials[0].outcome.measure.reach(), Some(1.0));
    let mut of: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for line in seen.lock().unwrap().iter() {
        let (asked, cookie) = line.split_once(": ").unwrap();
        let (request, connection) = asked.split_once(" of ").unwrap();
        of.entry((request.to_owned(), connection.to_owned())).or_default().push(cookie.to_owned());
    }
    assert_eq!(of.len(), 8, "a connection for each session: {of:?}");
    for ((request, connection), cookies) in of {
        let later = if request.contains("/kept/") { format!("node={connection}") } else { "none".to_owned() };
        assert_eq!(cookies[0], "none");
        assert!(cookies.len() > 3 && cookies[1..].iter().all(|cookie| *cookie == later), "{request}: {cookies:?}");
    }
}

#[test]
fn sessions_leave_from_the_addresses_that_were_asked_for() {
    let bench = Bench::new(&echo("source_ips = [\"127.0.0.9\"]\n[transports.tcp]\n[transports.udp]"));
    let seen = Seen::default();
    let tcp = serve_tcp(&seen, |mut stream, seen| {
        seen.lock().unwrap().push(stream.peer_addr().unwrap().ip().to_string());
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            let _ = stream.write_all(&buffer[..n]);
        }
    });
    let targets = ["--transport", "tcp", "--target", &format!("tcp=tcp://{tcp}")];
    bench.run(&[&["-q"], &targets[..]].concat()).well();
    assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), ["127.0.0.9"; 4]);
    let flags = ["--source-ip", "127.0.0.16/30", "--source-ip", "127.0.0.77", "--out", "other", "-q"];
    bench.say(&[&["run", "scenario.toml"], &flags[..], &targets[..]].concat()).well();
    let mut from = std::mem::take(&mut *seen.lock().unwrap());
    from.sort();
    assert_eq!(from, ["127.0.0.17", "127.0.0.17", "127.0.0.18", "127.0.0.77"]);
}

#[test]
fn an_address_that_this_machine_has_not_is_told_before_the_run() {
    let bench = Bench::new(&echo("source_ips = [\"127.0.0.9\", \"192.0.2.7\"]\n[transports.tcp]"));
    for command in ["check", "run"] {
        let ran = bench.say(&[command, "scenario.toml"]).with_code(104);
        assert!(
            ran.stderr.contains("scenario.toml:7:28") && ran.stderr.contains("no address 192.0.2.7"),
            "{}",
            ran.stderr
        );
    }
    let ran = bench.run(&["--source-ip", "192.0.2.0/30"]).with_code(104);
    assert!(ran.stderr.contains("--source-ip: this machine has no address 192.0.2.1"), "{}", ran.stderr);
    let bench = Bench::new(&echo("[target.embedded]\nlisten = \"192.0.2.7\"\n[transports.tcp]"));
    let ran = bench.run(&[]).with_code(104);
    assert!(ran.stderr.contains("scenario.toml:8:10") && ran.stderr.contains("no address 192.0.2.7"), "{}", ran.stderr);
    assert!(!ran.out.exists());
}

#[test]
fn unix_sockets_are_loaded_and_the_report_says_why_no_bytes_are_on_a_wire() {
    let bench = Bench::new(&echo("[transports.tcp]\n[transports.websocket]\n[transports.http]"));
    let (raw, ws, http) = (bench.path().join("raw.sock"), bench.path().join("ws.sock"), bench.path().join("http.sock"));
    let seen = Seen::default();
    let listener = UnixListener::bind(&raw).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(&buffer[..n]);
                }
            });
        }
    });
    let (listener, sees) = (UnixListener::bind(&ws).unwrap(), seen.clone());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sees = sees.clone();
            thread::spawn(move || websocket(stream, &sees));
        }
    });
    let listener = UnixListener::bind(&http).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                // A request is written in one go.
                while let Ok(1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                }
            });
        }
    });
    let targets = [
        format!("tcp=unix:{}", raw.display()),
        format!("websocket=ws+unix:{}:/chat/{{session}}?key=hunter2", ws.display()),
        format!("http=http+unix:{}:/", http.display()),
    ];
    let flags: Vec<&str> = targets.iter().flat_map(|target| ["--target", target.as_str()]).collect();
    let ran = bench.run(&[&["-q"], flags.as_slice()].concat()).well();
    assert_all_answered(&ran, 3);
    let document = ran.document();
    assert!(document.network_floor.is_empty(), "{:?}", document.network_floor);
    for cell in &document.cells {
        let bytes = cell.summary().bytes_per_message;
        assert_eq!((bytes.wire, bytes.payload.is_some(), bytes.framing.is_some()), (None, true, true), "{}", cell.arm);
        assert_eq!(cell.trials[0].outcome.sessions.held.unwrap().kernel, None, "{}", cell.arm);
    }
    assert!(
        document.cells[1].target.contains("ws.sock:/chat/{session}?key=[redacted]"),
        "{}",
        document.cells[1].target
    );
    let asked = seen.lock().unwrap().clone();
    assert!((0..4).all(|n| asked.contains(&format!("/chat/{n}?key=hunter2|localhost||||"))), "{asked:?}");
    let report = std::fs::read_to_string(ran.out.join("summary.md")).unwrap();
    assert!(report.contains("Unix sockets (tcp, websocket, http): nothing crosses a wire there"), "{report}");
    assert!(!report.contains("hunter2"));
}
