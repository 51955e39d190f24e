//! The addresses that sessions leave from. One address has some 28,000 ports towards one destination; more sessions than
//! that take several addresses, which on the loopback cost nothing.

use super::processes::{sessions_of_worker, sockets_of_worker};
use super::{Cell, Target};
use crate::catalog::Block;
use crate::scenario::{At, Problem};
use std::net::{IpAddr, Ipv4Addr};

/// Sockets of one source address: half of the usual range of ports, so that a free one is found at once.
const SOCKETS_AN_ADDRESS: u64 = 14_000;

/// The addresses that the sessions of worker `index` of `workers` leave from, in turn: those that were asked for, each
/// worker beginning with another; on the loopback, where one isn't enough for the whole run, addresses of the worker's own.
/// Empty: the system's choice.
pub fn sources(cell: &Cell, index: u32, workers: u32) -> Vec<IpAddr> {
    if !needs_own(cell) {
        let mut asked: Vec<IpAddr> = cell.load.source_ips.iter().flat_map(Block::addresses).collect();
        let first = index as usize % asked.len().max(1);
        asked.rotate_left(first);
        return asked;
    }
    let needed = |sockets: u64| sockets.div_ceil(SOCKETS_AN_ADDRESS).max(1) as u32;
    let of_each = needed(sockets_of_worker(cell, workers));
    let mine = needed(sessions_of_worker(cell, index, workers) * cell.transport.sockets_per_session());
    (0..mine).map(|n| own(index * of_each + n)).collect()
}

/// Finds targets that none of the addresses asked for can reach, being of the other family, and addresses that can reach no
/// target. Of a target that is a name nothing is known yet.
pub(super) fn check(asked: Option<&At<Vec<At<Block>>>>, cells: &[Cell], problems: &mut Vec<Problem>) {
    let Some(asked) = asked.filter(|asked| !asked.value.is_empty()) else { return };
    // A Unix socket is reached from nowhere.
    let cells: Vec<&Cell> = cells.iter().filter(|cell| !cell.target.is_unix()).collect();
    let targets: Vec<Option<IpAddr>> = cells.iter().map(|cell| target_ip(cell)).collect();
    let unreached = cells.iter().zip(&targets).find_map(|(cell, target)| {
        let target = target.filter(|target| asked.iter().all(|block| block.is_ipv4() != target.is_ipv4()))?;
        let (arm, own) = (&cell.arm, family(target.is_ipv4()));
        Some(format!("no session can leave for arm `{arm}` at {target}: none of these addresses is {own}"))
    });
    if let Some(problem) = unreached {
        return problems.push(Problem::at(asked, problem).hint(OF_ONE_FAMILY));
    }
    let is_useless =
        |block: &Block| targets.iter().all(|target| target.is_some_and(|target| target.is_ipv4() != block.is_ipv4()));
    if let Some(useless) = asked.iter().find(|block| is_useless(block)) {
        let problem = match targets.is_empty() {
            true => format!("no session would leave from {}: a Unix socket has no addresses", useless.value),
            false => {
                format!("no session would leave from {}: no target is {}", useless.value, family(useless.is_ipv4()))
            }
        };
        problems.push(Problem::at(useless, problem).hint(OF_ONE_FAMILY));
    }
}

const OF_ONE_FAMILY: &str = "sessions leave from addresses of the target's own family, IPv4 or IPv6";

/// `None`: a name that has yet to be resolved.
fn target_ip(cell: &Cell) -> Option<IpAddr> {
    match &cell.target {
        Target::Embedded => Some(cell.network.listen),
        Target::Url(url) => url.host.parse().ok(),
    }
}

fn family(is_ipv4: bool) -> &'static str {
    if is_ipv4 { "IPv4" } else { "IPv6" }
}

/// Whether the sessions leave from addresses of their workers' own.
pub(super) fn needs_own(cell: &Cell) -> bool {
    let sockets = u64::from(cell.load.sessions) * cell.transport.sockets_per_session();
    sockets > SOCKETS_AN_ADDRESS && cell.load.source_ips.is_empty() && is_on_loopback(cell)
}

/// Whether the target is on a loopback that has more than one address, which IPv6's hasn't. What is called `localhost` is
/// reached by the family that it is left from.
fn is_on_loopback(cell: &Cell) -> bool {
    match (&cell.target, target_ip(cell)) {
        (_, Some(ip)) => ip.is_ipv4() && ip.is_loopback(),
        (Target::Url(url), None) => url.socket.is_none() && url.host.eq_ignore_ascii_case("localhost"),
        (Target::Embedded, None) => false,
    }
}

