//! What the kernel counted on one TCP connection: the source of every figure "on the wire".
//!
//! Bytes on the wire = payload bytes of TCP (`bytes_sent`, retransmissions included; `bytes_received`) + segments
//! (`segs_out`, `segs_in`: pure ACKs, SYN and FIN included) × the header of each. A header is 20 bytes of IPv4 or 40 of
//! IPv6, 20 of TCP, and 12 more where timestamps were negotiated; a SYN has options besides (8 bytes, as a rule). Not seen:
//! segments after the socket was closed, and Ethernet.

use std::ops::{AddAssign, Sub};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Bytes from the IP header up, each direction, as seen by this end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct WireBytes {
    pub sent: u64,
    pub received: u64,
}

impl Sub for WireBytes {
    type Output = WireBytes;
    fn sub(self, other: WireBytes) -> WireBytes {
        WireBytes { sent: self.sent.saturating_sub(other.sent), received: self.received.saturating_sub(other.received) }
    }
}

impl AddAssign for WireBytes {
    fn add_assign(&mut self, other: WireBytes) {
        self.sent += other.sent;
        self.received += other.received;
    }
}

/// One reading of a connection's counters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TcpCounts {
    pub wire: WireBytes,
    /// Payload that TCP took from us, every byte once.
    pub sent: u64,
    /// The same received, with one more for the peer's FIN.
    with_fin: u64,
    /// Headers of IP and TCP, bytes.
    header: u64,
    /// Largest segment that the peer may send, bytes.
    mss: u64,
    /// Segments that carried payload, and those that carried none.
    data_in: u64,
    bare_in: u64,
    bare_out: u64,
    /// The peer has closed: its FIN is here.
    fin: bool,
    /// We have closed as well, and whether the peer has acknowledged it.
    own_fin: bool,
    own_fin_acknowledged: bool,
}

impl TcpCounts {
    /// Payload of TCP received. After a reset it may be one byte short: the system shows that like a FIN.
    pub fn received(&self) -> u64 {
        self.with_fin.saturating_sub(self.fin.into())
    }

    /// What of this reading was the handshake's, which ended after `head` bytes received. The target may have gone on at
    /// once, and even closed, before the end of the handshake was read: then the kernel's counts hold that as well.
    ///
    /// The handshake is given the segments that it needs at least: a segment that its end shares with what follows, and
    /// the acknowledgement of both, are its own.
    pub fn until_joined(&self, head: u64) -> WireBytes {
        let beyond = self.received().saturating_sub(head);
        self.less(beyond, self.data_in.saturating_sub(head.div_ceil(self.mss.max(1))))
    }

    /// The same under TLS, where only the `beyond` bytes that were read already can be told from the handshake's.
    pub fn until_joined_by_tls(&self, beyond: u64) -> WireBytes {
        self.less(beyond, beyond.div_ceil(self.mss.max(1)).min(self.data_in))
    }

    /// The reading less `bytes` in `segments` that came after the handshake, their acknowledgements, and a FIN.
    fn less(&self, bytes: u64, segments: u64) -> WireBytes {
        if bytes == 0 && !self.fin {
            return self.wire;
        }
        let fin = u64::from(self.fin);
        let own_fin = u64::from(self.own_fin);
        // A SYN came first in either direction; we answered the peer's with one more.
        let bare_in = (fin + u64::from(self.own_fin_acknowledged)).min(self.bare_in.saturating_sub(1));
        let bare_out = self.bare_out.saturating_sub(2 + own_fin);
        let acknowledged = bare_out.saturating_sub(self.data_in - segments).min(segments + fin);
        // A FIN is acknowledged at once, so one of them was the FIN's.
        let acknowledged = acknowledged.max(fin.min(bare_out));
        let after = WireBytes {
            sent: (acknowledged + own_fin) * self.header,
            received: bytes + fin + (segments + bare_in) * self.header,
        };
        self.wire - after
    }
}

/// Reads the connection's counters; `None` where the system doesn't tell (not TCP, not Linux, or older than 4.19).
#[cfg(target_os = "linux")]
pub(super) fn read(socket: &impl AsFd, is_ipv6: bool) -> Option<TcpCounts> {
    info(socket.as_fd()).map(|info| counts(&info, is_ipv6))
}

