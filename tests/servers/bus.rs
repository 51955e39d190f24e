//! The bus over a real nats-server: connections that fail and say why, conversations that outlive its restart.

use crate::harness::{free_ports, is_there};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use wsbench::bus::{BusError, Carrier, Conversation, Inbox, MAX_MESSAGE, Nats, NatsInbox, NatsOptions};

/// Two users, one of whom may use one subject alone.
const USERS: &str = "authorization { users: [
    { user: anna, password: hunter2 }
    { user: bert, password: hunter3, permissions: { publish: \"w.open\", subscribe: \"w.open\" } }
] }";

/// A nats-server of its own folder, ended when it is dropped.
struct Server {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    /// With these lines in its configuration, in which FOLDER stands for its folder.
    fn start(lines: &str) -> Option<Server> {
        if !is_there("nats") {
            return None;
        }
        let [port, ..] = free_ports();
        let folder = tempfile::tempdir().unwrap();
        let conf = format!("listen: 127.0.0.1:{port}\n{}", lines.replace("FOLDER", folder.path().to_str().unwrap()));
        std::fs::write(folder.path().join("nats.conf"), conf).unwrap();
        let process = Server::spawn(folder.path());
        Some(Server { process, port, folder }.listening())
    }

    fn spawn(folder: &Path) -> Child {
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
        let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut command = Command::new("nats-server");
        command.env("PATH", path).arg("-c").arg(folder.join("nats.conf"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    fn listening(self) -> Server {
        self.wait();
        self
    }

    fn wait(&self) {
        for _ in 0..1500 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("nats-server doesn't listen: {}", std::fs::read_to_string(self.folder.path().join("log")).unwrap());
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn again(&mut self) {
        self.process = Server::spawn(self.folder.path());
        self.wait();
    }

    fn options(&self, user: &str) -> NatsOptions {
        NatsOptions { url: format!("nats://{user}@127.0.0.1:{}", self.port), name: "test".into(), ..Default::default() }
    }

    async fn connect(&self, user: &str) -> Nats {
        Nats::connect(&self.options(user)).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One end of a conversation over NATS.
struct End {
    nats: Nats,
    inbox: NatsInbox,
    to: &'static str,
    conversation: Conversation,
    heard: Vec<Vec<u8>>,
}

impl End {
    async fn new(server: &Server, from: &str, to: &'static str) -> End {
        let nats = server.connect("anna:hunter2").await;
        let inbox = nats.subscribe(from).await.unwrap();
        let conversation = Conversation::new(7, nats.limit(), nats.now());
        End { nats, inbox, to, conversation, heard: Vec::new() }
    }

    /// Publishes what is due and hears what comes, once.
    async fn step(&mut self) {
        for packet in self.conversation.packets(self.nats.now()) {
            self.nats.publish(self.to, packet).await.unwrap();
        }
        let wait = self.conversation.wake_at().saturating_sub(self.nats.now());
        tokio::select! {
            received = self.inbox.next() => {
                let heard = self.conversation.hear(&received.unwrap().bytes, self.nats.now()).unwrap();
                self.heard.extend(heard);
            }
            () = tokio::time::sleep(Duration::from_nanos(wait)) => {}
        }
    }
}

/// Leads both ends until this holds of them.
async fn lead(ends: &mut [End; 2], is_done: impl Fn(&[End; 2]) -> bool) {
    let leading = async {
        while !is_done(ends) {
            let [one, other] = ends.each_mut();
            // Whichever has something to do; the other goes on where it was, since it is safe to cancel.
            tokio::select! {
                () = one.step() => {}
                () = other.step() => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), leading).await.expect("the conversation goes on");
}

async fn pair(server: &Server) -> [End; 2] {
    [End::new(server, "w.one", "w.other").await, End::new(server, "w.other", "w.one").await]
}

fn message(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (number * 31 + at * 7 + at / 251) as u8).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn messages_longer_than_the_servers_limit_come_whole() {
    let Some(server) = Server::start(USERS) else { return };
    let mut ends = pair(&server).await;
    const LENGTH: usize = 3 << 20;
    const { assert!(LENGTH < MAX_MESSAGE) };
    ends[0].conversation.say(&message(1, LENGTH)).unwrap();
    ends[0].conversation.say(b"then this").unwrap();
    ends[1].conversation.say(&message(2, LENGTH)).unwrap();
    lead(&mut ends, |ends| ends.iter().all(|end| !end.conversation.has_unheard())).await;
    assert!(ends[1].heard == [message(1, LENGTH), b"then this".to_vec()]);
    assert!(ends[0].heard == [message(2, LENGTH)]);
    // One clock for both.
    let offset = ends[0].conversation.offset().unwrap();
    assert!(offset.offset.unsigned_abs() <= offset.uncertainty, "{offset:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_restart_of_the_server_in_the_middle_loses_nothing() {
    let Some(mut server) = Server::start(USERS) else { return };
    let mut ends = pair(&server).await;
    let said: Vec<_> = (0..12).map(|number| message(number, 200_000)).collect();
    for message in &said {
        ends[0].conversation.say(message).unwrap();
    }
    lead(&mut ends, |ends| ends[1].heard.len() >= 2).await;
    server.kill();
    // What is said while nobody carries it.
    ends[1].conversation.say(b"still here").unwrap();
    lead(&mut ends, |ends| ends.iter().all(|end| end.nats.health().disconnects == 1 && end.nats.health().dropped > 0))
        .await;
    assert!(!ends[0].nats.health().is_connected);
    server.again();
    lead(&mut ends, |ends| ends.iter().all(|end| !end.conversation.has_unheard())).await;
    assert!(ends[1].heard == said);
    assert_eq!(ends[0].heard, [b"still here"]);
    assert!(ends[0].nats.health().is_connected);
}

/// Why that fails; the password is in none of it.
async fn problem(options: &NatsOptions) -> BusError {
    let error = Nats::connect(options).await.err().expect("an error");
    for shown in [format!("{error}"), format!("{error:?}"), format!("{options:?}")] {
        assert!(!shown.contains("hunter") && !shown.contains("s3cret"), "{shown}");
    }
    error
}

#[tokio::test(flavor = "current_thread")]
async fn who_isnt_known_is_told_so() {
    let Some(server) = Server::start(USERS) else { return };
    let url = format!("nats://127.0.0.1:{}", server.port);
    let plain = NatsOptions { url: url.clone(), ..Default::default() };
    let who = |error| match error {
        BusError::Credentials { url: at, who, .. } if at == url => who,
        error => panic!("{error:?}"),
    };
    assert_eq!(who(problem(&server.options("anna:hunter7")).await), "this user and password");
    assert_eq!(who(problem(&plain).await), "anybody without credentials");
    assert_eq!(who(problem(&NatsOptions { token: Some("s3cret".into()), ..plain.clone() }).await), "this token");
    // By flags as well as in the URL.
    let flags = NatsOptions { user: Some("anna".into()), password: Some("hunter2".into()), ..plain.clone() };
    assert!(Nats::connect(&flags).await.is_ok());
    let both = NatsOptions { token: Some("s3cret".into()), ..flags };
    assert!(problem(&both).await.to_string().contains("more than one"));
    let alone = NatsOptions { password: Some("hunter2".into()), ..plain.clone() };
    assert!(problem(&alone).await.to_string().contains("without a user"));
    let file = server.folder.path().join("none.creds");
    let creds = NatsOptions { credentials: Some(file.clone()), ..plain };
    assert!(problem(&creds).await.to_string().contains("none.creds: No such file"));
    std::fs::write(&file, "s3cret").unwrap();
    assert!(problem(&creds).await.to_string().contains("cannot parse"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_token_stands_alone_before_the_host() {
    let Some(server) = Server::start("authorization { token: s3cret }") else { return };
    assert!(Nats::connect(&server.options("s3cret")).await.is_ok());
    assert!(matches!(problem(&server.options("s3cretive")).await, BusError::Credentials { who: "this token", .. }));
}

#[tokio::test(flavor = "current_thread")]
async fn where_no_nats_server_is_nothing_answers() {
    let at = |port: u16| NatsOptions { url: format!("nats://u:hunter2@127.0.0.1:{port}"), ..Default::default() };
    let [free, ..] = free_ports();
    let refused = problem(&at(free)).await.to_string();
    assert!(refused.contains(&format!("nats://127.0.0.1:{free}: Connection refused")), "{refused}");
    // Something else listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || drop(listener.accept()));
    assert!(matches!(problem(&at(port)).await, BusError::Unreachable { .. }));
    let unknown = NatsOptions { url: "nats://no.such.host.invalid".into(), ..Default::default() };
    assert!(problem(&unknown).await.to_string().contains("its name isn't known"));
}

/// A certificate for 127.0.0.1 in a folder.
fn certificate(folder: &Path, name: &str) -> PathBuf {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let file = folder.join(format!("{name}.pem"));
    std::fs::write(&file, made.cert.pem()).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    file
}

#[tokio::test(flavor = "current_thread")]
async fn tls_is_spoken_with_whom_the_authority_vouches_for() {
    let folder = tempfile::tempdir().unwrap();
    let ca = certificate(folder.path(), "ours");
    let other = certificate(folder.path(), "other");
    let path = folder.path().to_str().unwrap();
    let tls = format!("{USERS}\ntls {{ cert_file: \"{path}/ours.pem\", key_file: \"{path}/ours.key\" }}");
    let Some(server) = Server::start(&tls) else { return };
    let trusting = NatsOptions { ca: Some(ca.clone()), ..server.options("anna:hunter2") };
    assert!(Nats::connect(&trusting).await.is_ok());
    let wrong = NatsOptions { ca: Some(other), ..trusting.clone() };
    assert!(matches!(problem(&wrong).await, BusError::Tls { why, .. } if why.contains("certificate")));
    let none = NatsOptions { ca: Some(folder.path().join("ours.key")), ..trusting };
    assert!(problem(&none).await.to_string().contains("ours.key: no certificate in PEM"));
    // One that speaks no TLS can't be spoken to with it.
    let Some(plain) = Server::start(USERS) else { return };
    let url = format!("tls://anna:hunter2@127.0.0.1:{}", plain.port);
    assert!(matches!(problem(&NatsOptions { url, ca: Some(ca), ..Default::default() }).await, BusError::Tls { .. }));
}

#[tokio::test(flavor = "current_thread")]
async fn what_a_user_may_not_do_is_named() {
    let Some(server) = Server::start(USERS) else { return };
    let bert = server.connect("bert:hunter3").await;
    let mut open = bert.subscribe("w.open").await.unwrap();
    // The server objects when it hears of it, so the first goes out in good faith.
    bert.publish("w.closed", b"x".to_vec()).await.unwrap();
    bert.publish("w.open", b"y".to_vec()).await.unwrap();
    assert_eq!(&open.next().await.unwrap().bytes[..], b"y");
    let denied = bert.publish("w.closed", b"x".to_vec()).await.unwrap_err();
    assert_eq!(denied, BusError::Denied { doing: "publish to", subject: "w.closed".into() });
    bert.publish("w.open", b"z".to_vec()).await.unwrap();
    assert_eq!(&open.next().await.unwrap().bytes[..], b"z");
    // An inbox that will never have anything ends.
    let mut closed = bert.subscribe("w.closed.*").await.unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(60), closed.next()).await, Ok(None));
    assert!(bert.health().complaint.unwrap().contains("w.closed.*"));
    assert!(matches!(bert.publish("a b", vec![]).await, Err(BusError::Subject(_))));
    let long = bert.publish("w.open", vec![0; (1 << 20) + 1]).await;
    assert_eq!(long, Err(BusError::TooLong { length: (1 << 20) + 1, limit: 1 << 20 }));
}

#[tokio::test(flavor = "current_thread")]
async fn who_takes_too_slowly_is_counted() {
    let Some(server) = Server::start(USERS) else { return };
    let [one, other] = [server.connect("anna:hunter2").await, server.connect("anna:hunter2").await];
    let mut inbox = one.subscribe("w.flood").await.unwrap();
    for _ in 0..12_000 {
        other.ask("w.flood", "w.back", b"x".to_vec()).await.unwrap();
    }
    let counting = async {
        while one.health().slow == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), counting).await.unwrap();
    // What was kept is still there.
    assert_eq!(inbox.next().await.unwrap().reply.as_deref(), Some("w.back"));
}
