//! A server under test that a command starts: until it listens, and until nothing of it is left.

use super::child;
use super::coordinator::Halt;
use super::host;
use super::keeper::LETTING_GO;
use super::sockets;
use crate::catalog::TargetUrl;
use crate::units::Span;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How often a server is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Longest that one asking may take.
const ANSWER: Duration = Duration::from_secs(2);
/// So many of the command's last lines are repeated, of so many bytes at most.
const LAST_LINES: usize = 8;
const LAST_BYTES: u64 = 4096;

/// A command, and how to tell that its server is ready.
#[derive(Debug, Clone)]
pub struct ServerCommand {
    /// For `sh -c`, its ports filled in.
    pub command: String,
    /// The same as it may be shown: secrets redacted.
    pub name: String,
    /// In its environment as `PORT`.
    pub port: u16,
    pub ready: Ready,
    /// How long it may take to be ready.
    pub within: Span,
    /// Where its output goes.
    pub log: PathBuf,
}

/// When a server is ready.
#[derive(Debug, Clone)]
pub enum Ready {
    /// Something listens where connections will lead to, by host and port, on these Unix sockets, and for datagrams on these
    /// ports.
    Listens { tcp: Vec<(String, u16)>, unix: Vec<String>, udp: Vec<u16> },
    /// A GET answers 2xx.
    Answers(TargetUrl),
}

/// A command whose server can't be measured.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("`{command}` could not be started: {source}")]
    Start { command: String, source: io::Error },
    #[error("`{command}` ended ({how}){said}")]
    Ended { command: String, how: String, said: String },
    #[error("`{command}` was not ready within {within}: {lacks}{said}")]
    NotReady { command: String, within: Span, lacks: String, said: String },
}

/// One that runs. Dropped, it is stopped as well, but nobody waits for that.
pub(super) struct Server {
    order: ServerCommand,
    keeper: Child,
    /// Closed to stop it.
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    /// Where in the log its own output begins.
    log_from: u64,
    /// The command's process group, once it is known.
    group: Option<Pid>,
}

