//! TLS from end to end: the embedded target's, and servers of one's own.

use super::harness::{Bench, Ran};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use wsbench::accounting::{NoCapture, capture_run};
use wsbench::measure::Metric;
use wsbench::plan::{self, Overrides};
use wsbench::result::{Cell, Document};
use wsbench::scenario;

#[path = "../errors/authority.rs"]
mod authority;

use authority::Authority;

const LOAD: &str = "[load]\nsessions = 6\nrate = \"600/s\"\nwarmup = \"100ms\"\nduration = \"500ms\"\ndrain = \"3s\"\ntimeout = \"3s\"\n";

const PAIRS: [(&str, &str); 9] = [
    ("websocket", "wss"),
    ("fast", "fast-tls"),
    ("tungstenite", "tungstenite-tls"),
    ("tcp", "tls-tcp"),
    ("long-polling", "https-polling"),
    ("short-polling", "https-asking"),
    ("sse", "https-sse"),
    ("http-streaming", "https-streaming"),
    ("http", "https"),
];

/// Each without TLS and with it.
fn arms(pairs: &[(&str, &str)]) -> String {
    let arm = |(plain, tls): &(&str, &str)| {
        let settings = match *plain {
            "fast" => "transport = \"websocket\"\nengine = \"fastwebsockets\"".to_owned(),
            "tungstenite" => "transport = \"websocket\"\nengine = \"tungstenite\"".to_owned(),
            kind => format!("transport = \"{kind}\""),
        };
        format!("[transports.{plain}]\n{settings}\n[transports.{tls}]\n{settings}\ntls = true\n")
    };
    pairs.iter().map(arm).collect()
}

fn cell<'a>(document: &'a Document, arm: &str) -> &'a Cell {
    document.cells.iter().find(|cell| cell.arm == arm).unwrap_or_else(|| panic!("no arm {arm}"))
}

#[test]
fn every_transport_over_tls_reaches_everyone_and_costs_bytes_and_a_phase_of_its_own() {
    // Which of the libraries speaks at the target concerns WebSocket alone.
    for (engine, pairs) in [("native", &PAIRS[..]), ("fastwebsockets", &PAIRS[..3])] {
        let top = format!("[workload.echo]\npayload = \"64B\"\n[target.embedded]\nengine = \"{engine}\"\n");
        let bench = Bench::new(&format!("{top}{LOAD}{}", arms(pairs)));
        let ran = bench.run(&["--no-charts"]).well();
        let document = ran.document();
        for (plain, tls) in pairs {
            let (without, with) = (cell(&document, plain).summary(), cell(&document, tls).summary());
            assert_eq!((without.reach, with.reach), (Some(1.0), Some(1.0)), "{tls}: {:?}", with.errors);
            // How many acknowledgements there are varies, so it is what TCP carried that is held against the plain text. A record
            // has five bytes of head and seventeen behind, and seldom holds two messages.
            let records = |arm: &str| {
                let traffic = cell(&document, arm).traffic();
                let (kernel, counted) = (traffic.kernel.unwrap(), traffic.counted());
                let carried = kernel.sent + kernel.received + kernel.unread;
                (
                    carried.saturating_sub(counted.sent + counted.received),
                    traffic.sent.messages + traffic.received.messages,
                )
            };
            assert!(records(plain).0 <= cell(&document, plain).traffic().kernel.unwrap().unread, "{plain}");
            let (more, messages) = records(tls);
            assert!(more >= 22 * messages / 2, "{tls}: {more} bytes of records for {messages} messages");
            assert!(with.bytes_per_message.wire.unwrap() > with.bytes_per_message.payload.unwrap());
            assert_eq!(with.bytes_per_message.payload, without.bytes_per_message.payload);
            assert!(with.connect.tls.count >= 6 && with.connect.tcp.count >= 6, "{:?}", with.connect);
            assert_eq!((without.connect.tls.count, &without.tls), (0, &None));
            let handshakes = with.tls.unwrap();
            let connections = cell(&document, tls).traffic().connections;
            assert_eq!((handshakes.whole, handshakes.resumed), (connections, 0), "{tls}");
            let trial = &cell(&document, tls).trials[0];
            assert!(trial.outcome.histograms.get(Metric::Tls).is_some());
        }
        let summary = std::fs::read_to_string(ran.out.join("summary.md")).unwrap();
        let line = "wss: TLS 1.3, TLS\\_AES\\_256\\_GCM\\_SHA384, 6 whole handshakes, 0 resumed.";
        assert!(summary.contains(line), "{summary}");
        let page = std::fs::read_to_string(ran.out.join("report.html")).unwrap();
        assert!(page.contains("<p>TLS 1.3, TLS_AES_256_GCM_SHA384, 6 whole handshakes, 0 resumed</p>"));
        assert!(page.contains(">TLS</th>"), "its phase stands among the times");
    }
}

