//! `wsbench serve`: the reference target alone.

use super::args::ServeArgs;
use super::exit::Exit;
use super::{oracle, say};
use crate::catalog::TransportKind;
use crate::target::{self, Config, Ports, Tls};
use crate::units::Span;
use std::io;

pub(super) fn serve(args: &ServeArgs) -> anyhow::Result<Exit> {
    let oracle = match oracle::gather(&args.oracle) {
        Ok(oracle) => oracle,
        Err(error) => {
            say::err(&format!("error: {error}"));
            return Ok(Exit::Usage);
        }
    };
    let drawn = || format!("{:016x}", rand::random::<u64>());
    let token = (!args.open).then(|| args.token.clone().unwrap_or_else(drawn));
    let config = Config {
        bind: args.bind,
        ports: Ports { websocket: args.websocket, tcp: args.tcp, udp: args.udp, http: args.http },
        token: token.clone(),
        engine: args.engine,
        delay: args.delay,
        nodelay: true,
        hold: Span::from_millis(25_000),
        echo_self: true,
        core: None,
        oracle,
        tls: args.tls.is_some().then_some(Tls { resumption: true }),
    };
    crate::cluster::raise_open_files_limit();
    let report = target::standalone(&config, |ports, certificate| {
        if let (Some(path), Some(certificate)) = (&args.tls, certificate) {
            std::fs::write(path, certificate.text())
                .map_err(|error| io::Error::other(format!("{} can't be written: {error}", path.display())))?;
        }
        // Nobody may be reading where it listens; it serves all the same.
        drop(say::out(&announce(args, &token, ports)));
        Ok(())
    })?;
    say::out(&format!("received {} messages, delivered {} copies\n", report.received, report.delivered))?;
    if let Some(truth) = &report.truth {
        say::out(&oracle::tell(truth))?;
    }
    Ok(Exit::Done)
}

/// Where it listens, and how `wsbench run` reaches it.
fn announce(args: &ServeArgs, token: &Option<String>, ports: Ports) -> String {
    let at = |port| std::net::SocketAddr::new(args.bind, port);
    let scheme = |kind: TransportKind| kind.scheme(args.tls.is_some());
    let [websocket, tcp, http] = [TransportKind::Websocket, TransportKind::Tcp, TransportKind::Http].map(scheme);
    let query = token.as_ref().map(|t| format!("/?token={t}")).unwrap_or_default();
    let lines = [
        format!("websocket  {websocket}://{}/echo{}", at(ports.websocket), query.trim_start_matches('/')),
        format!("tcp        {tcp}://{}{query}", at(ports.tcp)),
        format!("udp        udp://{}{query}", at(ports.udp)),
        format!("http       {http}://{}{query}", at(ports.http)),
        "ready; Ctrl-C ends it. The protocol is in docs/protocol.md\n".to_owned(),
    ];
    lines.join("\n")
}
