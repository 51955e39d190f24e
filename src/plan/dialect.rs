//! The dialect of an arm: the one that it asks for, or the one that its target will understand, with its settings.

use super::marks::Check;
use crate::catalog::{Dialect, DialectKind, Start, Transport, TransportKind};
use crate::scenario::{self, Arm, At, Dialects, File, Place, Problem, Target};
use crate::values::{self, Marks, Values};
use crate::wire::PayloadSpec;

mod brokers;
mod custom;
mod nchan;
mod socketio;

/// `name` is the arm's, whose transport learns what the dialect asks of it.
pub(super) fn resolve(
    transport: &mut Transport,
    name: &At<String>,
    arm: &Arm,
    file: &File,
    values: &Values,
    problems: &mut Vec<Problem>,
) -> Dialect {
    let (kind, tables, embedded) = (transport.kind(), &file.dialect, matches!(file.target, Target::Embedded(_)));
    let by_scheme = match &file.target {
        Target::Urls(urls) => urls.get(name).and_then(|url| DialectKind::of_scheme(&url.scheme)),
        Target::Embedded(_) => None,
    };
    let spoken = match (&arm.dialect, embedded) {
        (Some(asked), _) => asked.value,
        (None, true) => DialectKind::Wsbench,
        (None, false) => by_scheme.or(tables.only()).unwrap_or_else(|| usual(kind)),
    };
    let place = arm.dialect.as_ref().map_or(&name.place, |asked| &asked.place);
    check(kind, spoken, embedded, place, problems);
    if let Some(named) = by_scheme.filter(|named| *named != spoken) {
        let message = format!("arm `{}` speaks {spoken}, and its URL names {named}", name.value);
        problems.push(Problem::new(place, message).hint(format!("leave `dialect` out, or write {kind}://")));
    }
    if let (true, Some(framing)) = (spoken.is_stream(), &arm.framing) {
        let message = format!("`framing` means nothing to {spoken}, which cuts the stream by itself");
        problems.push(Problem::at(framing, message).hint("leave it out"));
    }
    if let (Transport::Websocket(websocket), None) = (transport, &arm.subprotocols) {
        websocket.subprotocols.extend(spoken.subprotocol().map(str::to_owned));
    }
    if let Some(start) = arm.start.as_ref().filter(|start| start.value == Start::Polling && !spoken.begins_by_polling())
    {
        let message = format!("{spoken} can't begin by polling and go over to the WebSocket");
        problems.push(Problem::at(start, message).hint("leave `start` out, or choose `dialect = \"socket.io\"`"));
    }
    settings(spoken, file, values, place, problems)
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

/// The dialect with what its table says, or with its defaults where it has none; `place` is where it is asked for.
fn settings(spoken: DialectKind, file: &File, values: &Values, place: &Place, problems: &mut Vec<Problem>) -> Dialect {
    fn of<T: Clone + Default>(table: &Option<At<T>>) -> T {
        table.as_ref().map(|table| table.value.clone()).unwrap_or_default()
    }
    fn at<'a, T>(table: &'a Option<At<T>>, otherwise: &'a Place) -> &'a Place {
        table.as_ref().map_or(otherwise, |table| &table.place)
    }
    let (tables, mut found) = (&file.dialect, Vec::new());
    let dialect = match spoken {
        DialectKind::Raw => Dialect::Raw,
        DialectKind::Wsbench => Dialect::Wsbench,
        DialectKind::Nchan => Dialect::Nchan(of(&tables.nchan)),
        DialectKind::SocketIo => Dialect::SocketIo(of(&tables.socket_io)),
        DialectKind::Nats => {
            Dialect::Nats(brokers::nats(of(&tables.nats), file, values, at(&tables.nats, place), &mut found))
        }
        DialectKind::Mqtt => {
            Dialect::Mqtt(brokers::mqtt(of(&tables.mqtt), file, values, at(&tables.mqtt, place), &mut found))
        }
        DialectKind::Custom => {
            Dialect::Custom(tables.custom.as_ref().map(|table| table.value.clone()).unwrap_or_default())
        }
    };
    // What is wrong with a table is wrong for every arm that speaks it.
    found.retain(|problem| !problems.contains(problem));
    problems.append(&mut found);
    dialect
}

/// What makes no sense in the settings of an arm's dialect, for what is asked of it.
pub(super) fn check_settings(
    dialect: &Dialect,
    file: &File,
    arm: &At<String>,
    transport: &Transport,
    payload: &PayloadSpec,
    check: &mut Check,
) {
    let (tables, values, mut found) = (&file.dialect, check.values, Vec::new());
    match dialect {
        Dialect::Nchan(nchan) => {
            nchan::check(nchan, table_place(&tables.nchan, arm), arm, transport.kind(), payload, &mut found);
        }
        Dialect::Custom(custom) => {
            custom::check(custom, file, arm, transport, payload, values, &mut found);
        }
        Dialect::SocketIo(settings) => {
            socketio::check(settings, &file.workload, table_place(&tables.socket_io, arm), &mut found);
        }
        Dialect::Nats(nats) => brokers::check_values_of_nats(nats, values, table_place(&tables.nats, arm), &mut found),
        Dialect::Mqtt(mqtt) => brokers::check_values_of_mqtt(mqtt, values, table_place(&tables.mqtt, arm), &mut found),
        Dialect::Raw | Dialect::Wsbench => {}
    }
    check_names(dialect, tables, values, arm, &mut found);
    // What is wrong with a table is wrong for every arm that speaks it.
    found.retain(|problem| !check.problems.contains(problem));
    check.problems.append(&mut found);
}

/// Where the table of a dialect stands; without one, what the arm is called.
fn table_place<'a, T>(table: &'a Option<At<T>>, arm: &'a At<String>) -> &'a Place {
    table.as_ref().map_or(&arm.place, |table| &table.place)
}

/// Marks that begin as a value does and are none. A custom dialect knows its own.
fn check_names(dialect: &Dialect, tables: &Dialects, values: &Values, arm: &At<String>, problems: &mut Vec<Problem>) {
    let place = match dialect {
        Dialect::Nchan(_) => table_place(&tables.nchan, arm),
        Dialect::SocketIo(_) => table_place(&tables.socket_io, arm),
        Dialect::Nats(_) => table_place(&tables.nats, arm),
        Dialect::Mqtt(_) => table_place(&tables.mqtt, arm),
        Dialect::Raw | Dialect::Wsbench | Dialect::Custom(_) => return,
    };
    let texts = serde_json::to_string(dialect).unwrap_or_default();
    for mark in values::marks(&texts, Marks::Single).filter(|mark| !mark.is_escaped) {
        if values.resembles(mark.name) && !values.knows(mark.name) {
            let hint = scenario::hint(mark.name, "known names", values.names().iter().map(String::as_str));
            problems.push(Problem::new(place, format!("nothing is known of `{{{}}}`", mark.name)).hint(hint));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::{self, Overrides};
    use crate::scenario;

    /// What is wrong with an echo of two sessions that speaks by `table`, with rows of good texts and of bad ones.
    fn problems(table: &str) -> String {
        let text = format!(
            "[workload.echo]\n[load]\nsessions = 2\nrate = \"1/s\"\nduration = \"1s\"\n{table}\n[values]\n\
             user = {{ csv = \"users.csv\" }}\nodd = {{ csv = \"odd.csv\" }}\nn = {{ counter = 7 }}\n\
             [target.urls]\nwebsocket = \"ws://h/\"\n[transports.websocket]\n"
        );
        let scenario =
            scenario::parse("tests/fixtures/a.toml", &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        plan::build(&scenario, &Overrides::default()).map_or_else(|e| e.render(false), |_| String::new())
    }

    #[test]
    fn every_dialect_takes_the_scenarios_values() {
        for table in [
            "[dialect.nats]\nsubject = \"of.{user.name}\"\nqueue = \"q-{n}\"\nuser = \"{user.name}\"\npassword = \"{odd.word}\"",
            "[dialect.mqtt]\ntopic = \"a/{n}\"\nuser = \"{user.name}\"\npassword = \"{user.token}\"",
            "[dialect.nchan]\npublish = \"/pub/{odd.word}\"",
            "[dialect.\"socket.io\"]\nauth = { t = \"{user.token}\" }\n\
             publish = { event = \"{n}\", args = [\"{odd.word} {payload}\"], ack = true }",
            "[dialect.custom]\nopen = [\"I am {user.name}\"]\npublish = { hex = \"{n} {odd.word} {payload}\" }\n\
             http.poll = { path = \"/{odd.word}\", headers = { X = \"{user.name}\" } }",
        ] {
            assert_eq!(problems(table), "");
        }
    }

    #[test]
    fn what_a_dialect_can_not_say_of_a_session_is_told() {
        for (table, said) in [
            ("[dialect.nats]\nsubject = \"of.{odd.word}.{n}\"", "row 2 of `odd.word` can't stand in the `subject`"),
            ("[dialect.mqtt]\ntopic = \"of/{odd.word}/{n}\"", "row 2 of `odd.word` can't stand in the `topic`"),
            ("[dialect.nats]\nsubject = \"of.{user.nam}.{n}\"", "nothing is known of `{user.nam}`"),
            ("[dialect.nchan]\npublish = \"/{user}\"", "nothing is known of `{user}`"),
            ("[dialect.custom]\nopen = [\"{user.nam}\"]", "`{user.nam}` is not known here"),
            ("[dialect.custom]\nhttp.poll = { headers = { X = \"{odd.word}\" } }", "row 3 of `odd.word` can't be sent"),
            ("[dialect.mqtt]\ntopic = \"of/{room}\"", "is one for all sessions"),
        ] {
            let found = problems(table);
            assert!(found.contains(said) && found.matches("error").count() == 1, "{said}:\n{found}");
        }
    }
}
