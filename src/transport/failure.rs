//! What can go wrong on a connection, each its own class; the class names are part of the result's contract.

use super::trunk;
use crate::codec::CodecError;
use crate::codec::websocket::Violation;
use std::borrow::Cow;
use std::{fmt, io};

/// A kind of failure. Its [`key`](ErrorClass::key) is what results count by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The name has no address.
    Resolve,
    /// Nobody listens there.
    Refused,
    /// No route, or the network is down.
    Unreachable,
    /// TCP didn't connect in time.
    ConnectTimeout,
    /// Connected, but the handshake or join got no answer in time.
    HandshakeTimeout,
    /// The generator has no port left for this destination.
    NoPorts,
    /// The generator has no file descriptor left.
    NoDescriptors,
    /// Certificate or TLS handshake.
    Tls,
    /// The upgrade was answered with this HTTP status instead of 101.
    UpgradeStatus(u16),
    /// The upgrade's answer was not a WebSocket handshake.
    UpgradeInvalid,
    /// Wrong `Sec-WebSocket-Accept`.
    BadAccept,
    /// A subprotocol was chosen that wasn't offered, or none where the dialect needs one.
    BadSubprotocol,
    /// The target's HTTP/2 carries no WebSockets (RFC 8441).
    NoExtendedConnect,
    /// The target refused the join.
    JoinRefused,
    /// A frame broke RFC 6455.
    Protocol,
    /// A message over the limit.
    TooLarge,
    /// Bytes that don't fit the framing.
    Garbage,
    /// A request was answered with this HTTP status.
    HttpStatus(u16),
    /// Not HTTP, or broken HTTP.
    HttpProtocol,
    /// The target reset a stream of HTTP/2.
    StreamReset,
    /// The target took a request of HTTP/2 no more: it is leaving the connection.
    GoAway,
    /// The connection ended in the middle of a message or a response.
    Truncated,
    /// The connection was reset.
    Reset,
    /// The target closed cleanly, with this close code where the transport has one.
    ClosedByTarget(Option<u16>),
    /// The closing handshake got no answer in time.
    CloseTimeout,
    /// A datagram that isn't ours.
    Foreign,
    /// The target says that it did not take a message.
    Rejected,
    /// Anything else that the system reported.
    Io,
}

/// A failure with its details, for a person.
#[derive(Debug, Clone)]
pub struct Failure {
    pub class: ErrorClass,
    pub detail: String,
}

impl ErrorClass {
    /// The name under which results count it, such as `refused` or `upgrade-status-503`.
    pub fn key(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            ErrorClass::Resolve => "resolve",
            ErrorClass::Refused => "refused",
            ErrorClass::Unreachable => "unreachable",
            ErrorClass::ConnectTimeout => "connect-timeout",
            ErrorClass::HandshakeTimeout => "handshake-timeout",
            ErrorClass::NoPorts => "no-ports",
            ErrorClass::NoDescriptors => "no-descriptors",
            ErrorClass::Tls => "tls",
            ErrorClass::UpgradeStatus(status) => return format!("upgrade-status-{status}").into(),
            ErrorClass::UpgradeInvalid => "upgrade-invalid",
            ErrorClass::BadAccept => "bad-accept",
            ErrorClass::BadSubprotocol => "bad-subprotocol",
            ErrorClass::NoExtendedConnect => "no-extended-connect",
            ErrorClass::JoinRefused => "join-refused",
            ErrorClass::Protocol => "protocol",
            ErrorClass::TooLarge => "too-large",
            ErrorClass::Garbage => "garbage",
            ErrorClass::HttpStatus(status) => return format!("http-status-{status}").into(),
            ErrorClass::HttpProtocol => "http-protocol",
            ErrorClass::StreamReset => "stream-reset",
            ErrorClass::GoAway => "go-away",
            ErrorClass::Truncated => "truncated",
            ErrorClass::Reset => "reset",
            ErrorClass::ClosedByTarget(Some(code)) => return format!("closed-by-target-{code}").into(),
            ErrorClass::ClosedByTarget(None) => "closed-by-target",
            ErrorClass::CloseTimeout => "close-timeout",
            ErrorClass::Foreign => "foreign",
            ErrorClass::Rejected => "rejected",
            ErrorClass::Io => "io",
        })
    }
}

