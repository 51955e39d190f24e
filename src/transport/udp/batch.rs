//! Many datagrams by one call of the system: `recvmmsg`. One that finds less than it has room for has also found that
//! there is no more, which saves the call that would say so.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Datagrams taken in one go.
const SLOTS: usize = 32;
/// The largest datagram that IP can carry, bytes.
const LARGEST: usize = 64 * 1024;

/// Room for a batch, which all sessions of a worker share. Memory that no datagram reached is never touched.
pub(super) struct Batch {
    bytes: Vec<u8>,
    sizes: [usize; SLOTS],
}

impl Batch {
    pub fn new() -> Batch {
        Batch { bytes: vec![0; SLOTS * LARGEST], sizes: [0; SLOTS] }
    }

    /// Hands on what is there, in order; whether that was all. Doesn't wait: `WouldBlock` if there is nothing.
    pub fn receive(&mut self, socket: &UdpSocket, mut take: impl FnMut(&[u8])) -> io::Result<bool> {
        let n = self.fill(socket)?;
        for (slot, size) in self.bytes.chunks_exact(LARGEST).zip(&self.sizes[..n]) {
            take(&slot[..*size]);
        }
        Ok(n < SLOTS)
    }

    fn fill(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let mut parts: [libc::iovec; SLOTS] = std::array::from_fn(|slot| libc::iovec {
            iov_base: self.bytes[slot * LARGEST..].as_mut_ptr().cast(),
            iov_len: LARGEST,
        });
        // SAFETY: `mmsghdr` is plain numbers and pointers, for which zero is a value.
        let mut headers: [libc::mmsghdr; SLOTS] = unsafe { std::mem::zeroed() };
        for (header, part) in headers.iter_mut().zip(&mut parts) {
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: the descriptor is open while `socket` is borrowed; each header points to one part, and each part to
        // `LARGEST` bytes of `bytes` that no other part has.
        let n = unsafe {
            let (into, none) = (headers.as_mut_ptr(), std::ptr::null_mut());
            libc::recvmmsg(socket.as_raw_fd(), into, SLOTS as libc::c_uint, libc::MSG_DONTWAIT, none)
        };
        let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
        for (size, header) in self.sizes.iter_mut().zip(&headers[..n]) {
            *size = header.msg_len as usize;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_all_there_is_in_order_and_says_when_there_is_more() {
        let (one, two) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        one.connect(two.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new();
        let mut got = Vec::new();
        let nothing = batch.receive(&two, |_| ()).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        let sizes: Vec<usize> = (0..SLOTS + 3).map(|n| n * 7).collect();
        for size in &sizes {
            one.send(&vec![*size as u8; *size]).unwrap();
        }
        assert!(!batch.receive(&two, |bytes| got.push(bytes.to_vec())).unwrap());
        assert!(batch.receive(&two, |bytes| got.push(bytes.to_vec())).unwrap());
        assert_eq!(got, sizes.iter().map(|size| vec![*size as u8; *size]).collect::<Vec<_>>());
    }
}
