//! A protocol that the scenario describes: here that of `wsbench serve`, which has a face for each transport.

use super::harness::Bench;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, Stdio};
use wsbench::measure::Counters;

/// A served target, and where it listens by transport.
struct Served {
    process: Child,
    stdout: BufReader<std::process::ChildStdout>,
    urls: Vec<(String, String)>,
}

impl Served {
    fn start(bench: &Bench) -> Served {
        let mut process = bench.command(&["serve", "--open"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let (mut urls, mut line) = (Vec::new(), String::new());
        while stdout.read_line(&mut line).unwrap() > 0 && !line.starts_with("ready") {
            if let Some((name, rest)) = line.split_once(' ').filter(|(_, rest)| rest.contains("://")) {
                let url = rest.split_whitespace().next().unwrap();
                let (scheme, rest) = url.split_once("://").unwrap();
                urls.push((name.to_owned(), format!("{scheme}://{}", rest.split('/').next().unwrap())));
            }
            line.clear();
        }
        Served { process, stdout, urls }
    }

    fn url(&self, transport: &str) -> String {
        let (.., url) = self.urls.iter().find(|(name, _)| name.starts_with(transport)).unwrap();
        url.clone()
    }

    /// What it counted: messages received and copies delivered.
    fn end(mut self) -> (u64, u64) {
        kill(Pid::from_raw(self.process.id() as i32), Signal::SIGINT).unwrap();
        let mut told = String::new();
        self.stdout.read_to_string(&mut told).unwrap();
        self.process.wait().unwrap();
        let mut numbers = told.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }
}

/// A test that fails leaves no server behind.
impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs one arm and returns what the generator and the target counted.
fn run(workload: &str, transport: &str, path: &str, arm: &str, dialect: &str) -> (Counters, (u64, u64)) {
    let served = Served::start(&Bench::new(""));
    let http = ["sse", "http-streaming", "http"].contains(&transport);
    let url = served.url(if http { "http" } else { transport });
    let bench = Bench::new(&format!(
        "[workload.{workload}\n[load]\nsessions = 6\nrate = \"100/s\"\nduration = \"500ms\"\ntimeout = \"20s\"\n\
         drain = \"5s\"\n[target.urls]\n{transport} = \"{url}{path}\"\n[transports.{transport}]\n{arm}\n{dialect}"
    ));
    let ran = bench.run(&["-q"]).well();
    let document = ran.document();
    let outcome = &document.cells[0].trials[0].outcome;
    assert_eq!((document.cells[0].dialect.as_str(), outcome.errors.len()), ("custom", 0), "{:?}", outcome.errors);
    (outcome.measure, served.end())
}

/// Everybody in a room of three got everything, by the target's count as well.
#[track_caller]
fn is_whole(counters: Counters, told: (u64, u64), each: u64) {
    assert!(counters.sent > 20);
    assert_eq!(
        (counters.delivered, told),
        (counters.sent * each, (counters.sent, counters.sent * each)),
        "{counters:?}"
    );
    let extra = [counters.duplicate, counters.unmatched, counters.foreign];
    assert_eq!(extra, [0; 3], "{counters:?}");
}

#[test]
fn payloads_travel_in_an_envelope_over_a_websocket() {
    let dialect = "[dialect.custom]\npublish = '{\"p\":\"{payload:base64}\",\"id\":{id}}'\n\
                   message = { pointer = \"/p\", encoded = \"base64\" }";
    let (counters, told) = run("chat]\nrooms = 2", "websocket", "/room/{room}", "", dialect);
    is_whole(counters, told, 3);
    // By its number, whatever is in it.
    let dialect = "[dialect.custom]\npublish = '{\"id\":{id}}'\ncorrelate = { pointer = \"/id\" }";
    let (counters, told) = run("chat]\nrooms = 2", "websocket", "/room/{room}", "engine = \"tungstenite\"", dialect);
    is_whole(counters, told, 3);
}

#[test]
fn a_session_says_who_it_is_by_its_own_values() {
    // Only an envelope that is filled in holds a payload.
    let dialect = "[values]\nn = { counter = 500 }\n[dialect.custom]\n\
                   publish = '{\"n\":{n},\"of\":{session},\"p\":\"{payload}\"}'\n\
                   message = { regex = '^\\{\"n\":50[0-5],\"of\":[0-5],\"p\":\"([^\"]*)\"\\}$' }";
    let (counters, told) = run("chat]\nrooms = 2", "websocket", "/room/{room}?n={n}", "", dialect);
    is_whole(counters, told, 3);
}

#[test]
fn a_stream_is_joined_by_what_the_target_says() {
    let dialect = "[dialect.custom]\nopen = [\"WSBENCH/1 JOIN /room/{room} framing=newline\"]\nopened = \"^OK$\"";
    let (counters, told) = run("chat]\nrooms = 2", "tcp", "", "framing = \"newline\"", dialect);
    is_whole(counters, told, 3);
}

#[test]
fn what_the_target_refuses_is_a_join_refused() {
    let bench = Bench::new("");
    let served = Served::start(&bench);
    let bench = Bench::new(&format!(
        "[workload.echo]\n[load]\nsessions = 3\nrate = \"10/s\"\nduration = \"200ms\"\n[target.urls]\ntcp = \"{}\"\n\
         [dialect.custom]\nopen = [\"WSBENCH/1 JOIN /nowhere framing=newline\"]\nopened = \"^OK$\"\nerror = \"^ERR\"\n\
         [transports.tcp]\nframing = \"newline\"\n",
        served.url("tcp")
    ));
    let ran = bench.run(&["-q"]).with_code(1);
    assert_eq!(ran.document().cells[0].trials[0].outcome.errors["join-refused"], 3);
    served.end();
}

#[test]
fn streams_are_asked_for_and_published_to_by_requests() {
    let dialect = |poll: &str, more: &str| {
        format!(
            "[dialect.custom.http]\npoll = {{ path = \"{poll}\" }}\npublish = {{ path = \"/pub/{{sid}}\" }}\n\
             leave = {{ path = \"/pub/{{sid}}\" }}\n{more}"
        )
    };
    let sse = dialect("/sse/{sid}?join=/room/{room}&format=text", "");
    let (counters, told) = run("chat]\nrooms = 2", "sse", "/", "", &sse);
    is_whole(counters, told, 3);
    let streaming = dialect("/stream/{sid}?join=/room/{room}", "messages = \"lengths\"");
    let (counters, told) = run("chat]\nrooms = 2", "http-streaming", "/", "", &streaming);
    is_whole(counters, told, 3);
}

#[test]
fn a_request_carries_what_its_template_says() {
    let dialect = "[dialect.custom.http]\nrequest = { method = \"POST\", path = \"/echo\", body = '{\"n\":{id},\"p\":\"{payload}\"}' }";
    let (counters, told) = run("echo]", "http", "/", "method = \"GET\"", dialect);
    is_whole(counters, told, 1);
}

#[test]
fn secrets_are_said_and_not_kept() {
    let served = Served::start(&Bench::new(""));
    let bench = Bench::new(&format!(
        "[workload.echo]\n[load]\nsessions = 2\nrate = \"50/s\"\nduration = \"200ms\"\n[target.urls]\nwebsocket = \"{}/echo\"\n\
         [dialect.custom]\nopen = [\"AUTH {{password}}\"]\nopened = \"^AUTH hunter[2]$\"\nsecret = {{ password = \"hunter2\" }}\n\
         [dialect.custom.http.publish]\nheaders = {{ Authorization = \"hunter2\" }}\n[transports.websocket]\n",
        served.url("websocket")
    ));
    let ran = bench.run(&["-q"]).well();
    let outcome = &ran.document().cells[0].trials[0].outcome;
    assert!(
        outcome.measure.delivered == outcome.measure.sent && outcome.sessions.connected == 2,
        "{:?}",
        outcome.errors
    );
    for file in ["result.json", "report.html", "summary.md"] {
        assert!(!std::fs::read_to_string(ran.out.join(file)).unwrap().contains("hunter2"), "{file}");
    }

    // The server repeats what it was told, and this time that is how it refuses.
    let scenario = std::fs::read_to_string(bench.path().join("scenario.toml")).unwrap();
    let refusing = scenario.replace("opened = \"^AUTH hunter[2]$\"", "opened = \"^OK$\"\nerror = \"^AUTH\"");
    assert!(refusing != scenario, "{scenario}");
    let bench = Bench::new(&refusing);
    let refused = bench.run(&["-q"]).with_code(1);
    let told = std::fs::read_to_string(refused.out.join("result.json")).unwrap() + &refused.stdout + &refused.stderr;
    assert!(told.contains("AUTH [redacted]") && !told.contains("hunter2"), "{}", refused.stdout);
    served.end();
}
