//! The dialect of an arm: the one that it asks for, or the one that its target will understand, with its settings.

use crate::catalog::{Dialect, DialectKind, Format, TransportKind};
use crate::scenario::{Arm, At, Dialects, Place, Problem};
use crate::wire::PayloadSpec;

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
    let settings = settings(spoken, tables);
    check_settings(kind, &settings, tables, place, problems);
    settings
}

/// Whether every payload fits the dialect's way of cutting messages apart.
pub(super) fn check_payload(
    kind: TransportKind,
    name: &At<String>,
    dialect: &Dialect,
    payload: &PayloadSpec,
    problems: &mut Vec<Problem>,
) {
    let Dialect::Nchan(_) = dialect else { return };
    let what = match kind {
        TransportKind::Sse => "the lines of an event",
        TransportKind::HttpStreaming => "a line",
        _ => return,
    };
    // nchan takes a message apart at its line feeds, and a line of an event ends at a carriage return as well.
    let ends_lines = |byte| byte == b'\n' || byte == b'\r';
    let message = match &payload.template {
        None if payload.format == Format::Binary => format!("arm `{}`: {what} can't carry binary payloads", name.value),
        Some(template) if template.bytes().any(ends_lines) => {
            format!("arm `{}`: {what} can't carry a template with line ends", name.value)
        }
        _ => return,
    };
    problems.push(Problem::at(name, message).hint("choose text in one line, or leave this arm out"));
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

/// What a dialect's own settings must keep. `place` is the arm's.
fn check_settings(
    kind: TransportKind,
    dialect: &Dialect,
    tables: &Dialects,
    place: &Place,
    problems: &mut Vec<Problem>,
) {
    let Dialect::Nchan(nchan) = dialect else { return };
    let table = tables.nchan.as_ref().map_or(place, |table| &table.place);
    for path in [&nchan.publish, &nchan.info].into_iter().flatten() {
        let is_sendable = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !is_sendable {
            let message = format!("`{path}` is no path on the server");
            let problem =
                Problem::new(table, message).hint("such as `/pub/{room}`: it begins with `/`, without scheme and host");
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    if kind == TransportKind::ShortPolling && nchan.info().is_none() {
        let message =
            "interval polling begins nowhere: a first poll without a cursor may be answered with nothing for ever";
        let hint =
            "`publish` or `info` in `[dialect.nchan]` names a location with nchan_publisher, which tells from where on";
        problems.push(Problem::new(place, message).hint(hint));
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