#[test]
fn a_storm_of_connects_resumes_once_it_has_tickets_and_without_them_never() {
    let arms = "[transports.whole]\ntransport = \"websocket\"\ntls = true\n\
                [transports.resumed]\ntransport = \"websocket\"\ntls = true\nresumption = true\n\
                [transports.https]\ntransport = \"http\"\ntls = true\nresumption = true\n";
    let bench = Bench::new(&format!("[workload.connect]\nfirst = \"echo\"\n{LOAD}{arms}"));
    let ran = bench.run(&["--no-charts"]).well();
    let document = ran.document();
    let handshakes = |arm: &str| cell(&document, arm).summary().tls.unwrap();
    assert!(handshakes("whole").resumed == 0 && handshakes("whole").whole > 20);
    for arm in ["resumed", "https"] {
        let handshakes = handshakes(arm);
        assert!(handshakes.resumed > handshakes.whole && handshakes.whole > 0, "{arm}: {handshakes:?}");
    }
}

/// Echoes bytes over TLS, on a thread that ends with the test's process.
fn echo(config: rustls::ServerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let (mut read, mut write) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
    });
    address
}

fn bench(tls: &str) -> Bench {
    Bench::new(&format!("{tls}[workload.echo]\npayload = \"64B\"\n{LOAD}[transports.tcp]\n"))
}

#[test]
fn a_server_of_ones_own_is_trusted_by_its_authority_and_told_who_we_are() {
    let authority = Authority::new();
    let address = echo(authority.server("chat.test", true));
    let target = format!("tcp=tls://{address}");
    let (cert, key) = authority.issue("client");
    let write = |bench: &Bench| {
        for (name, text) in [("ca.pem", &authority.pem), ("me.pem", &cert), ("me-key.pem", &key)] {
            std::fs::write(bench.path().join(name), text).unwrap();
        }
    };
    let in_file =
        bench("[tls]\nca = \"ca.pem\"\ncert = \"me.pem\"\nkey = \"me-key.pem\"\nserver_name = \"chat.test\"\n");
    write(&in_file);
    let ran = in_file.run(&["--target", &target, "--no-charts"]).well();
    assert_eq!(cell(&ran.document(), "tcp").summary().reach, Some(1.0));
    assert!(!ran.stderr.contains("INSECURE") && !ran.stdout.contains("INSECURE"));
    assert_nothing_told(&ran, &[&cert, &key, &authority.pem]);

    let by_flags = bench("[tls]\nserver_name = \"chat.test\"\n");
    write(&by_flags);
    let flags = ["--cacert", "ca.pem", "--cert", "me.pem", "--key", "me-key.pem", "--target", &target, "--no-charts"];
    let ran = by_flags.run(&flags).well();
    assert_eq!(cell(&ran.document(), "tcp").summary().reach, Some(1.0));
    assert_nothing_told(&ran, &[&cert, &key]);

    let with_authority = (&["--cacert", "ca.pem"][..], "certificate is given by --cert and --key");
    let with_identity = (&["--cert", "me.pem", "--key", "me-key.pem"][..], "--cacert says whom to trust");
    for (more, advice) in [with_authority, with_identity] {
        let refused = bench("[tls]\nserver_name = \"chat.test\"\n");
        write(&refused);
        let ran = refused.run(&[more, &["--target", &target, "--no-charts"]].concat()).with_code(1);
        let errors = cell(&ran.document(), "tcp").summary().errors;
        assert!(errors.keys().all(|class| class == "tls") && !errors.is_empty(), "{more:?}: {errors:?}");
        let summary = std::fs::read_to_string(ran.out.join("summary.md")).unwrap();
        assert!(ran.stdout.contains(advice) && summary.contains(advice), "{more:?}: {}", ran.stdout);
        assert!(summary.starts_with("# scenario: Nothing was measured"), "{summary}");
    }
}