impl Failure {
    pub fn new(class: ErrorClass, detail: impl Into<String>) -> Failure {
        Failure { class, detail: detail.into() }
    }

    /// Of a target that asks for more answers than it reads.
    pub(super) fn flooded() -> Failure {
        Failure::new(ErrorClass::TooLarge, "the target asks for answers and doesn't read them")
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let class = class_of(&error);
        let words = if class == ErrorClass::Tls { tls_words(&error) } else { error.to_string() };
        Failure::new(class, words)
    }
}

/// What a failure of TLS says, with what can be done about it.
pub(super) fn tls_words(error: &io::Error) -> String {
    use rustls::{AlertDescription as Alert, Error};
    let what = match error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(_)) => "; --cacert says whom to trust, server_name in [tls] whom to expect",
        Some(Error::AlertReceived(Alert::CertificateRequired | Alert::HandshakeFailure | Alert::BadCertificate)) => {
            "; a client's certificate is given by --cert and --key"
        }
        Some(Error::InvalidMessage(_)) => "; does the target speak TLS on this port?",
        _ => "",
    };
    format!("{error}{what}")
}

/// The class of what the system reported.
pub(super) fn class_of(error: &io::Error) -> ErrorClass {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => ErrorClass::NoDescriptors,
        Some(libc::EADDRNOTAVAIL) => ErrorClass::NoPorts,
        _ => match error.kind() {
            // The file of a Unix socket that nobody has made.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ErrorClass::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
                ErrorClass::Reset
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
                ErrorClass::Unreachable
            }
            io::ErrorKind::TimedOut => ErrorClass::ConnectTimeout,
            io::ErrorKind::UnexpectedEof => ErrorClass::Truncated,
            io::ErrorKind::InvalidData if error.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => ErrorClass::Tls,
            _ => match error.get_ref().and_then(|cause| cause.downcast_ref::<h2::Error>()) {
                Some(cause) => trunk::classify(cause).class,
                None => ErrorClass::Io,
            },
        },
    }
}

impl From<CodecError> for Failure {
    fn from(error: CodecError) -> Failure {
        let class = match error {
            CodecError::TooLarge { .. } => ErrorClass::TooLarge,
            CodecError::Malformed(_) => ErrorClass::Garbage,
        };
        Failure::new(class, error.to_string())
    }
}

impl From<&Violation> for Failure {
    fn from(violation: &Violation) -> Failure {
        let class = match violation {
            Violation::TooLarge => ErrorClass::TooLarge,
            Violation::Protocol(_) | Violation::NotUtf8 => ErrorClass::Protocol,
        };
        Failure::new(class, violation.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.class.key(), self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{ERROR_CLASSES, is_error_class};

    #[test]
    fn thresholds_know_every_class() {
        use ErrorClass::*;
        let plain = [
            Resolve,
            Refused,
            Unreachable,
            ConnectTimeout,
            HandshakeTimeout,
            NoPorts,
            NoDescriptors,
            Tls,
            UpgradeInvalid,
            BadAccept,
            BadSubprotocol,
            NoExtendedConnect,
            JoinRefused,
            Protocol,
            TooLarge,
            Garbage,
            HttpProtocol,
            StreamReset,
            GoAway,
            Truncated,
            Reset,
            ClosedByTarget(None),
            CloseTimeout,
            Foreign,
            Io,
        ];
        let numbered = [UpgradeStatus(503), HttpStatus(404), ClosedByTarget(Some(1012))];
        for class in plain.iter().chain(&numbered) {
            assert!(is_error_class(&class.key()), "{}", class.key());
        }
        assert!(plain.iter().all(|class| ERROR_CLASSES.contains(&&*class.key())));
        for none in ["", "refusd", "http-status", "http-status-", "http-status-x", "closed-by-target-99999", "io-1"] {
            assert!(!is_error_class(none), "{none}");
        }
    }
}
