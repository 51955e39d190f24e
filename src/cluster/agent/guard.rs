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
            (Err(_), None) if address.contains('*') => {
                return Err(error("a name counts as it stands, and without any target every address is allowed"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Overrides, build};
    use crate::scenario;

    fn slice(url: &str, workers: u32) -> Slice {
        let text = "[workload.echo]\n[load]\nrate = \"90/s\"\nduration = \"2s\"\nsessions = 30\n[transports.tcp]";
        let scenario = scenario::parse("t.toml", text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        let plan = build(&scenario, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)));
        Slice {
            cell: plan.cells.into_iter().next().unwrap(),
            url: url.to_owned(),
            certificate: None,
            token: String::new(),
            run: 1,
            interval: 1,
            worker: 0,
            workers,
            sources: Vec::new(),
            core: None,
        }
    }

    fn allows(targets: &[&str], url: &str) -> bool {
        let targets = targets.iter().map(|text| text.parse().unwrap()).collect();
        Allowance { targets, ..Allowance::default() }.check(&slice(url, 3), Load::default()).is_ok()
    }

    #[test]
    fn a_target_is_a_name_an_address_or_a_block_with_or_without_a_port() {
        let yes = [
            ("10.0.0.0/8", "tcp://10.255.0.1:9"),
            ("10.0.0.7", "tcp://10.0.0.7:9"),
            ("10.0.0.7:9", "tcp://10.0.0.7:9"),
            ("10.0.0.0/8:9", "ws://10.1.2.3:9/x"),
            ("db.example", "tcp://DB.example:9"),
            ("db.example:80", "ws://db.example/"),
            ("::1", "tcp://[::1]:9"),
            ("fd00::/8", "tcp://[fd12::3]:9"),
            ("[fd00::/8]:9", "tcp://[fd12::3]:9"),
            ("0.0.0.0/0", "tcp://192.0.2.1:9"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
        ];
        for (target, url) in yes {
            assert!(allows(&[target], url), "{target} {url}");
            let parsed: AllowedTarget = target.parse().unwrap();
            assert_eq!(parsed.to_string().parse(), Ok(parsed), "{target}");
        }
        let no = [
            ("10.0.0.0/8", "tcp://11.0.0.1:9"),
            ("10.0.0.7:9", "tcp://10.0.0.7:10"),
            ("10.0.0.0/8", "tcp://ten.example:9"),
            ("db.example", "tcp://evil.db.example:9"),
            ("10.0.0.0/8", "tcp://[fd12::3]:9"),
            ("0.0.0.0/0", "unix:/var/run/docker.sock"),
            ("unix:/run/app.sock", "unix:/run/other.sock"),
        ];
        no.iter().for_each(|(target, url)| assert!(!allows(&[target], url), "{target} {url}"));
        assert!(allows(&["db.example", "127.0.0.1"], "tcp://127.0.0.1:9"));
    }

    #[test]
    fn an_owner_who_says_nothing_allows_every_address_and_no_socket() {
        assert!(allows(&[], "tcp://192.0.2.1:9") && !allows(&[], "unix:/var/run/docker.sock"));
    }

    #[test]
    fn texts_that_are_no_targets_say_why() {
        let wrong = [
            ("10.0.0.0/33", "prefix"),
            ("db.example/8", "prefix"),
            ("db.example:http", "port"),
            ("[::1", "bracket"),
            ("[::1]9", "colon"),
            ("unix:app.sock", "begins with /"),
            ("", "no host"),
            ("*", "as it stands"),
            ("*.example:80", "as it stands"),
        ];
        for (text, said) in wrong {
            let error = text.parse::<AllowedTarget>().unwrap_err().to_string();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }

    #[test]
    fn sessions_and_rates_count_over_all_of_its_workers() {
        let slice = slice("tcp://127.0.0.1:9", 3);
        let owner = |max_sessions, max_rate: Option<&str>| Allowance {
            targets: Vec::new(),
            max_sessions,
            max_rate: max_rate.map(|rate| rate.parse().unwrap()),
        };
        let one = owner(Some(20), Some("60/s")).check(&slice, Load::default()).unwrap();
        assert_eq!((one.sessions, one.rate), (10, 30.0));
        let two = owner(Some(20), Some("60/s")).check(&slice, one).unwrap();
        assert_eq!((two.sessions, two.rate), (20, 60.0));
        assert!(owner(Some(29), None).check(&slice, two).unwrap_err().contains("allows 29 sessions"));
        assert!(owner(None, Some("89/s")).check(&slice, two).unwrap_err().contains("allows 89/s"));
        let mut closed = slice.clone();
        closed.cell.load.schedule.arrival = crate::catalog::Arrival::Closed;
        assert!(owner(None, Some("89/s")).check(&closed, Load::default()).unwrap_err().contains("answers decide"));
        assert!(owner(None, None).check(&closed, Load::default()).is_ok());
        let beyond = Slice { worker: 3, ..slice };
        assert!(owner(None, None).check(&beyond, Load::default()).is_err());
    }
}