/// The `n`th of them: 127.0.0.2, …, 127.0.0.254, 127.0.1.1, ….
fn own(n: u32) -> IpAddr {
    let n = n + 1;
    let [_, high, middle, _] = ((n / 254) << 8).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, high, middle, (n % 254) as u8 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Overrides, Plan, Processes, build, processes};
    use crate::scenario;
    use std::collections::HashSet;

    fn plan(load: &str, rest: &str) -> Result<Plan, String> {
        let text =
            format!("[workload.echo]\n[load]\nrate = \"1/s\"\nduration = \"2s\"\n{load}\n[transports.tcp]\n{rest}");
        let scenario = scenario::parse("t.toml", &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        build(&scenario, &Overrides::default()).map_err(|e| e.render(false))
    }

    fn cell(load: &str, rest: &str) -> Cell {
        plan(load, rest).unwrap_or_else(|problem| panic!("{problem}")).cells.remove(0)
    }

    #[test]
    fn small_runs_leave_from_where_the_system_says() {
        assert_eq!(sources(&cell("sessions = 14_000", ""), 0, 1), [] as [IpAddr; 0]);
        let elsewhere = cell("sessions = 20_000", "[target.urls]\ntcp = \"tcp://192.0.2.1:7\"");
        assert_eq!(sources(&elsewhere, 0, 2), [] as [IpAddr; 0]);
    }

    #[test]
    fn a_million_sessions_have_enough_addresses_and_no_two_workers_share_one() {
        let million = cell("sessions = 1_000_000", "");
        let Processes { workers, .. } = processes(&million, 20_000);
        let mut seen = HashSet::new();
        for worker in 0..workers {
            let own = sources(&million, worker, workers);
            assert!(sessions_of_worker(&million, worker, workers) <= own.len() as u64 * SOCKETS_AN_ADDRESS);
            assert!(
                own.iter().all(|ip| ip.is_loopback() && *ip != IpAddr::V4(Ipv4Addr::LOCALHOST) && seen.insert(*ip))
            );
        }
        assert_eq!(seen.len(), 112);
        assert_eq!([own(0), own(252), own(253)].map(|ip| ip.to_string()), ["127.0.0.2", "127.0.0.254", "127.0.1.1"]);
    }

    #[test]
    fn addresses_that_can_not_reach_the_target_are_told_where_they_stand() {
        let to = |host: &str| format!("[target.urls]\ntcp = \"tcp://{host}:7\"");
        let from = |ips: &str| format!("source_ips = [{ips}]");
        let none = plan(&from("\"::1\""), "").unwrap_err();
        assert!(none.contains("t.toml:5:") && none.contains("arm `tcp` at 127.0.0.1: none of these"), "{none}");
        let useless = plan(&from("\"127.0.0.2\", \"::1\""), &to("[::1]")).unwrap_err();
        assert!(useless.contains("no session would leave from 127.0.0.2: no target is IPv4"), "{useless}");
        assert!(plan(&from("\"::1\""), &to("[::2]")).is_ok());
        assert!(plan(&from("\"127.0.0.2\", \"::1\""), &to("example.org")).is_ok(), "a name may be either");
    }

    #[test]
    fn addresses_that_were_asked_for_are_everyones_each_beginning_with_another() {
        let asked = cell("sessions = 2\nsource_ips = [\"127.0.0.9\", \"127.0.0.16/30\"]", "");
        let of = |worker| sources(&asked, worker, 2).iter().map(IpAddr::to_string).collect::<Vec<_>>();
        assert_eq!(of(0), ["127.0.0.9", "127.0.0.17", "127.0.0.18"]);
        assert_eq!(of(1), ["127.0.0.17", "127.0.0.18", "127.0.0.9"]);
    }

    #[test]
    fn localhost_has_addresses_enough_and_the_loopback_of_ipv6_has_one() {
        let at = |host: &str| cell("sessions = 20_000", &format!("[target.urls]\ntcp = \"tcp://{host}:7\""));
        assert_eq!(sources(&at("localhost"), 0, 1).len(), 2);
        assert!(sources(&at("[::1]"), 0, 1).is_empty() && sources(&at("example.org"), 0, 1).is_empty());
        let embedded = cell("sessions = 20_000", "[target.embedded]\nlisten = \"::1\"");
        assert!(sources(&embedded, 0, 1).is_empty());
    }

    #[test]
    fn a_unix_socket_is_reached_from_nowhere() {
        let unix = "[target.urls]\ntcp = \"unix:/run/app.sock\"";
        assert!(sources(&cell("sessions = 20_000", unix), 0, 1).is_empty());
        let useless = plan("source_ips = [\"127.0.0.2\"]", unix).unwrap_err();
        assert!(useless.contains("t.toml:5:15") && useless.contains("a Unix socket has no addresses"), "{useless}");
    }
}
