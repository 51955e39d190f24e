//! An address, or a block of them as CIDR writes it (RFC 4632): `127.0.0.2`, `127.0.0.0/28`, `fd00::/120`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::{fmt, str::FromStr};

/// The hosts of a block: without the network's and the broadcast address of IPv4, and without the routers' of IPv6
/// (RFC 4291 §2.6.1), where the block is large enough to have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Any address of the block, as it was written.
    address: IpAddr,
    /// Bits that all of them share; `None`: it is one address.
    prefix: Option<u8>,
}

/// A block that is none, or has more addresses than anyone means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address: {problem}; write 127.0.0.2, or a block such as 127.0.0.0/28 or fd00::/120")]
pub struct BlockError {
    text: String,
    problem: &'static str,
}

/// Bits of a block that may differ: 65,536 addresses have ports for over a thousand million connections.
const MOST_BITS: u8 = 16;

impl Block {
    /// How many addresses it has.
    pub fn count(&self) -> u64 {
        let (first, last) = self.bounds();
        (last - first) as u64 + 1
    }

    /// Its addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let ((first, last), is_v4) = (self.bounds(), self.is_ipv4());
        (first..=last).map(move |bits| match is_v4 {
            true => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
            false => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        })
    }

    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// First and last host, as numbers.
    fn bounds(&self) -> (u128, u128) {
        let (bits, width) = match self.address {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()), 32),
            IpAddr::V6(ip) => (ip.to_bits(), 128),
        };
        let free = width - self.prefix.unwrap_or(width);
        // At most 16 bits are free.
        let rest = (1u128 << free) - 1;
        let (first, last) = (bits & !rest, bits | rest);
        match free {
            0 | 1 => (first, last),
            _ if self.is_ipv4() => (first + 1, last - 1),
            _ => (first + 1, last),
        }
    }
}

impl From<IpAddr> for Block {
    fn from(address: IpAddr) -> Block {
        Block { address, prefix: None }
    }
}

impl FromStr for Block {
    type Err = BlockError;

    fn from_str(text: &str) -> Result<Block, BlockError> {
        let error = |problem| BlockError { text: text.to_owned(), problem };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| error("it is neither of IPv4 nor of IPv6"))?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let Some(prefix) = prefix else { return Ok(Block { address, prefix: None }) };
        let prefix: u8 = prefix.parse().ok().filter(|p| *p <= width).ok_or_else(|| error("its prefix is too long"))?;
        if width - prefix > MOST_BITS {
            return Err(error("it has more than 65536 addresses"));
        }
        Ok(Block { address, prefix: Some(prefix) })
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.prefix {
            Some(prefix) => write!(f, "{}/{prefix}", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Block {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Block".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "x-unit": "address", "examples": ["127.0.0.2"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (u64, String, String) {
        let block: Block = text.parse().unwrap();
        assert_eq!(block.to_string(), text);
        let all: Vec<IpAddr> = block.addresses().collect();
        assert_eq!(all.len() as u64, block.count());
        (block.count(), all[0].to_string(), all[all.len() - 1].to_string())
    }

    #[test]
    fn a_block_is_its_hosts() {
        let want = |n, first: &str, last: &str| (n, first.to_owned(), last.to_owned());
        assert_eq!(of("127.0.0.2"), want(1, "127.0.0.2", "127.0.0.2"));
        assert_eq!(of("127.0.0.0/28"), want(14, "127.0.0.1", "127.0.0.14"));
        assert_eq!(of("127.0.3.7/16"), want(65_534, "127.0.0.1", "127.0.255.254"));
        assert_eq!(of("10.0.0.4/31"), want(2, "10.0.0.4", "10.0.0.5"));
        assert_eq!(of("10.0.0.4/32"), want(1, "10.0.0.4", "10.0.0.4"));
        assert_eq!(of("255.255.255.255/30"), want(2, "255.255.255.253", "255.255.255.254"));
        assert_eq!(of("::1"), want(1, "::1", "::1"));
        assert_eq!(of("fd00::/120"), want(255, "fd00::1", "fd00::ff"));
        assert_eq!(of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127").0, 2);
    }

    #[test]
    fn what_is_none_is_told() {
        let problem = |text: &str| text.parse::<Block>().unwrap_err().to_string();
        assert!(problem("localhost").contains("neither"));
        assert!(problem("127.0.0.1/33").contains("too long") && problem("::/129").contains("too long"));
        assert!(problem("10.0.0.0/8").contains("65536") && problem("::/64").contains("65536"));
        assert!(problem("10.0.0.0/").contains("too long"));
    }
}
