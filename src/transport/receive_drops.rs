//! Datagrams that came for a socket of ours and found its receive buffer full: loss of the generator's own making.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Words of `SO_MEMINFO` up to and with the count of drops (`linux/sock_diag.h`).
const WORDS: usize = libc::SK_MEMINFO_DROPS as usize + 1;

/// How many datagrams the system dropped for want of room since the socket was opened. Those with a wrong checksum are in
/// it too, which on a network that works are none. 0 where the system doesn't tell (older than Linux 4.12).
pub(super) fn read(socket: &UdpSocket) -> u64 {
    meminfo(socket).map_or(0, |words| words[WORDS - 1].into())
}

fn meminfo(socket: &UdpSocket) -> io::Result<[u32; WORDS]> {
    let mut words = [0u32; WORDS];
    let mut len = size_of_val(&words) as libc::socklen_t;
    // SAFETY: the descriptor is open while `socket` is borrowed, and `len` is the size of what `words` points to.
    let result = unsafe {
        let into = words.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, into, &mut len)
    };
    if result == 0 { Ok(words) } else { Err(io::Error::last_os_error()) }
}
