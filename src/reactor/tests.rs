use super::*;
use crate::clock::MILLI;
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

/// Counts how many of it there are.
struct Guest(Rc<Cell<i32>>);

impl Guest {
    fn new(guests: &Rc<Cell<i32>>) -> Guest {
        guests.set(guests.get() + 1);
        Guest(guests.clone())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn nonblocking() -> socket2::Socket {
    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM.nonblocking(), None).unwrap()
}

#[test]
fn work_connects_asks_and_hands_over_what_came_too_early() {
    run(async {
        let reactor = Reactor::start().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (reader, told) = (Rc::new(RefCell::new(None)), Rc::new(Notify::new()));
        let (at_seat, tell) = (reader.clone(), told.clone());
        reactor.carry_out(async move |seat| {
            let mut socket = Socket::connect(&seat, nonblocking(), &to.into()).await.unwrap();
            assert!(!socket.is_ipv6());
            socket.write_all(b"question").await.unwrap();
            let mut answer = [0; 6];
            socket.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"answer");
            let reader = Reader::new(socket.into_std(), b"");
            at_seat.replace(Some(reader.clone()));
            seat.hand_over(reader, false);
            tell.notify_one();
        });
        let (mut peer, _) = listener.accept().await.unwrap();
        let mut question = [0; 8];
        peer.read_exact(&mut question).await.unwrap();
        assert_eq!(&question, b"question");
        // The answer, what follows it, and the end are there before anything of it is read.
        peer.write_all(b"answer and more").await.unwrap();
        drop(peer);
        told.notified().await;
        let reader = reader.take().unwrap();
        reader.until(|reader| reader.ended.get()).await;
        assert_eq!(*reader.seen.borrow(), b" and more");
    });
}

#[test]
fn work_ends_at_its_time_and_leaves_no_timer_behind() {
    run(async {
        let reactor = Reactor::start().unwrap();
        let late = Rc::new(Cell::new(0));
        let (told, tell) = (Rc::new(Notify::new()), late.clone());
        let at = now() + 2 * MILLI;
        let done = told.clone();
        reactor.carry_out(async move |seat| {
            assert_eq!(seat.until(now() + 60 * crate::clock::SECOND, seat.turn()).await, Some(()));
            assert_eq!(seat.until(at, std::future::pending::<()>()).await, None);
            tell.set(now());
            done.notify_one();
        });
        assert_eq!(late.get(), 0, "it waits without a task");
        told.notified().await;
        assert!(late.get() >= at);
        assert!(reactor.timers.borrow_mut().set_alarm().is_none(), "the minute was forgotten");
    });
}

#[test]
fn nobody_listening_is_an_error_and_clearing_drops_what_is_under_way() {
    run(async {
        let reactor = Reactor::start().unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (refused, told) = (Rc::new(Cell::new(None)), Rc::new(Notify::new()));
        let (tell, done) = (refused.clone(), told.clone());
        reactor.carry_out(async move |seat| {
            tell.set(Socket::connect(&seat, nonblocking(), &gone.into()).await.err().map(|error| error.kind()));
            done.notify_one();
        });
        told.notified().await;
        assert_eq!(refused.get(), Some(io::ErrorKind::ConnectionRefused));
        let guests = Rc::new(Cell::new(0));
        let guest = Guest::new(&guests);
        let weak = Rc::downgrade(&reactor);
        reactor.carry_out(async move |seat| {
            let _guest = guest;
            seat.until(Nanos::MAX, std::future::pending::<()>()).await;
        });
        assert_eq!(guests.get(), 1);
        reactor.clear();
        assert_eq!(guests.get(), 0);
        drop(reactor);
        assert!(weak.upgrade().is_none(), "nothing holds on to the reactor");
    });
}