/// The same, and how many of the bytes received nobody has read yet.
#[cfg(target_os = "linux")]
pub(super) fn read_with_unread(socket: &impl AsFd, is_ipv6: bool) -> Option<(TcpCounts, u64)> {
    at_one_moment(socket.as_fd()).map(|(info, unread)| (counts(&info, is_ipv6), unread))
}

#[cfg(target_os = "linux")]
fn counts(info: &libc::tcp_info, is_ipv6: bool) -> TcpCounts {
    use state::{CLOSE, CLOSE_WAIT, CLOSING, LAST_ACK, TIME_WAIT};

    let header = header(is_ipv6, info.tcpi_options & TIMESTAMPS != 0);
    // Either direction began with a SYN.
    let wire = |bytes: u64, segments: u32| bytes + u64::from(segments) * header + syn_options(info.tcpi_options);
    TcpCounts {
        wire: WireBytes {
            sent: wire(info.tcpi_bytes_sent, info.tcpi_segs_out),
            received: wire(info.tcpi_bytes_received, info.tcpi_segs_in),
        },
        sent: info.tcpi_bytes_sent.saturating_sub(info.tcpi_bytes_retrans) + u64::from(info.tcpi_notsent_bytes),
        with_fin: info.tcpi_bytes_received,
        header,
        mss: info.tcpi_advmss.into(),
        data_in: info.tcpi_data_segs_in.into(),
        bare_in: info.tcpi_segs_in.saturating_sub(info.tcpi_data_segs_in).into(),
        bare_out: info.tcpi_segs_out.saturating_sub(info.tcpi_data_segs_out).into(),
        fin: matches!(info.tcpi_state, TIME_WAIT | CLOSE | CLOSE_WAIT | LAST_ACK | CLOSING),
        own_fin: matches!(info.tcpi_state, TIME_WAIT | CLOSE | LAST_ACK | CLOSING),
        own_fin_acknowledged: matches!(info.tcpi_state, TIME_WAIT | CLOSE),
    }
}

/// The counters, and how much waits to be read: what comes between the two readings would make them disagree.
#[cfg(target_os = "linux")]
fn at_one_moment(socket: BorrowedFd) -> Option<(libc::tcp_info, u64)> {
    const ATTEMPTS: usize = 4;
    let mut before = unread(socket)?;
    let mut info = info(socket)?;
    for _ in 0..ATTEMPTS {
        let after = unread(socket)?;
        if after == before {
            break;
        }
        (before, info) = (after, self::info(socket)?);
    }
    Some((info, before))
}

/// Bytes in the receive queue.
#[cfg(target_os = "linux")]
fn unread(socket: BorrowedFd) -> Option<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open while `socket` is borrowed, and FIONREAD writes one int.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, std::ptr::from_mut(&mut bytes)) };
    (result == 0).then(|| u64::try_from(bytes).unwrap_or(0))
}

#[cfg(target_os = "linux")]
fn info(socket: BorrowedFd) -> Option<libc::tcp_info> {
    // SAFETY: `tcp_info` is plain numbers, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::tcp_info>() as libc::socklen_t;
    let mut len = size;
    // SAFETY: the descriptor is open while `socket` is borrowed, and `len` is the size of what `info` points to.
    let result = unsafe {
        let into = std::ptr::from_mut(&mut info).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, into, &mut len)
    };
    let known = std::mem::offset_of!(libc::tcp_info, tcpi_bytes_retrans) + size_of::<u64>();
    if result != 0 || (len as usize) < known {
        return None;
    }
    Some(info)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read(_socket: &impl AsFd, _is_ipv6: bool) -> Option<TcpCounts> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read_with_unread(_socket: &impl AsFd, _is_ipv6: bool) -> Option<(TcpCounts, u64)> {
    None
}

/// `TCPI_OPT_TIMESTAMPS`, `TCPI_OPT_SACK` and `TCPI_OPT_WSCALE` of `linux/tcp.h`.
#[cfg(target_os = "linux")]
const TIMESTAMPS: u8 = 1;
#[cfg(target_os = "linux")]
const SACK: u8 = 2;
#[cfg(target_os = "linux")]
const WINDOW_SCALE: u8 = 4;

/// States of a connection whose peer has closed (`net/tcp_states.h`).
#[cfg(target_os = "linux")]
mod state {
    pub const TIME_WAIT: u8 = 6;
    pub const CLOSE: u8 = 7;
    pub const CLOSE_WAIT: u8 = 8;
    pub const LAST_ACK: u8 = 9;
    pub const CLOSING: u8 = 11;
}

