//! `wsbench serve`: the reference target alone.

use super::args::ServeArgs;
use super::exit::Exit;
use crate::target::{self, Config, Ports};
use crate::units::Span;

pub(super) fn serve(args: &ServeArgs) -> anyhow::Result<Exit> {
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
    };
    crate::cluster::raise_open_files_limit();
    let report = target::standalone(&config, |ports| announce(args, &token, ports))?;
    println!("received {} messages, delivered {} copies", report.received, report.delivered);
    Ok(Exit::Done)
}

fn announce(args: &ServeArgs, token: &Option<String>, ports: Ports) {
    let at = |port| std::net::SocketAddr::new(args.bind, port);
    let query = token.as_ref().map(|t| format!("?token={t}")).unwrap_or_default();
    println!("websocket  ws://{}/echo{query}", at(ports.websocket));
    println!("tcp        tcp://{}", at(ports.tcp));
    println!("udp        udp://{}", at(ports.udp));
    println!("http       http://{}", at(ports.http));
    if let Some(token) = token {
        println!("token      {token}");
    }
    println!("ready; Ctrl-C ends it. The protocol is in docs/protocol.md");
}
