//! What the two sides of a duet are: servers that run, or commands that start them, on ports picked here.

use super::super::args::{DuetArgs, UrlFlag};
use crate::catalog::{TargetUrl, TransportKind};
use crate::cluster::{self, Ready, ServerCommand};
use crate::plan::{Cell, Plan, Target, TargetFlag};
use crate::result::{Half, redact_arguments, redact_url};
use anyhow::Context;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;

/// Ports below this are for services that everybody knows.
const LOWEST: u16 = 10_240;
/// So often a port is drawn before any that the system gives is taken.
const DRAWS: u32 = 100;

/// One of the two.
pub(super) struct Side {
    /// What a reader calls it, secrets redacted.
    pub name: String,
    /// Where each arm finds it.
    pub targets: Vec<TargetFlag>,
    /// What starts it; `None`: it runs already.
    pub command: Option<ServerCommand>,
}

/// A port of a command: `{port}`, or `{port:NAME}` with its name.
type Port = (String, u16);

impl Side {
    /// Reads what was typed for `half`, for the arms of `plan`. Ports are taken from `picker`.
    ///
    /// # Errors
    /// What is wrong with the command line.
    pub(super) fn read(
        half: Half,
        args: &DuetArgs,
        plan: &Plan,
        dir: &Path,
        picker: &mut Picker,
    ) -> Result<Side, String> {
        let text = match half {
            Half::Base => &args.base,
            Half::Candidate => &args.candidate,
        };
        let wrong = |problem: String| format!("--{}: {problem}", half.name());
        if text.trim().is_empty() {
            return Err(wrong("write a URL, or a command that starts a server on {port}".to_owned()));
        }
        let side = if is_url(text) {
            at(text, plan)
        } else {
            started_by(text, args, plan, picker, &dir.join(half.name()).join("server.log"))
        };
        side.map_err(wrong)
    }
}

/// Whether it can't be meant as a command.
pub(super) fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let is_unix = ["unix:/", "ws+unix:/", "http+unix:/"].iter().any(|start| text.starts_with(start));
    let has_scheme = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric());
    !text.contains(char::is_whitespace) && (has_scheme || is_unix)
}

/// A server that runs: every arm finds it at the same URL.
fn at(text: &str, plan: &Plan) -> Result<Side, String> {
    let url: TargetUrl = text.parse().map_err(|error: crate::catalog::UrlError| error.to_string())?;
    let target = |cell: &Cell| {
        let kind = cell.transport.kind();
        if kind.schemes().contains(&url.scheme.as_str()) {
            return Ok(TargetFlag { arm: cell.arm.clone(), url: url.clone() });
        }
        let (arm, scheme) = (&cell.arm, &url.scheme);
        Err(format!("arm `{arm}` is {kind}, which no {scheme}:// URL leads to; `--transport` chooses which arms run"))
    };
    let targets = plan.cells.iter().map(target).collect::<Result<_, _>>()?;
    Ok(Side { name: redact_url(text), targets, command: None })
}

/// A server that a command starts.
fn started_by(text: &str, args: &DuetArgs, plan: &Plan, picker: &mut Picker, log: &Path) -> Result<Side, String> {
    let mut ports: Vec<Port> = vec![(String::new(), picker.pick()?)];
    for name in marks(text)? {
        if !ports.iter().any(|(known, _)| *known == name) {
            ports.push((name, picker.pick()?));
        }
    }
    let port = |name: &str| ports.iter().find(|(known, _)| known == name).map(|(_, port)| *port);
    let filled = |text: &str| fill(text, &port);
    let (mut targets, mut tcp, mut unix, mut udp) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for cell in &plan.cells {
        let own = port(&cell.arm).or(port("")).unwrap_or_default();
        let url = url_of(cell, own, &args.url, &filled)?;
        let place = (url.host.clone(), url.port);
        match cell.transport.kind() {
            _ if url.socket.is_some() => unix.extend(url.socket.clone()),
            TransportKind::Udp if !udp.contains(&url.port) => udp.push(url.port),
            TransportKind::Udp => {}
            _ if !tcp.contains(&place) => tcp.push(place),
            _ => {}
        }
        targets.push(TargetFlag { arm: cell.arm.clone(), url });
    }
    let ready = match &args.ready {
        Some(url) => Ready::Answers(filled(url)?.parse().map_err(|error: crate::catalog::UrlError| error.to_string())?),
        None => Ready::Listens { tcp, unix, udp },
    };
    let command = ServerCommand {
        name: shown(&filled(text)?),
        command: filled(text)?,
        port: port("").unwrap_or_default(),
        ready,
        within: args.ready_within,
        log: log.to_owned(),
    };
    Ok(Side { name: shown(text), targets, command: Some(command) })
}

/// A command without its secrets.
fn shown(command: &str) -> String {
    let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    redact_arguments(&words).join(" ")
}

