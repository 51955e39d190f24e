//! What a Close says (§5.5.1, §7.4).

use super::violation::Violation;

/// Close codes of §7.4.1 for what the other end may do wrong.
pub mod close_code {
    pub const PROTOCOL: u16 = 1002;
    pub const NOT_UTF8: u16 = 1007;
    pub const TOO_LARGE: u16 = 1009;
}

/// The code in a Close's payload, if it has one.
pub(in crate::codec) fn read_close(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        [_] => Err(Violation::protocol("a Close with half a code")),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !may_be_sent(code) {
                let detail = format!("a Close with the code {code}, which may not be sent");
                return Err(Violation::Protocol(detail.into()));
            }
            std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
            Ok(Some(code))
        }
    }
}

/// Whether a Close may carry `code`: the protocol's codes that travel, with those of IANA's registry, and the codes left
/// to libraries and applications (§7.4.2).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_checked() {
        assert_eq!(read_close(b""), Ok(None));
        assert_eq!(read_close(b"\x03\xE9bye"), Ok(Some(1001)));
        for (bad, answer) in [(b"\x03".as_slice(), 1002), (b"\x03\xED", 1002), (b"\x03\xE8\xFF", 1007)] {
            assert_eq!(read_close(bad).unwrap_err().close_code(), answer);
        }
        let allowed: Vec<u16> = (0..=u16::MAX).filter(|code| read_close(&code.to_be_bytes()).is_ok()).collect();
        assert_eq!(allowed.iter().filter(|code| **code < 3000).count(), 12);
        assert!(!allowed.iter().any(|code| [1004, 1005, 1006, 1015].contains(code)));
        assert_eq!(allowed.iter().filter(|code| **code >= 3000).count(), 2000);
    }
}
