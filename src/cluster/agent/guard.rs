//! What an agent's owner allows: where its sessions may connect, how many there may be, and how much they may send.

use crate::catalog::TargetUrl;
use crate::cluster::link::Slice;
use crate::plan;
use crate::units::Rate;
use std::net::IpAddr;
use std::{fmt, str::FromStr};

/// What the owner allows. By default any address, and no Unix socket: behind one may be what runs commands.
#[derive(Debug, Clone, Default)]
pub struct Allowance {
    /// Empty: any address.
    pub targets: Vec<AllowedTarget>,
    /// Of all its workers together.
    pub max_sessions: Option<u64>,
    /// Scheduled units a second, of all its workers together.
    pub max_rate: Option<Rate>,
}

/// Where sessions may connect: `HOST`, `HOST:PORT`, `CIDR`, `CIDR:PORT` (IPv6 in brackets before a port), or `unix:FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedTarget {
    what: What,
    /// `None`: any.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Name(String),
    /// Addresses whose first bits are those.
    Block(IpAddr, u8),
    Socket(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no target: {problem}; write a name, an address or a block, such as db.example, 10.0.0.0/8:9001 or [fd00::/8]:80, or unix:FILE"
)]
pub struct AllowedTargetError {
    text: String,
    problem: &'static str,
}

impl FromStr for AllowedTarget {
    type Err = AllowedTargetError;

    fn from_str(text: &str) -> Result<AllowedTarget, AllowedTargetError> {
        let error = |problem| AllowedTargetError { text: text.to_owned(), problem };
        if let Some(file) = text.strip_prefix("unix:") {
            return match file.starts_with('/') {
                true => Ok(AllowedTarget { what: What::Socket(file.to_owned()), port: None }),
                false => Err(error("a socket's file begins with /")),
            };
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(|| error("a bracket is open"))?;
                match rest.is_empty() {
                    true => (host, None),
                    false => (host, Some(rest.strip_prefix(':').ok_or_else(|| error("a port follows a colon"))?)),
                }
            }
            // More than one colon is an address of IPv6.
            None => match text.split_once(':').filter(|(_, port)| !port.contains(':')) {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port: Option<u16> =
            port.map(|port| port.parse().map_err(|_| error("its port is no number"))).transpose()?;
        let (address, prefix) = host.split_once('/').map_or((host, None), |(address, prefix)| (address, Some(prefix)));
        let what = match (address.parse::<IpAddr>(), prefix) {
            (Ok(ip), prefix) => {
                let width = if ip.is_ipv4() { 32 } else { 128 };
                let prefix: Option<u8> = prefix.map_or(Some(width), |prefix| prefix.parse().ok());
                What::Block(ip, prefix.filter(|p| *p <= width).ok_or_else(|| error("its prefix is too long"))?)
            }
            (Err(_), Some(_)) => return Err(error("only an address has a prefix")),
            (Err(_), None) if address.is_empty() || address.contains(|c: char| c.is_whitespace() || c == ':') => {
                return Err(error("it has no host"));
            }
            (Err(_), None) => What::Name(address.to_owned()),
        };
        Ok(AllowedTarget { what, port })
    }
}

impl fmt::Display for AllowedTarget {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        match &self.what {
            What::Name(name) => write!(f, "{name}{port}"),
            What::Block(ip, prefix) if ip.is_ipv6() && !port.is_empty() => write!(f, "[{ip}/{prefix}]{port}"),
            What::Block(ip, prefix) => write!(f, "{ip}/{prefix}{port}"),
            What::Socket(file) => write!(f, "unix:{file}"),
        }
    }
}

impl AllowedTarget {
    /// A name counts as it stands: what it resolves to is somebody else's to say.
    fn has(&self, url: &TargetUrl) -> bool {
        if let Some(file) = &url.socket {
            return self.what == What::Socket(file.clone());
        }
        let is_host = match (&self.what, url.host.parse::<IpAddr>()) {
            (What::Name(name), Err(_)) => name.eq_ignore_ascii_case(&url.host),
            (What::Block(block, prefix), Ok(ip)) => is_within(ip, *block, *prefix),
            _ => false,
        };
        is_host && self.port.is_none_or(|port| port == url.port)
    }
}

fn is_within(ip: IpAddr, block: IpAddr, prefix: u8) -> bool {
    let prefix = u32::from(prefix);
    match (ip.to_canonical(), block) {
        (IpAddr::V4(ip), IpAddr::V4(block)) => (ip.to_bits() ^ block.to_bits()).leading_zeros() >= prefix,
        (IpAddr::V6(ip), IpAddr::V6(block)) => (ip.to_bits() ^ block.to_bits()).leading_zeros() >= prefix,
        _ => false,
    }
}

/// What an agent runs in a trial already.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Load {
    pub sessions: u64,
    pub rate: f64,
}

impl Allowance {
    /// `taken` with this slice; `Err` says why it isn't allowed.
    pub(super) fn check(&self, slice: &Slice, taken: Load) -> Result<Load, String> {
        let url: TargetUrl = slice.url.parse().map_err(|error| format!("{error}"))?;
        let is_allowed = match self.targets.is_empty() {
            true => url.socket.is_none(),
            false => self.targets.iter().any(|target| target.has(&url)),
        };
        if !is_allowed {
            let target = url.socket.as_ref().map_or_else(|| url.authority(), |file| format!("unix:{file}"));
            return Err(format!("its owner doesn't allow the target {target} (--allow-target of `wsbench agent`)"));
        }
        if slice.worker >= slice.workers || slice.workers > plan::MOST_WORKERS {
            return Err(format!("there is no worker {} of {}", slice.worker, slice.workers));
        }
        let load = Load {
            sessions: taken.sessions.saturating_add(plan::sessions_of_worker(&slice.cell, slice.worker, slice.workers)),
            rate: taken.rate + plan::rate_of_worker(&slice.cell, slice.worker, slice.workers),
        };
        if let Some(most) = self.max_sessions.filter(|most| load.sessions > *most) {
            return Err(format!("its owner allows {most} sessions, and its share has {} or more", load.sessions));
        }
        // What sums up from parts is not compared to the last bit.
        if let Some(most) = self.max_rate.filter(|most| load.rate > most.per_second() * (1.0 + 1e-9)) {
            let rate = match load.rate.is_finite() {
                true => format!("its share has {:.0}/s or more", load.rate),
                false => "where answers decide there is no limit".to_owned(),
            };
            return Err(format!("its owner allows {most}, and {rate}"));
        }
        Ok(load)
    }
}
