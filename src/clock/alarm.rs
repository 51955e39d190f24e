//! A timer that is on time: `timerfd` under tokio's reactor.
//!
//! tokio's own timers have a granularity of a millisecond; a timerfd wakes within tens of microseconds.

use super::{Nanos, now};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use tokio::io::unix::AsyncFd;

/// One absolute-time timer, owned by one task.
#[derive(Debug)]
pub struct Alarm {
    timer: AsyncFd<Timer>,
}

#[derive(Debug)]
struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Alarm {
    /// Needs one file descriptor and a running tokio runtime with I/O enabled.
    pub fn new() -> io::Result<Alarm> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(io::Error::from)?;
        // SAFETY: `Timer` owns its descriptor, always names the same one, and closes it only when dropped.
        let timer = unsafe { AsyncFd::register(Timer(timer))? };
        Ok(Alarm { timer })
    }

    /// Sleeps until `due`; returns at once if that has passed. Dropping the future is safe.
    pub async fn sleep_until(&self, due: Nanos) -> io::Result<()> {
        loop {
            if now() >= due {
                return Ok(());
            }
            let at = TimeSpec::new((due / super::SECOND) as i64, (due % super::SECOND) as i64);
            self.timer
                .get_ref()
                .0
                .set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
                .map_err(io::Error::from)?;
            let mut ready = self.timer.readable().await?;
            // Setting the timer again discards an expiration that was never read, so clearing is all that is needed.
            ready.clear_ready();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn never_wakes_early_and_can_be_set_again() {
        let alarm = Alarm::new().unwrap();
        for wait in [0, 300_000, 2_000_000] {
            let due = now() + wait;
            alarm.sleep_until(due).await.unwrap();
            assert!(now() >= due);
        }
    }
}
