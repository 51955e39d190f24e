//! What a server under test is in these tests: it echoes, and says how far the load is. And a path to the bus that can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

/// How often is looked for what is waited for, 20 ms apart: a minute.
const LOOKS: u32 = 3000;

/// Waits until `is_so`; gives up after a minute.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("in vain: {what}");
}

/// A TCP server that sends everything back.
pub struct Echo {
    pub port: u16,
    connections: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl Echo {
    pub fn start() -> Echo {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, bytes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let echo = Echo { port, connections: connections.clone(), bytes: bytes.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, bytes) = (stream.unwrap(), bytes.clone());
                stream.set_nodelay(true).unwrap();
                connections.fetch_add(1, SeqCst);
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(n @ 1..) = stream.read(&mut buffer) {
                        bytes.fetch_add(n as u64, SeqCst);
                        if stream.write_all(&buffer[..n]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        echo
    }

    /// That were ever opened.
    pub fn connections(&self) -> u64 {
        self.connections.load(SeqCst)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(SeqCst)
    }

    /// Waits until so many more bytes came than there were: the load is well under way.
    #[track_caller]
    pub fn wait_for_bytes(&self, more: u64) {
        let before = self.bytes();
        wait_until("a load that is under way", || self.bytes() >= before + more);
    }
}

/// Carries connections on to another port, unless it is held up or cut.
pub struct Path {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Nothing moves, in either direction, and nobody is told.
    is_held: AtomicBool,
    /// Everyone is cut off, and nobody let in.
    is_cut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Path {
    pub fn to(port: u16) -> Path {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let path = Path { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let state = path.state.clone();
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.unwrap();
                let Some(far) =
                    (!state.is_cut.load(SeqCst)).then(|| TcpStream::connect(("127.0.0.1", port)).ok()).flatten()
                else {
                    continue;
                };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to, state) = (from.try_clone().unwrap(), to.try_clone().unwrap(), state.clone());
                    to.set_nodelay(true).unwrap();
                    std::thread::spawn(move || carry(from, to, &state));
                }
                state.open.lock().unwrap().extend([near, far]);
            }
        });
        path
    }

    pub fn hold(&self, is_held: bool) {
        self.state.is_held.store(is_held, SeqCst);
    }

    pub fn cut(&self, is_cut: bool) {
        self.state.is_cut.store(is_cut, SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut buffer = [0; 65536];
    loop {
        let read = from.read(&mut buffer);
        while state.is_held.load(SeqCst) {
            sleep(Duration::from_millis(5));
        }
        match read {
            Ok(n @ 1..) if to.write_all(&buffer[..n]).is_ok() => {}
            _ => {
                let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                return;
            }
        }
    }
}
