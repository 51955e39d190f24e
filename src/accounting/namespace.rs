//! A network namespace of this process's own, with nothing in it but a loopback interface that is up.

use nix::sched::{CloneFlags, unshare};
use socket2::{Domain, Socket, Type};
use std::io;
use std::os::fd::AsRawFd;

/// Moves this thread into a new network namespace; what it starts from now on is born there. Without the right to do
/// that, it takes a user namespace along, in which it has every right: that works only while this process has one thread.
/// The error says what the system refused.
pub(super) fn enter() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET)
        .or_else(|_| unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET))
        .map_err(|error| format!("this system lets us have no network namespace of our own ({error})"))?;
    bring_loopback_up().map_err(|error| format!("the loopback interface of a new network can't be started ({error})"))
}

fn bring_loopback_up() -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // SAFETY: `ifreq` is plain numbers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (into, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *into = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the descriptor is open, and the request is the structure that this call reads.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, std::ptr::from_mut(&mut request)) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
