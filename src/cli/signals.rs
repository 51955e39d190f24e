//! What ends a run before its time: Ctrl-C, SIGTERM, and the terminal that goes away.

use super::exit::Exit;
use super::say;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The first signal ends what goes on in order, which `does` (`saves what was measured`); the second ends it at once.
pub(super) fn watch(want: watch::Sender<bool>, does: &str) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = hangup()?;
    let words = format!("\ninterrupted: {does}, which takes some seconds at most; once more ends at once");
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                () = hung_up(&mut hangup) => {}
            }
        };
        next().await;
        say::err(&words);
        let _ = want.send(true);
        next().await;
        std::process::exit(Exit::Interrupted as i32);
    });
    Ok(())
}

/// That the terminal is gone. `None` where whoever started us wants it to be ignored, as `nohup` does.
fn hangup() -> std::io::Result<Option<Signal>> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if is_ignored(&status, SignalKind::hangup()) { Ok(None) } else { signal(SignalKind::hangup()).map(Some) }
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => _ = hangup.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether a process whose `/proc/PID/status` this is ignores a signal.
fn is_ignored(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    (mask >> (kind.as_raw_value() - 1)) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_ignores_is_read_from_its_mask() {
        let of =
            |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0000000000004001\n");
        assert!(is_ignored(&of("0000000000000001"), SignalKind::hangup()));
        assert!(!is_ignored(&of("0000000000001006"), SignalKind::hangup()));
        assert!(is_ignored(&of("0000000000001006"), SignalKind::interrupt()));
        assert!(!is_ignored("", SignalKind::hangup()));
    }
}
