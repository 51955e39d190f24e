//! What the kernel counted on one TCP connection: the source of every figure "on the wire".
//!
//! Bytes on the wire = payload bytes of TCP (`bytes_sent`, retransmissions included; `bytes_received`) + segments
//! (`segs_out`, `segs_in`: pure ACKs, SYN and FIN included) × the header of each. A header is 20 bytes of IPv4 or 40 of
//! IPv6, 20 of TCP, and 12 more where timestamps were negotiated. Not seen: the options that only a SYN carries (8 bytes),
//! segments after the socket was closed, and Ethernet.

use std::ops::{AddAssign, Sub};
use tokio::net::TcpStream;

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
    /// Payload of TCP, both directions.
    pub payload: u64,
}

/// Reads the connection's counters; `None` where the system doesn't tell (not Linux, or older than 4.19).
#[cfg(target_os = "linux")]
pub(super) fn read(stream: &TcpStream) -> Option<TcpCounts> {
    use std::os::fd::AsRawFd;

    // SAFETY: `tcp_info` is plain numbers, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::tcp_info>() as libc::socklen_t;
    let mut len = size;
    // SAFETY: the descriptor is open while `stream` is borrowed, and `len` is the size of what `info` points to.
    let result = unsafe {
        let into = std::ptr::from_mut(&mut info).cast();
        libc::getsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, into, &mut len)
    };
    let known = std::mem::offset_of!(libc::tcp_info, tcpi_bytes_sent) + size_of::<u64>();
    if result != 0 || (len as usize) < known {
        return None;
    }
    let is_ipv6 = stream.peer_addr().is_ok_and(|a| a.is_ipv6());
    let header = header(is_ipv6, info.tcpi_options & TIMESTAMPS != 0);
    let wire = |bytes: u64, segments: u32| bytes + u64::from(segments) * header;
    Some(TcpCounts {
        wire: WireBytes {
            sent: wire(info.tcpi_bytes_sent, info.tcpi_segs_out),
            received: wire(info.tcpi_bytes_received, info.tcpi_segs_in),
        },
        payload: info.tcpi_bytes_sent + info.tcpi_bytes_received,
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read(_stream: &TcpStream) -> Option<TcpCounts> {
    None
}

/// `TCPI_OPT_TIMESTAMPS` of `linux/tcp.h`.
#[cfg(target_os = "linux")]
const TIMESTAMPS: u8 = 1;

#[cfg(target_os = "linux")]
fn header(is_ipv6: bool, timestamps: bool) -> u64 {
    let ip = if is_ipv6 { 40 } else { 20 };
    ip + 20 + if timestamps { 12 } else { 0 }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

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
        assert_eq!(read(&client).unwrap().payload - before.payload, 100);
    }
}
