//! The dialect of an arm: the one that it asks for, or the one that its target will understand, with its settings.

use crate::catalog::{Dialect, DialectKind, Start, TransportKind};
use crate::scenario::{Arm, At, Dialects, File, Place, Problem};

mod socketio;

/// `name` is the arm's.
pub(super) fn resolve(
    kind: TransportKind,
    name: &At<String>,
    arm: &Arm,
    tables: &Dialects,
    embedded: bool,
    problems: &mut Vec<Problem>,
) -> Dialect {
    let spoken = match (&arm.dialect, embedded) {
        (Some(asked), _) => asked.value,
        (None, true) => DialectKind::Wsbench,
        (None, false) => tables.only().unwrap_or_else(|| usual(kind)),
    };
    let place = arm.dialect.as_ref().map_or(&name.place, |asked| &asked.place);
    check(kind, spoken, embedded, place, problems);
    if let Some(start) = arm.start.as_ref().filter(|start| start.value == Start::Polling && !spoken.begins_by_polling())
    {
        let message = format!("{spoken} can't begin by polling and go over to the WebSocket");
        problems.push(Problem::at(start, message).hint("leave `start` out, or choose `dialect = \"socket.io\"`"));
    }
    settings(spoken, tables)
}

/// Whether the settings of `dialect` make sense, and with the workload of `file`. `name` is the arm's.
pub(super) fn check_settings(dialect: &Dialect, file: &File, name: &At<String>, problems: &mut Vec<Problem>) {
    let tables = &file.dialect;
    let mut found = Vec::new();
    if let Dialect::SocketIo(settings) = dialect {
        let place = tables.socket_io.as_ref().map_or(&name.place, |table| &table.place);
        socketio::check(settings, &file.workload, place, &mut found);
    }
    // Arms that speak the same have the same problems.
    found.retain(|problem| !problems.contains(problem));
    problems.append(&mut found);
}

fn usual(kind: TransportKind) -> DialectKind {
    if kind.is_http() { DialectKind::Wsbench } else { DialectKind::Raw }
}

fn check(kind: TransportKind, spoken: DialectKind, embedded: bool, place: &Place, problems: &mut Vec<Problem>) {
    if spoken == DialectKind::Raw && kind.is_http() {
        let message = format!("{kind} has no raw dialect: HTTP says nothing about cursors and where to publish");
        let hint = "leave `dialect` out: docs/protocol.md is what it speaks; or describe yours in `[dialect.custom]`";
        problems.push(Problem::new(place, message).hint(hint));
    } else if !spoken.transports().contains(&kind) {
        let over: Vec<&str> = spoken.transports().iter().map(|kind| kind.name()).collect();
        let message = format!("{spoken} isn't spoken over {kind}");
        problems.push(Problem::new(place, message).hint(format!("it is over {}", over.join(", "))));
    } else if spoken != DialectKind::Wsbench && embedded {
        let message = "the embedded target speaks the wsbench dialect alone";
        problems.push(Problem::new(place, message).hint("leave `dialect` out, or name a server in `[target.urls]`"));
    }
}

/// The dialect with what its table says, or with its defaults where it has none.
fn settings(spoken: DialectKind, tables: &Dialects) -> Dialect {
    fn of<T: Clone + Default>(table: &Option<At<T>>) -> T {
        table.as_ref().map(|table| table.value.clone()).unwrap_or_default()
    }
    match spoken {
        DialectKind::Raw => Dialect::Raw,
        DialectKind::Wsbench => Dialect::Wsbench,
        DialectKind::Nchan => Dialect::Nchan(of(&tables.nchan)),
        DialectKind::SocketIo => Dialect::SocketIo(of(&tables.socket_io)),
        DialectKind::Nats => Dialect::Nats(of(&tables.nats)),
        DialectKind::Mqtt => Dialect::Mqtt(of(&tables.mqtt)),
        DialectKind::Custom => Dialect::Custom(of(&tables.custom)),
    }
}
