//! ICMP echoes as bytes (RFC 792, RFC 4443 §4): composing requests, and finding our own replies in whatever comes.

use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    fn request(self) -> u8 {
        if self == Family::V4 { 8 } else { 128 }
    }

    fn reply(self) -> u8 {
        if self == Family::V4 { 0 } else { 129 }
    }
}

/// What a reply brings back of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reply {
    pub sequence: u16,
    pub number: u64,
}

/// Stands before the number in each payload.
const MARK: &[u8; 8] = b"wsbench\0";
const HEADER: usize = 8;

/// An echo request. `number` is in its payload in full and its low half in the identifier, which a socket without
/// privileges replaces by one of the system's. Under IPv6 the system fills the checksum in.
pub(super) fn request(family: Family, sequence: u16, number: u64) -> Vec<u8> {
    let mut bytes = vec![family.request(), 0, 0, 0];
    bytes.extend((number as u16).to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(MARK);
    bytes.extend(number.to_be_bytes());
    let sum = checksum(&bytes).to_be_bytes();
    bytes[2..4].copy_from_slice(&sum);
    bytes
}

/// The reply in what a socket received; `with_ip`: behind a header of IPv4. `None`: something else, our own request on the
/// loopback interface among it.
pub(super) fn reply(family: Family, with_ip: bool, bytes: &[u8]) -> Option<Reply> {
    let bytes = match with_ip {
        true => bytes.get(usize::from(bytes.first()? & 15) * 4..)?,
        false => bytes,
    };
    if *bytes.first()? != family.reply() || *bytes.get(1)? != 0 {
        return None;
    }
    let sequence = u16::from_be_bytes(bytes.get(6..8)?.try_into().ok()?);
    let number = bytes.get(HEADER..)?.strip_prefix(MARK)?;
    let number = u64::from_be_bytes(number.try_into().ok()?);
    Some(Reply { sequence, number })
}

/// The Internet checksum (RFC 1071) of bytes in which its own field is zero.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NUMBER: u64 = 0x0102_0304_0506_0708;

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        // The example of §3, and an odd length.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff, 0xff, 0x01]), !0x0100);
        // A message with its checksum in place sums up to nothing.
        assert_eq!(checksum(&request(Family::V4, 3, NUMBER)), 0);
    }

    #[test]
    fn a_request_is_answered_by_its_own_bytes_under_another_type() {
        let sent = request(Family::V4, 0x1234, NUMBER);
        assert_eq!((&sent[..2], &sent[4..8]), ([8, 0].as_slice(), [0x07, 0x08, 0x12, 0x34].as_slice()));
        assert_eq!(reply(Family::V4, false, &sent), None, "a request is no reply");
        let mut answer = sent.clone();
        answer[0] = 0;
        let expected = Some(Reply { sequence: 0x1234, number: NUMBER });
        assert_eq!(reply(Family::V4, false, &answer), expected);
        let with_ip = [[0x46].as_slice(), &[0; 23], &answer].concat();
        assert_eq!(reply(Family::V4, true, &with_ip), expected);
        let mut answer = request(Family::V6, 0x1234, NUMBER);
        assert_eq!(answer[0], 128);
        answer[0] = 129;
        assert_eq!(reply(Family::V6, false, &answer), expected);
        assert_eq!(reply(Family::V4, false, &answer), None);
    }

    #[test]
    fn what_was_cut_or_continued_is_nobodys_reply() {
        let mut answer = request(Family::V4, 1, NUMBER);
        answer[0] = 0;
        for cut in 0..answer.len() {
            assert_eq!(reply(Family::V4, false, &answer[..cut]), None, "cut at {cut}");
        }
        answer.push(0);
        assert_eq!(reply(Family::V4, false, &answer), None);
        answer[8] = b'x';
        assert_eq!(reply(Family::V4, false, &answer[..24]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), with_ip: bool) {
            let _ = reply(Family::V4, with_ip, &bytes);
            let _ = reply(Family::V6, with_ip, &bytes);
        }
    }
}
