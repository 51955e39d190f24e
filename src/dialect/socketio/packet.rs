//! Packets of Socket.IO, as they stand behind the `4` of an Engine.IO message: a digit, how many attachments follow, the
//! namespace, a number for the acknowledgement, and JSON.

/// Between the packets of one body.
pub(super) const SEPARATOR: u8 = 0x1e;

pub(super) const CONNECT: u8 = b'0';
pub(super) const DISCONNECT: u8 = b'1';
pub(super) const EVENT: u8 = b'2';
pub(super) const ACK: u8 = b'3';
pub(super) const CONNECT_ERROR: u8 = b'4';
pub(super) const BINARY_EVENT: u8 = b'5';
pub(super) const BINARY_ACK: u8 = b'6';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub kind: u8,
    /// Messages without a packet of their own that follow.
    pub attachments: u32,
    /// `/` where it says none.
    pub namespace: &'a [u8],
    pub id: Option<u64>,
    /// Its JSON, or nothing.
    pub data: &'a [u8],
}

impl Packet<'_> {
    /// `None`: it is no packet.
    pub fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
        let (&kind, mut rest) = bytes.split_first()?;
        if !(CONNECT..=BINARY_ACK).contains(&kind) {
            return None;
        }
        let mut attachments = 0;
        if kind == BINARY_EVENT || kind == BINARY_ACK {
            let (n, behind) = number(rest)?;
            attachments = u32::try_from(n).ok()?;
            rest = behind.strip_prefix(b"-")?;
        }
        let mut namespace: &[u8] = b"/";
        if rest.first() == Some(&b'/') {
            let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
            (namespace, rest) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
        }
        let mut id = None;
        if rest.first().is_some_and(u8::is_ascii_digit) {
            let (n, behind) = number(rest)?;
            (id, rest) = (Some(n), behind);
        }
        Some(Packet { kind, attachments, namespace, id, data: rest })
    }
}

/// The number that `bytes` begin with, and what is behind it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    Some((text.parse().ok()?, &bytes[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet<'a>(
        kind: u8,
        attachments: u32,
        namespace: &'a str,
        id: Option<u64>,
        data: &'a str,
    ) -> Option<Packet<'a>> {
        Some(Packet { kind, attachments, namespace: namespace.as_bytes(), id, data: data.as_bytes() })
    }

    #[test]
    fn each_part_may_be_left_out() {
        let cases = [
            ("0", packet(CONNECT, 0, "/", None, "")),
            (r#"0{"sid":"a"}"#, packet(CONNECT, 0, "/", None, r#"{"sid":"a"}"#)),
            ("0/chat,{}", packet(CONNECT, 0, "/chat", None, "{}")),
            ("1/chat", packet(DISCONNECT, 0, "/chat", None, "")),
            (r#"2["a",1]"#, packet(EVENT, 0, "/", None, r#"["a",1]"#)),
            (r#"3/chat,17["a"]"#, packet(ACK, 0, "/chat", Some(17), r#"["a"]"#)),
            (r#"52-/a,9["x"]"#, packet(BINARY_EVENT, 2, "/a", Some(9), r#"["x"]"#)),
        ];
        for (text, want) in cases {
            assert_eq!(Packet::parse(text.as_bytes()), want, "{text}");
        }
        for none in ["", "7", "x", "5[]", "5-[]", "599999999999-[]", "299999999999999999999[]"] {
            assert_eq!(Packet::parse(none.as_bytes()), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "[0-6][0-9/,a-]{0,20}") {
            let _ = Packet::parse(&bytes);
            let _ = Packet::parse(text.as_bytes());
        }
    }
}