impl Server {
    /// Starts it and waits until it is ready; `None` if `halt` came first.
    pub(super) async fn start(
        program: &Path,
        order: &ServerCommand,
        halt: &mut Halt,
    ) -> Result<Option<Server>, ServerError> {
        let failed = |source| ServerError::Start { command: order.name.clone(), source };
        let mut server = Server::spawn(program, order).map_err(failed)?;
        let deadline = tokio::time::sleep(order.within.0);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                biased;
                () = halt.wait() => {
                    server.stop().await;
                    return Ok(None);
                }
                said = server.end() => match (server.group, said.parse()) {
                    (None, Ok(group)) => server.group = Some(Pid::from_raw(group)),
                    _ => return Err(server.ended(said).await),
                },
                () = &mut deadline => {
                    let (command, within) = (order.name.clone(), order.within);
                    let said = server.said();
                    server.stop().await;
                    return Err(ServerError::NotReady { command, within, lacks: order.ready.lacks(), said });
                }
                is_ready = order.ready.is_met(), if server.group.is_some() => {
                    if is_ready {
                        return Ok(Some(server));
                    }
                }
            }
        }
    }

    fn spawn(program: &Path, order: &ServerCommand) -> io::Result<Server> {
        let mut log = OpenOptions::new().create(true).append(true).open(&order.log)?;
        let log_from = log.seek(SeekFrom::End(0))?;
        let mut keeper = Command::new(program);
        child::hide_settings(keeper.as_std_mut());
        let mut keeper = keeper
            .arg("keeper")
            .args(host::open_files_limit_at_first().map(|files| format!("--files={files}")))
            .args(["--", &order.command])
            .env("PORT", order.port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let missing = || io::Error::other("no pipe");
        Ok(Server {
            order: order.clone(),
            input: Some(keeper.stdin.take().ok_or_else(missing)?),
            output: BufReader::new(keeper.stdout.take().ok_or_else(missing)?).lines(),
            keeper,
            log_from,
            group: None,
        })
    }

    /// The process below which all of it stands.
    pub(super) fn keeper(&self) -> Option<u32> {
        self.keeper.id()
    }

    /// Whether the command has ended by itself, which says that it has.
    pub(super) async fn check(&mut self) -> Result<(), ServerError> {
        match tokio::time::timeout(Duration::ZERO, self.end()).await {
            Ok(how) => Err(self.ended(how).await),
            Err(_) => Ok(()),
        }
    }

    /// Until the command ends by itself, and how; before that, its group. Safe to cancel.
    async fn end(&mut self) -> String {
        match self.output.next_line().await {
            Ok(Some(how)) => how,
            _ => "its keeper is gone".to_owned(),
        }
    }

    async fn ended(&mut self, how: String) -> ServerError {
        self.bury().await;
        ServerError::Ended { command: self.order.name.clone(), how, said: self.said() }
    }

    /// Lets go of it, and waits until nothing of it is left.
    pub(super) async fn stop(mut self) {
        self.input.take();
        self.bury().await;
    }

    /// Waits until the keeper is gone; what it could not end any more, as it was killed itself, is killed here.
    async fn bury(&mut self) {
        let gone = tokio::time::timeout(LETTING_GO, self.keeper.wait()).await;
        let has_ended_all = matches!(gone, Ok(Ok(status)) if status.success());
        if let Some(group) = self.group.filter(|_| !has_ended_all) {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    /// The last that it said, indented, or that it said nothing.
    fn said(&self) -> String {
        let lines = self.last_lines().unwrap_or_default();
        match lines.as_slice() {
            [] => "; it said nothing".to_owned(),
            lines => format!("; its last words:\n  {}", lines.join("\n  ")),
        }
    }

    fn last_lines(&self) -> io::Result<Vec<String>> {
        let mut log = std::fs::File::open(&self.order.log)?;
        let end = log.seek(SeekFrom::End(0))?;
        log.seek(SeekFrom::Start(end.saturating_sub(LAST_BYTES).max(self.log_from)))?;
        let mut bytes = Vec::new();
        log.take(LAST_BYTES).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<String> = text.lines().map(printable).filter(|line| !line.is_empty()).collect();
        Ok(lines[lines.len().saturating_sub(LAST_LINES)..].to_vec())
    }
}

/// A terminal obeys what stands in a line: nothing that controls it is repeated.
fn printable(line: &str) -> String {
    line.trim_end().chars().filter(|c| !c.is_control()).collect()
}

impl Ready {
    /// Whether it is ready; a no takes a while, so that it can be asked again at once.
    async fn is_met(&self) -> bool {
        let is_met = match self {
            Ready::Listens { tcp, unix, udp } => {
                let mut listens = udp.iter().all(|port| sockets::is_bound(*port));
                for file in unix {
                    let connected = tokio::time::timeout(ANSWER, UnixStream::connect(file));
                    listens = listens && matches!(connected.await, Ok(Ok(_)));
                }
                for (host, port) in tcp {
                    let connected = tokio::time::timeout(ANSWER, TcpStream::connect((host.as_str(), *port)));
                    listens = listens && matches!(connected.await, Ok(Ok(_)));
                }
                listens
            }
            Ready::Answers(url) => matches!(tokio::time::timeout(ANSWER, answer(url)).await, Ok(Ok(200..=299))),
        };
        if !is_met {
            tokio::time::sleep(ASK_EVERY).await;
        }
        is_met
    }

    /// What was waited for in vain.
    fn lacks(&self) -> String {
        match self {
            Ready::Listens { tcp, unix, udp } => {
                let tcp = tcp.iter().map(|(host, port)| format!("{host} port {port}")).chain(unix.iter().cloned());
                let udp = udp.iter().map(|port| format!("UDP port {port}"));
                format!(
                    "nothing listens on {}; the command finds its port in `{{port}}` or $PORT",
                    tcp.chain(udp).collect::<Vec<_>>().join(", ")
                )
            }
            Ready::Answers(url) => format!("{url} does not answer 2xx"),
        }
    }
}

/// The status that a GET answers.
async fn answer(url: &TargetUrl) -> io::Result<u16> {
    let mut stream = TcpStream::connect((url.host.as_str(), url.port)).await?;
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", url.path, url.authority());
    stream.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream.take(LAST_BYTES)).read_line(&mut line).await?;
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.trim().parse().ok());
    status.ok_or_else(|| io::Error::other("no answer of HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_of_2xx_is_ready_and_nothing_else_is() {
        for (status, is_ready) in
            [("200 OK", true), ("204 No Content", true), ("503 Not Yet", false), ("301 Gone", false)]
        {
            let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/health?a=b", server.local_addr().unwrap()).parse().unwrap();
            let answering = async {
                let (stream, _) = server.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                assert_eq!(line, "GET /health?a=b HTTP/1.1\r\n");
                stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.unwrap();
                // Until it was read.
                let _ = stream.read_to_string(&mut line).await;
            };
            let ready = Ready::Answers(url);
            let (is_met, ()) = tokio::join!(ready.is_met(), answering);
            assert_eq!(is_met, is_ready, "{status}");
        }
    }

    #[tokio::test]
    async fn a_port_is_ready_once_it_is_listened_on() {
        for host in ["127.0.0.1", "::1"] {
            // Not every machine has the other.
            let Ok(tcp) = std::net::TcpListener::bind((host, 0)) else { continue };
            let port = tcp.local_addr().unwrap().port();
            let ready = Ready::Listens { tcp: vec![(host.to_owned(), port)], unix: Vec::new(), udp: Vec::new() };
            assert!(ready.is_met().await, "{host}");
            drop(tcp);
            assert!(!ready.is_met().await, "{host}");
        }
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        let ready = Ready::Listens { tcp: Vec::new(), unix: Vec::new(), udp: vec![port] };
        assert!(ready.is_met().await);
        drop(udp);
        // While nothing listens it is asked again and again, and the server can have its port all the time.
        for _ in 0..200 {
            let asked = std::thread::spawn(move || sockets::is_bound(port));
            drop(std::net::UdpSocket::bind(("127.0.0.1", port)).expect("nobody else takes it"));
            asked.join().unwrap();
        }
        assert!(!ready.is_met().await);
    }
}