/// Neither the lines of these files, nor where they were decoded to.
#[track_caller]
fn assert_nothing_told(ran: &Ran, files: &[&str]) {
    let mut all = vec![ran.stdout.clone(), ran.stderr.clone()];
    for entry in std::fs::read_dir(&ran.out).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        all.push(String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned());
    }
    for line in files.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with("-----")) {
        assert!(all.iter().all(|text| !text.contains(line)), "{line} is told");
    }
}

#[test]
fn whoever_takes_any_certificate_is_told_so_everywhere() {
    let target = format!("tcp=tls://{}", echo(Authority::new().server("elsewhere.test", false)));
    let bench = bench("");
    let ran = bench.run(&["--insecure", "--target", &target, "--no-charts"]).well();
    assert_eq!(cell(&ran.document(), "tcp").summary().reach, Some(1.0));
    assert!(ran.stderr.contains("warning: INSECURE: tcp"), "{}", ran.stderr);
    assert!(ran.stdout.contains("INSECURE: tcp"), "{}", ran.stdout);
    for page in ["summary.md", "report.html"] {
        assert!(std::fs::read_to_string(ran.out.join(page)).unwrap().contains("INSECURE: tcp"), "{page}");
    }
    let checked = bench.say(&["check", "scenario.toml", "--insecure", "--target", &target]).with_code(0);
    assert!(checked.stdout.contains("INSECURE: tcp"), "{}", checked.stdout);
    let refused = bench.say(&["run", "scenario.toml", "--out", "refused", "--target", &target]).with_code(1);
    assert!(refused.stdout.contains("tls"), "{}", refused.stdout);
}

#[test]
fn a_file_that_is_none_is_a_mistake_told_with_its_place_before_anything_runs() {
    let bench = bench("[tls]\nca = \"none.pem\"\n");
    for command in ["run", "check"] {
        let said = bench.say(&[command, "scenario.toml"]).with_code(104);
        assert!(
            said.stderr.contains("scenario.toml:2:6") && said.stderr.contains("none.pem can't be read"),
            "{}",
            said.stderr
        );
    }
    std::fs::write(bench.path().join("broken.pem"), "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
        .unwrap();
    let said = bench.say(&["run", "scenario.toml", "--cacert", "broken.pem"]).with_code(2);
    assert!(said.stderr.contains("--cacert: broken.pem: it is not PEM"), "{}", said.stderr);
    assert!(!bench.path().join("out").exists());
}

#[test]
fn a_capture_says_that_it_does_not_cover_tls() {
    let text = format!("[workload.echo]\n{LOAD}[transports.tcp]\ntls = true\n");
    let scenario = scenario::parse("t.toml", &text).unwrap();
    let plan = plan::build(&scenario, &Overrides::default()).unwrap();
    let refused = capture_run(Path::new(env!("CARGO_BIN_EXE_wsbench")), &plan).unwrap_err();
    assert!(matches!(&refused, NoCapture::Skipped(why) if why.contains("TLS")), "{refused}");
}