#[cfg(target_os = "linux")]
fn header(is_ipv6: bool, timestamps: bool) -> u64 {
    let ip = if is_ipv6 { 40 } else { 20 };
    ip + 20 + if timestamps { 12 } else { 0 }
}

/// Bytes of options that only a SYN carries: the largest segment, the window's scale, and SACK where it doesn't stand in
/// the padding of the timestamps.
#[cfg(target_os = "linux")]
fn syn_options(negotiated: u8) -> u64 {
    let sack = negotiated & (SACK | TIMESTAMPS) == SACK;
    4 + if negotiated & WINDOW_SCALE != 0 { 4 } else { 0 } + if sack { 4 } else { 0 }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    fn read(stream: &TcpStream) -> Option<TcpCounts> {
        super::read(stream, false)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn bytes_and_headers_add_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let before = read(&client).unwrap();
        client.write_all(&[7; 100]).await.unwrap();
        server.read_exact(&mut [0; 100]).await.unwrap();
        let sent = read(&client).unwrap().wire - before.wire;
        // One segment with its header, and at most one acknowledgement of our own.
        assert!([140, 152, 192, 204].contains(&sent.sent), "{sent:?}");
        let after = read(&client).unwrap();
        assert_eq!((after.sent, after.received()), (before.sent + 100, 0));
        // Every byte once and a FIN for none, on either side.
        assert_eq!(read(&server).unwrap().received(), 100);
        assert_eq!(read_with_unread(&server, false).unwrap().1, 0);
        server.write_all(&[7; 10]).await.unwrap();
        drop(server);
        client.readable().await.unwrap();
        assert_eq!(read_with_unread(&client, false).unwrap().1, 10);
        assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 10);
        assert_eq!(read(&client).unwrap().received(), 10);
    }

    #[test]
    fn a_syn_has_the_options_that_both_ends_took() {
        assert_eq!(syn_options(TIMESTAMPS | SACK | WINDOW_SCALE), 8);
        assert_eq!(syn_options(SACK | WINDOW_SCALE), 12);
        assert_eq!(syn_options(0), 4);
    }

    /// A client that asked with 50 bytes and was answered with 20, over IPv4 with timestamps.
    fn joined() -> TcpCounts {
        let wire = WireBytes { sent: 50 + 4 * 52, received: 20 + 3 * 52 };
        let counts = TcpCounts { wire, sent: 50, with_fin: 20, header: 52, mss: 1000, ..TcpCounts::default() };
        TcpCounts { data_in: 1, bare_in: 2, bare_out: 3, ..counts }
    }

    #[test]
    fn a_handshake_is_all_there_is_until_something_follows() {
        assert_eq!(joined().until_joined(20), joined().wire);
        assert_eq!(joined().until_joined_by_tls(0), joined().wire);
    }

    #[test]
    fn what_came_before_the_answer_was_read_is_no_part_of_the_handshake() {
        let mut counts = joined();
        // Five bytes in a segment, acknowledged; then a FIN, acknowledged.
        counts.wire += WireBytes { sent: 2 * 52, received: 5 + 2 * 52 + 1 };
        counts = TcpCounts { with_fin: 26, data_in: 2, bare_in: 3, bare_out: 5, fin: true, ..counts };
        assert_eq!(counts.until_joined(20), joined().wire);
        assert_eq!(counts.until_joined_by_tls(5), joined().wire);
        // We closed in return, and that was acknowledged.
        counts.wire += WireBytes { sent: 52, received: 52 };
        counts = TcpCounts { bare_in: 4, bare_out: 6, own_fin: true, own_fin_acknowledged: true, ..counts };
        assert_eq!(counts.until_joined(20), joined().wire);
    }

    #[test]
    fn a_segment_that_the_handshake_shares_is_its_own_and_a_fin_is_not() {
        let mut counts = joined();
        counts.wire += WireBytes { sent: 0, received: 5 + 52 + 1 };
        counts = TcpCounts { with_fin: 26, bare_in: 3, fin: true, ..counts };
        let after = counts.wire - counts.until_joined(20);
        assert_eq!(after, WireBytes { sent: 52, received: 5 + 52 + 1 }, "one acknowledgement for both");
    }
}
