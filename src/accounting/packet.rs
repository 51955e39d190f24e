//! What a captured packet says of itself: addresses, size, flags, payload. Anything but whole TCP and UDP is `None`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One packet of TCP or UDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// From the IP header up, bytes.
    pub size: u64,
    /// `None`: a datagram of UDP.
    pub tcp: Option<Tcp>,
    pub payload: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tcp {
    pub sequence: u32,
    pub syn: bool,
    pub ack: bool,
    pub fin: bool,
    /// Header with its options, bytes.
    pub header: u8,
}

/// Reads a packet that begins with its IP header.
pub(super) fn parse(bytes: &[u8]) -> Option<Packet> {
    let ip = match bytes.first()? >> 4 {
        4 => v4(bytes),
        6 => v6(bytes),
        _ => None,
    }?;
    let (source, target) = (word(ip.inner, 0)?, word(ip.inner, 2)?);
    let (tcp, header) = match i32::from(ip.protocol) {
        libc::IPPROTO_TCP => {
            let flags = *ip.inner.get(13)?;
            let sequence = (u32::from(word(ip.inner, 4)?) << 16) | u32::from(word(ip.inner, 6)?);
            let is_set = |bit: u8| flags & bit != 0;
            let header = (*ip.inner.get(12)? >> 4) * 4;
            let tcp = Tcp { sequence, syn: is_set(2), ack: is_set(16), fin: is_set(1), header };
            (Some(tcp), usize::from(header))
        }
        libc::IPPROTO_UDP => (None, 8),
        _ => return None,
    };
    Some(Packet {
        from: SocketAddr::new(ip.from, source),
        to: SocketAddr::new(ip.to, target),
        size: ip.size as u64,
        tcp,
        payload: ip.inner.get(header..)?.to_vec(),
    })
}

struct Ip<'a> {
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    size: usize,
    inner: &'a [u8],
}

fn v4(bytes: &[u8]) -> Option<Ip<'_>> {
    let header = usize::from(bytes.first()? & 15) * 4;
    let size = usize::from(word(bytes, 2)?);
    let address = |at: usize| bytes.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(Ipv4Addr::from);
    Some(Ip {
        from: address(12)?.into(),
        to: address(16)?.into(),
        protocol: *bytes.get(9)?,
        size,
        inner: bytes.get(header..size)?,
    })
}

/// Without extension headers, which the loopback interface has no use for.
fn v6(bytes: &[u8]) -> Option<Ip<'_>> {
    const HEADER: usize = 40;
    let size = HEADER + usize::from(word(bytes, 4)?);
    let address = |at: usize| bytes.get(at..at + 16).and_then(|b| <[u8; 16]>::try_from(b).ok()).map(Ipv6Addr::from);
    Some(Ip {
        from: address(8)?.into(),
        to: address(24)?.into(),
        protocol: *bytes.get(6)?,
        size,
        inner: bytes.get(HEADER..size)?,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A TCP segment over IPv4 from port 1000 to port 2000, with 12 bytes of options.
    fn segment(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, (52 + payload.len()) as u8, 0, 0, 0, 0, 64, 6, 0, 0];
        bytes.extend([127, 0, 0, 1, 127, 0, 0, 2]);
        bytes.extend([0x03, 0xe8, 0x07, 0xd0, 0, 1, 0, 2, 0, 0, 0, 0, 0x80, 0x11, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0; 12]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_segment_says_who_how_much_and_what() {
        let packet = parse(&segment(b"hello")).unwrap();
        assert_eq!((packet.from.to_string(), packet.to.port()), ("127.0.0.1:1000".to_owned(), 2000));
        assert_eq!((packet.size, packet.payload.as_slice()), (57, b"hello".as_slice()));
        assert_eq!(packet.tcp, Some(Tcp { sequence: 0x0001_0002, syn: false, ack: true, fin: true, header: 32 }));
        // What stands behind the length that IP gives is padding.
        let mut padded = segment(b"hello");
        padded.extend([0; 10]);
        assert_eq!(parse(&padded).unwrap(), packet);
    }

    #[test]
    fn a_datagram_over_ipv6_is_read_too() {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 10, 17, 64];
        bytes.extend([[0; 15].as_slice(), &[1], &[0; 15], &[1]].concat());
        bytes.extend([0, 7, 0, 9, 0, 10, 0, 0, b'h', b'i']);
        let packet = parse(&bytes).unwrap();
        assert_eq!((packet.to.to_string(), packet.size, packet.tcp), ("[::1]:9".to_owned(), 50, None));
        assert_eq!(packet.payload, b"hi");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), cut in 0usize..57) {
            let _ = parse(&bytes);
            let mut like = segment(b"hello");
            like.splice(cut..cut, bytes.iter().copied().take(2));
            let _ = parse(&like);
            let _ = parse(&like[..cut]);
        }
    }
}
