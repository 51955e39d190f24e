//! What was captured of a run beside what the run counted of itself.

use super::flows::Captured;
use crate::measure::{KernelBytes, Traffic};
use serde::{Deserialize, Serialize};

/// A run whose packets were captured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureReport {
    /// A trial each, in the order in which they ran.
    pub cells: Vec<CellCapture>,
}

/// One trial of an arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellCapture {
    pub arm: String,
    pub transport: String,
    pub captured: Captured,
    pub counted: Traffic,
    /// What stopped the trial before its end.
    pub failure: Option<String>,
}

/// One figure, counted in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    pub what: &'static str,
    pub counted: u64,
    pub captured: u64,
}

impl Check {
    pub fn holds(&self) -> bool {
        self.counted == self.captured
    }
}

impl CellCapture {
    /// Bytes of payload, of framing and of handshakes, and connections: exact, always. What had arrived and was not read yet
    /// when the bytes were counted is counted as what it is.
    pub fn exact(&self) -> Vec<Check> {
        let (captured, counted) = (&self.captured, &self.counted);
        let KernelBytes { sent, received, .. } = counted.counted();
        let unread = counted.kernel.map_or(0, |kernel| kernel.unread);
        let received_in_handshakes = counted.handshake.saturating_sub(counted.handshake_sent);
        let check = |what, counted, captured| Check { what, counted, captured };
        vec![
            check("connections", counted.connections, captured.connections),
            check("handshake bytes sent", counted.handshake_sent, captured.joining.sent.payload),
            check("handshake bytes received", received_in_handshakes, captured.joining.received.payload),
            check("bytes sent", sent, captured.joining.sent.payload + captured.established.sent.payload),
            check(
                "bytes received",
                received + unread,
                captured.joining.received.payload + captured.established.received.payload,
            ),
        ]
    }

    /// Bytes on the wire, headers and acknowledgements included, between joining and closing. Exact for UDP. Over TCP two
    /// things are left out that the system doesn't tell: payload that the target sent again, and SACK. It was asked at one
    /// instant, so an acknowledgement that it delayed then may fall to either side.
    pub fn wire(&self) -> Vec<Check> {
        let (captured, counted) = (&self.captured.established, &self.counted);
        let sent = captured.sent.bytes.saturating_sub(captured.sent.sack);
        let received = captured.received.bytes.saturating_sub(captured.received.sack + captured.received.repeated);
        vec![
            Check { what: "wire bytes sent", counted: counted.sent.wire, captured: sent },
            Check { what: "wire bytes received", counted: counted.received.wire, captured: received },
        ]
    }
}
