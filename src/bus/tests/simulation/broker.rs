//! A bus over the simulated network's datagrams: a broker that knows who listens to what, and the line of one process to it.

use super::clock::Skewed;
use crate::bus::{BusError, Carrier, Inbox, Received};
use crate::clock::Nanos;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use turmoil::net::UdpSocket;

const PORT: u16 = 4222;

/// The longest message; small, so that most of what is said is cut.
const LIMIT: usize = 1024;

/// So often a line tells the broker what it listens to, as one that had lost its connection would.
const AGAIN: Duration = Duration::from_millis(200);

/// Who listens to what; gone when it crashes.
#[derive(Debug, Default)]
pub struct Broker {
    listeners: BTreeMap<String, Vec<SocketAddr>>,
}

impl Broker {
    pub async fn serve(mut self) -> turmoil::Result {
        let socket = UdpSocket::bind(("0.0.0.0", PORT)).await?;
        let mut datagram = vec![0; 65536];
        loop {
            let (length, from) = socket.recv_from(&mut datagram).await?;
            let Some((kind, rest)) = datagram[..length].split_first() else { continue };
            match kind {
                b'S' => {
                    let listeners = self.listeners.entry(String::from_utf8(rest.to_vec())?).or_default();
                    if !listeners.contains(&from) {
                        listeners.push(from);
                    }
                }
                _ => {
                    let Some(subject) = rest.split(|byte| *byte == b'\n').next() else { continue };
                    let subject = std::str::from_utf8(subject)?;
                    for listener in
                        self.listeners.iter().filter(|(pattern, _)| fits(pattern, subject)).flat_map(|l| l.1)
                    {
                        socket.send_to(&datagram[..length], listener).await?;
                    }
                }
            }
        }
    }
}

fn fits(pattern: &str, subject: &str) -> bool {
    let (pattern, subject): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), subject.split('.').collect());
    pattern.len() == subject.len() && pattern.iter().zip(subject).all(|(p, s)| *p == "*" || *p == s)
}

/// One process's line to the broker, with one subscription.
pub struct Line {
    socket: Rc<UdpSocket>,
    clock: Skewed,
}

impl Line {
    pub async fn new(clock: Skewed) -> std::io::Result<Line> {
        Ok(Line { socket: Rc::new(UdpSocket::bind(("0.0.0.0", 9000)).await?), clock })
    }

    pub async fn sleep_until(&self, due: Nanos) {
        sleep(self.clock.until(due).min(Duration::from_secs(3600))).await;
    }

    async fn send(&self, subject: &str, reply: &str, bytes: &[u8]) -> Result<(), BusError> {
        assert!(bytes.len() <= LIMIT);
        let mut datagram = format!("P{subject}\n{reply}\n").into_bytes();
        datagram.extend(bytes);
        // While it is away its name is still known.
        let _ = self.socket.send_to(&datagram, ("broker", PORT)).await;
        Ok(())
    }
}

impl Carrier for Line {
    type Inbox = LineInbox;

    async fn publish(&self, subject: &str, bytes: Vec<u8>) -> Result<(), BusError> {
        self.send(subject, "", &bytes).await
    }

    async fn ask(&self, subject: &str, reply: &str, bytes: Vec<u8>) -> Result<(), BusError> {
        self.send(subject, reply, &bytes).await
    }

    async fn subscribe(&self, subject: &str) -> Result<LineInbox, BusError> {
        let asking = format!("S{subject}").into_bytes();
        #[allow(clippy::disallowed_methods)]
        let again = Instant::now();
        Ok(LineInbox { socket: self.socket.clone(), asking, again, datagram: vec![0; 65536] })
    }

    fn limit(&self) -> usize {
        LIMIT
    }

    fn now(&self) -> Nanos {
        self.clock.now()
    }
}

pub struct LineInbox {
    socket: Rc<UdpSocket>,
    asking: Vec<u8>,
    /// When the broker is told again.
    again: Instant,
    datagram: Vec<u8>,
}

impl Inbox for LineInbox {
    async fn next(&mut self) -> Option<Received> {
        let datagram = &mut self.datagram;
        loop {
            tokio::select! {
                biased;
                () = sleep_until(self.again) => {
                    self.again += AGAIN;
                    let _ = self.socket.send_to(&self.asking, ("broker", PORT)).await;
                }
                received = self.socket.recv_from(datagram) => {
                    let (length, _) = received.ok()?;
                    let mut parts = datagram[1..length].splitn(3, |byte| *byte == b'\n');
                    let mut word = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
                    let (subject, reply) = (word(), word());
                    let bytes = Bytes::copy_from_slice(parts.next()?);
                    return Some(Received { subject, bytes, reply: Some(reply).filter(|reply| !reply.is_empty()) });
                }
            }
        }
    }
}
