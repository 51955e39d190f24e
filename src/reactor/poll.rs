//! The epoll: which descriptors are ready.

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::cell::RefCell;
use std::io;
use std::ops::BitOr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// Descriptors told of in one go.
const BATCH: usize = 128;

/// What a descriptor is ready for. A connection that broke is ready for both: trying tells how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    pub read: bool,
    pub write: bool,
    /// What is read ends with the end of the stream, or an error.
    pub ended: bool,
}

impl Ready {
    pub(super) const NONE: Ready = Ready { read: false, write: false, ended: false };

    /// To try everything.
    pub const ALL: Ready = Ready { read: true, write: true, ended: true };

    fn of(flags: EpollFlags) -> Ready {
        let broken = flags.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP);
        Ready {
            read: broken || flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP),
            write: broken || flags.contains(EpollFlags::EPOLLOUT),
            ended: broken || flags.contains(EpollFlags::EPOLLRDHUP),
        }
    }
}

impl BitOr for Ready {
    type Output = Ready;
    fn bitor(self, other: Ready) -> Ready {
        Ready { read: self.read | other.read, write: self.write | other.write, ended: self.ended | other.ended }
    }
}

pub(super) struct Poll {
    epoll: AsyncFd<Descriptor>,
    events: RefCell<Box<[EpollEvent]>>,
}

pub(super) struct Descriptor(Epoll);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

impl Poll {
    pub(super) fn new() -> io::Result<Poll> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        // SAFETY: `Descriptor` owns its epoll, always names the same one, and closes it only when dropped.
        let epoll = unsafe { AsyncFd::register(Descriptor(epoll))? };
        Ok(Poll { epoll, events: RefCell::new(vec![EpollEvent::empty(); BATCH].into()) })
    }

    /// Watches `descriptor` for everything, edge-triggered, until it is closed.
    pub(super) fn add(&self, descriptor: BorrowedFd, data: u64) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        Ok(self.epoll.get_ref().0.add(descriptor, EpollEvent::new(flags, data))?)
    }

    /// Waits until some descriptor is ready. Safe to cancel. The guard is to be cleared once nothing more is.
    pub(super) async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, Descriptor>> {
        self.epoll.readable().await
    }

    /// Tells of what is ready now; whether there may be more.
    pub(super) fn ready(&self, mut tell: impl FnMut(u64, Ready)) -> io::Result<bool> {
        let mut events = self.events.borrow_mut();
        let n = self.epoll.get_ref().0.wait(&mut events, EpollTimeout::ZERO)?;
        for event in &events[..n] {
            tell(event.data(), Ready::of(event.events()));
        }
        Ok(n == events.len())
    }
}
