//! A packet socket on the loopback interface, read by a thread of its own.
//!
//! Every packet passes the loopback interface twice, on its way out and on its way in; only the way in is captured.

use super::packet::{Packet, parse};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Receive buffer to ask for, bytes; without the right to that much the system gives what it gives.
const BUFFER: usize = 64 << 20;
/// Packets kept at most; what comes beyond counts as dropped.
const MOST: usize = 1 << 19;
/// How long the socket must be silent to count as empty.
const SILENCE: Duration = Duration::from_millis(20);
/// How long the reading thread may take to hand over.
const PATIENCE: Duration = Duration::from_secs(10);

/// A capture that goes on until it is dropped.
pub(super) struct Capture {
    orders: Sender<()>,
    batches: Receiver<Batch>,
}

/// What came since the last one.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// In the order in which they passed.
    pub packets: Vec<Packet>,
    /// Packets that the system, or we, had no room for.
    pub dropped: u64,
}

impl Capture {
    /// Captures what passes the loopback interface of this thread's network namespace from now on.
    pub fn start() -> io::Result<Capture> {
        let socket = open()?;
        let (orders, ordered) = channel();
        let (hand_over, batches) = channel();
        std::thread::Builder::new().name("capture".to_owned()).spawn(move || read(socket, &ordered, &hand_over))?;
        Ok(Capture { orders, batches })
    }

    /// Everything since the last call, once nothing more comes.
    pub fn take(&self) -> io::Result<Batch> {
        let gone = |_| io::Error::other("the capture has broken off");
        self.orders.send(()).map_err(|_| io::Error::other("the capture has broken off"))?;
        self.batches.recv_timeout(PATIENCE).map_err(gone)
    }
}

fn open() -> io::Result<Socket> {
    let all = (libc::ETH_P_ALL as u16).to_be();
    let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(i32::from(all))))?;
    let one: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the value is an int of the size given.
    let result = unsafe {
        let value = std::ptr::from_ref(&one).cast();
        let size = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, value, size)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = BUFFER as libc::c_int;
    // SAFETY: as above. Refused without the right to it; then the usual limit holds.
    let forced = unsafe {
        let value = std::ptr::from_ref(&wanted).cast();
        let size = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, value, size)
    };
    if forced != 0 {
        socket.set_recv_buffer_size(BUFFER)?;
    }
    socket.set_read_timeout(Some(SILENCE))?;
    Ok(socket)
}

fn read(mut socket: Socket, ordered: &Receiver<()>, hand_over: &Sender<Batch>) {
    let mut buffer = vec![0; 128 << 10];
    let mut batch = Batch::default();
    loop {
        match socket.read(&mut buffer) {
            Ok(size) => match parse(&buffer[..size]) {
                Some(packet) if batch.packets.len() < MOST => batch.packets.push(packet),
                Some(_) => batch.dropped += 1,
                // Neither TCP nor UDP.
                None => {}
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => match ordered.try_recv() {
                Ok(()) => {
                    batch.dropped += dropped(&socket);
                    if hand_over.send(std::mem::take(&mut batch)).is_err() {
                        return;
                    }
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => {}
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
            },
            // Whoever asks next hears that nobody answers.
            Err(_) => return,
        }
    }
}

/// Packets that found the socket's buffer full since the last call. One that can't be asked counts as one that lost.
fn dropped(socket: &Socket) -> u64 {
    // SAFETY: `tpacket_stats` is plain numbers, for which zero is a value.
    let mut stats: libc::tpacket_stats = unsafe { std::mem::zeroed() };
    let mut size = size_of::<libc::tpacket_stats>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and `size` is the size of what `stats` points to.
    let result = unsafe {
        let into = std::ptr::from_mut(&mut stats).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS, into, &mut size)
    };
    if result == 0 { stats.tp_drops.into() } else { 1 }
}
