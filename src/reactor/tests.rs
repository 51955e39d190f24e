use super::*;
use crate::clock::MILLI;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// Runs `test` where a reactor can.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(std::time::Duration::from_secs(20), test).await.expect("it hangs");
    });
}

/// Our end of a connection, and its peer's.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours, listener.accept().unwrap().0)
}

/// Reads what comes, at most once a turn.
struct Reader {
    stream: Stream,
    seen: RefCell<Vec<u8>>,
    ended: Cell<bool>,
    woken: RefCell<Vec<Nanos>>,
    told: Notify,
}

impl Reader {
    fn new(stream: TcpStream, early: &[u8]) -> Rc<Reader> {
        let stream = Stream::new(Io::Plain(stream), early.to_vec());
        let (seen, woken) = (RefCell::default(), RefCell::default());
        Rc::new(Reader { stream, seen, ended: Cell::new(false), woken, told: Notify::new() })
    }

    async fn until(&self, is_enough: impl Fn(&Reader) -> bool) {
        while !is_enough(self) {
            self.told.notified().await;
        }
    }
}

impl Handler for Reader {
    fn on_ready(&self, ready: Ready, buffer: &mut [u8]) -> Turn {
        if ready.write {
            self.stream.flush().unwrap();
        }
        let turn = match self.stream.read(&mut buffer[..1000]).unwrap() {
            Received::Bytes { n, .. } => {
                self.seen.borrow_mut().extend_from_slice(&buffer[..n]);
                Turn::Again
            }
            Received::Empty => Turn::Done,
            Received::End => {
                self.ended.set(true);
                Turn::Done
            }
        };
        self.told.notify_one();
        turn
    }

    fn on_time(&self, now: Nanos) {
        self.woken.borrow_mut().push(now);
        self.told.notify_one();
    }
}

#[test]
fn everything_is_read_by_turns_to_the_end_with_what_came_early_first() {
    run(async {
        let reactor = Reactor::start().unwrap();
        let mut peers = Vec::new();
        let mut readers = Vec::new();
        for n in 0..5u8 {
            let (ours, mut peer) = pair();
            let reader = Reader::new(ours, b"early");
            let token = reactor.add(reader.stream.socket(), reader.clone()).unwrap();
            reactor.again(token);
            peer.write_all(&[n; 12_345]).unwrap();
            peers.push(peer);
            readers.push(reader);
        }
        drop(peers);
        for (n, reader) in readers.iter().enumerate() {
            reader.until(|reader| reader.ended.get()).await;
            let expected = [b"early".to_vec(), vec![n as u8; 12_345]].concat();
            assert_eq!(*reader.seen.borrow(), expected);
            assert_eq!(reader.stream.counts(), (0, expected.len() as u64));
        }
    });
}

#[test]
fn what_the_socket_does_not_take_waits_and_closing_waits_for_it() {
    run(async {
        let reactor = Reactor::start().unwrap();
        let (ours, mut peer) = pair();
        let reader = Reader::new(ours, b"");
        reactor.add(reader.stream.socket(), reader.clone()).unwrap();
        let block = vec![7; 1 << 20];
        let mut written = 0;
        while reader.stream.waiting() == 0 {
            reader.stream.write(&block).unwrap();
            written += block.len();
        }
        reader.stream.write(b"end").unwrap();
        reader.stream.close().unwrap();
        let got = tokio::task::spawn_blocking(move || {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).map(|_| got)
        });
        let got = got.await.unwrap().unwrap();
        assert!(got.len() == written + 3 && got.ends_with(b"\x07end"));
        assert_eq!((reader.stream.waiting(), reader.stream.counts().0), (0, got.len() as u64));
        reader.until(|reader| reader.ended.get()).await;
    });
}

#[test]
fn who_is_gone_is_called_no_more_and_its_name_is_nobody_elses() {
    run(async {
        let reactor = Reactor::start().unwrap();
        let (first, _first) = pair();
        let first = Reader::new(first, b"");
        let gone = reactor.add(first.stream.socket(), first.clone()).unwrap();
        reactor.wake_at(now(), gone);
        reactor.remove(gone);
        assert_eq!(Rc::strong_count(&first), 1, "the reactor let it go");
        let (second, mut peer) = pair();
        let second = Reader::new(second, b"");
        let token = reactor.add(second.stream.socket(), second.clone()).unwrap();
        assert_eq!((token.index, token == gone), (gone.index, false));
        let late = now() + 3 * MILLI;
        reactor.wake_at(late, token);
        reactor.wake_at(now() + MILLI, token);
        reactor.remove(gone);
        peer.write_all(b"x").unwrap();
        second.until(|reader| reader.woken.borrow().len() == 2 && !reader.seen.borrow().is_empty()).await;
        assert!(second.woken.borrow()[1] >= late && first.woken.borrow().is_empty());
        assert!(first.seen.borrow().is_empty());
    });
}