/// Where an arm finds a server on `port`: as its `--url` says, or the one for all, or the scenario's own.
fn url_of(
    cell: &Cell,
    port: u16,
    flags: &[UrlFlag],
    filled: &dyn Fn(&str) -> Result<String, String>,
) -> Result<TargetUrl, String> {
    let own = flags.iter().find(|flag| flag.arm.as_ref() == Some(&cell.arm));
    let flag = own.or_else(|| flags.iter().find(|flag| flag.arm.is_none()));
    let on_port = |scheme: &str, path: &str| TargetUrl::on_port(scheme, &Ipv4Addr::LOCALHOST.to_string(), port, path);
    let scheme = cell.transport.kind().scheme(cell.tls.is_some());
    match (flag, &cell.target) {
        (Some(flag), _) if flag.template.starts_with('/') => Ok(on_port(scheme, &filled(&flag.template)?)),
        (Some(flag), _) => filled(&flag.template)?.parse().map_err(|error: crate::catalog::UrlError| error.to_string()),
        (None, Target::Url(url)) if url.socket.is_some() => Ok(on_port(scheme, &url.path)),
        (None, Target::Url(url)) => Ok(on_port(&url.scheme, &url.path)),
        (None, Target::Embedded) => Ok(on_port(scheme, "/")),
    }
}

/// `text` with each `{port}` and `{port:NAME}` replaced by what `port` says of its name, which is empty for the first. A
/// variable of the shell, as `${port}` or `${port:-80}`, is left to it.
///
/// # Errors
/// A mark that isn't closed, or a name that is not known.
pub(in crate::cli) fn fill(text: &str, port: &dyn Fn(&str) -> Option<u16>) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, mark)) = rest.split_once("{port") {
        if before.ends_with('$') {
            out += &format!("{before}{{port");
            rest = mark;
            continue;
        }
        let (name, after) = match mark.split_once('}') {
            Some((name, after)) if name.is_empty() || name.starts_with(':') => (name.trim_start_matches(':'), after),
            _ => return Err("write {port}, or {port:NAME} for one more".to_owned()),
        };
        let port = port(name).ok_or_else(|| format!("the command has no {{port:{name}}}"))?;
        out += &format!("{before}{port}");
        rest = after;
    }
    Ok(out + rest)
}

/// The names of the ports in a text; empty for `{port}`.
fn marks(text: &str) -> Result<Vec<String>, String> {
    let names = std::cell::RefCell::new(Vec::new());
    fill(text, &|name| {
        names.borrow_mut().push(name.to_owned());
        Some(0)
    })?;
    Ok(names.into_inner())
}

/// Picks ports that are free, and holds them until it is dropped, so that none is picked twice.
pub(super) struct Picker {
    held: Vec<(TcpListener, UdpSocket)>,
    /// The system takes its own from here up, for connections that leave: none of those is picked if another can be.
    below: u16,
}

impl Picker {
    pub(super) fn new() -> Picker {
        let (low, _) = cluster::host().ephemeral_ports.unwrap_or((32_768, 60_999));
        Picker { held: Vec::new(), below: low }
    }

    fn pick(&mut self) -> Result<u16, String> {
        let drawn =
            (0..DRAWS).filter(|_| self.below > LOWEST).find_map(|_| hold(rand::random_range(LOWEST..self.below)).ok());
        let held =
            drawn.map_or_else(|| hold(0), Ok).context("no port is free").map_err(|error| format!("{error:#}"))?;
        let port = held.0.local_addr().map_err(|error| error.to_string())?.port();
        self.held.push(held);
        Ok(port)
    }
}

/// A port, for TCP and for UDP.
fn hold(port: u16) -> std::io::Result<(TcpListener, UdpSocket)> {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, tcp.local_addr()?.port()))?;
    Ok((tcp, udp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_filled_in_by_their_names() {
        let port = |name: &str| match name {
            "" => Some(7),
            "tcp" => Some(8),
            _ => None,
        };
        assert_eq!(fill("a {port} b {port:tcp} {room}", &port).unwrap(), "a 7 b 8 {room}");
        assert_eq!(fill("no mark", &port).unwrap(), "no mark");
        let of_shell = "port=1; a ${port} ${port:-80} ${ports}";
        assert_eq!(fill(&format!("{of_shell} {{port}}"), &port).unwrap(), format!("{of_shell} 7"));
        for wrong in ["{port", "{ports}", "{port:udp}"] {
            assert!(fill(wrong, &port).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_url_is_no_command() {
        for url in ["ws://127.0.0.1:1/", "htp://x", "ws+unix:/run/a.sock:/chat", "unix:/run/a.sock"] {
            assert!(is_url(url), "{url}");
        }
        for command in ["./server --at ws://127.0.0.1:{port}", "://", "ws//127.0.0.1", "server"] {
            assert!(!is_url(command), "{command}");
        }
    }

    #[test]
    fn ports_differ_and_leave_those_of_the_system_alone() {
        let mut picker = Picker { held: Vec::new(), below: 32_768 };
        let ports: Vec<u16> = (0..20).map(|_| picker.pick().unwrap()).collect();
        assert!(ports.iter().all(|port| (LOWEST..32_768).contains(port)));
        assert!(ports.iter().enumerate().all(|(at, port)| !ports[..at].contains(port)));
    }
}
