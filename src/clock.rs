//! The one source of time: `CLOCK_MONOTONIC` as nanoseconds, which every process of one machine shares.
//!
//! Reading time anywhere else is refused by clippy (`disallowed-methods` in `clippy.toml`), so that what is measured
//! can also be run under a virtual clock.

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

mod alarm;

pub use alarm::Alarm;

/// A monotonic instant, or a length of time, in nanoseconds.
pub type Nanos = u64;

pub const SECOND: Nanos = 1_000_000_000;
pub const MILLI: Nanos = 1_000_000;

/// Now, by `CLOCK_MONOTONIC`. Comparable between processes of one machine, not between machines.
pub fn now() -> Nanos {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists on every supported system");
    time.tv_sec() as u64 * SECOND + time.tv_nsec() as u64
}

/// Time that a process has been on a CPU so far, threads that have ended included; `None` once it is gone.
pub fn cpu_of(pid: u32) -> Option<Nanos> {
    let time = clock_gettime(clock_getcpuclockid(Pid::from_raw(pid.try_into().ok()?)).ok()?).ok()?;
    Some(time.tv_sec() as u64 * SECOND + time.tv_nsec() as u64)
}

/// The calendar time, for names and dates only; never for measuring.
#[allow(clippy::disallowed_methods)]
pub fn today() -> jiff::Zoned {
    jiff::Zoned::now()
}

/// The calendar time as RFC 3339, to the second.
pub fn timestamp() -> String {
    today().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
