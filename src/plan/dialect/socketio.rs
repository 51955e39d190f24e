//! What of the socket.io dialect's settings makes sense, and with which workload.

use crate::catalog::{Emit, Format, SocketIo, WorkloadKind};
use crate::scenario::{Place, Problem, Workload};

/// Events of Socket.IO's own, which nobody may emit.
const RESERVED: &[&str] = &["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// `place` is that of the settings.
pub(super) fn check(settings: &SocketIo, workload: &Workload, place: &Place, problems: &mut Vec<Problem>) {
    let mut refuse = |message: String, hint: &str| problems.push(Problem::new(place, message).hint(hint));
    let SocketIo { namespace, join, publish, receive, .. } = settings;
    if !namespace.starts_with('/') || namespace.contains(',') {
        refuse(format!("`{namespace}` is no namespace"), "it begins with `/`, such as `namespace = \"/chat\"`");
    }
    for (key, emit) in [("join", join), ("publish", publish)] {
        for problem in emit.iter().filter_map(unfit) {
            refuse(format!("`{key}` can't be emitted: {problem}"), "name an event that the server listens to");
        }
    }
    if join.as_ref().is_some_and(|join| join.payloads() > 0) {
        refuse("`join` has `{payload}`, but nothing to publish".to_owned(), "its marks are `{room}` and `{session}`");
    }
    match publish {
        None => refuse(
            "socket.io needs to be told what publishes".to_owned(),
            "write `publish = { event = \"say\", args = [\"{payload}\"] }`",
        ),
        Some(publish) if publish.payloads() != 1 => refuse(
            format!("`publish` has `{{payload}}` {} times instead of once", publish.payloads()),
            "it stands where the message goes, such as `args = [{ msg = \"{payload}\" }]`",
        ),
        Some(publish) => {
            let kind = workload.kind();
            let is_answered = matches!(kind, WorkloadKind::Echo | WorkloadKind::Connect) && publish.ack;
            if receive.is_none() && !is_answered {
                let hint =
                    "write `receive = { event = \"said\" }`; for echo and connect `ack = true` in `publish` will do";
                refuse(format!("socket.io needs to be told what {kind} messages come by"), hint);
            }
        }
    }
    if let Some(receive) = receive.as_ref().filter(|receive| receive.at.split().is_none()) {
        let message = format!("{} is no place in the arguments of `{}`", in_words(&receive.at), receive.event);
        refuse(message, "the first argument is `at = 0`, the field `msg` of it `at = \"/0/msg\"`");
    }
    if let Some(format) = workload.payload_keys().format.filter(|format| format.value == Format::Binary) {
        let message = "socket.io carries payloads as text here; its binary attachments aren't spoken";
        problems.push(Problem::at(format, message).hint("leave `format` out, or write `format = \"text\"`"));
    }
}

fn unfit(emit: &Emit) -> Option<String> {
    match emit.event.as_str() {
        "" => Some("its event has no name".to_owned()),
        own if RESERVED.contains(&own) => Some(format!("`{own}` is an event of Socket.IO's own")),
        _ => None,
    }
}

fn in_words(at: &impl serde::Serialize) -> String {
    serde_json::to_string(at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::plan::{self, Overrides};
    use crate::scenario;

    /// What is wrong with a scenario that has `settings` and `workload`, on two arms.
    fn problems(settings: &str, workload: &str) -> String {
        let text = format!(
            "[workload.{workload}]\n[load]\nsessions = 10\nrate = \"10/s\"\nduration = \"1s\"\n[dialect.\"socket.io\"]\n{settings}\n\
             [target.urls]\nwebsocket = \"ws://h/\"\nlong-polling = \"http://h/\"\n[transports.websocket]\n[transports.long-polling]\n"
        );
        let scenario = scenario::parse("a.toml", &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        plan::build(&scenario, &Overrides::default()).map_or_else(|e| e.render(false), |_| String::new())
    }

    const SAY: &str =
        "publish = { event = \"say\", args = [{ room = \"{room}\", msg = \"{payload}\" }], ack = true }\n";
    const SAID: &str = "receive = { event = \"said\", at = \"/0/msg\" }\n";

    #[test]
    fn settings_that_fit_the_workload_make_a_plan() {
        let join = "join = { event = \"join\", args = [1, 2.5, true, [\"{room}\"]] }\nauth = { token = \"a\", n = { b = 1 } }\n";
        for (settings, workload) in [
            (SAY.to_owned(), "echo"),
            (SAY.to_owned() + SAID, "chat]\nrooms = 2\n#"),
            (format!("namespace = \"/a\"\n{join}{SAY}{SAID}"), "push]\ntopics = 2\n#"),
            (SAY.to_owned(), "connect"),
        ] {
            assert_eq!(problems(&settings, workload), "", "{settings}");
        }
    }

    #[test]
    fn a_table_without_its_quotes_is_told_to_have_them() {
        let text = "[workload.echo]\n[dialect.socket.io]\n[transports.websocket]\n";
        let found = scenario::parse("a.toml", text).unwrap_err().render(false);
        assert!(found.contains("did you mean `[dialect.\"socket.io\"]`, with the quotes?"), "{found}");
        for dated in ["auth = { a = { b = 2020-01-01 } }", "join = { event = \"a\", args = [[2020-01-01]] }"] {
            let text = format!("[workload.echo]\n[dialect.\"socket.io\"]\n{dated}\n[transports.websocket]\n");
            let found = scenario::parse("a.toml", &text).unwrap_err().render(false);
            assert!(found.contains("holds a date"), "{found}");
        }
        let text = "[workload.echo]\n[dialect.\"socket.io\"]\npublsh = 1\n[transports.websocket]\n";
        let found = scenario::parse("a.toml", text).unwrap_err().render(false);
        assert!(found.contains("`[dialect.\"socket.io\"]`") && found.contains("`publish`"), "{found}");
    }

    #[test]
    fn only_what_can_go_over_to_a_websocket_begins_by_polling() {
        let text = "[workload.echo]\n[transports.websocket]\nstart = \"polling\"\n";
        let scenario = scenario::parse("a.toml", text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        let found = plan::build(&scenario, &Overrides::default()).unwrap_err().render(false);
        assert!(found.contains("wsbench can't begin by polling"), "{found}");
    }

    #[test]
    fn each_mistake_is_told_once() {
        let room = "chat]\nrooms = 2\n#";
        for (settings, workload, said) in [
            ("", "echo", "what publishes"),
            (SAY, room, "what chat messages come by"),
            ("publish = { event = \"say\", args = [\"{payload}\"] }", "echo", "what echo messages come by"),
            ("publish = { event = \"say\", args = [], ack = true }", "echo", "`{payload}` 0 times"),
            ("publish = { event = \"{payload}\", args = [\"{payload}\"], ack = true }", "echo", "`{payload}` 2 times"),
            ("publish = { event = \"disconnect\", args = [\"{payload}\"], ack = true }", "echo", "Socket.IO's own"),
            (&format!("{SAY}join = {{ event = \"\" }}"), "echo", "its event has no name"),
            (&format!("{SAY}join = {{ event = \"a\", args = [\"{{payload}}\"] }}"), "echo", "`join` has `{payload}`"),
            (&format!("{SAY}receive = {{ event = \"said\", at = \"msg\" }}"), "echo", "\"msg\" is no place"),
            (&format!("{SAY}namespace = \"chat\""), "echo", "`chat` is no namespace"),
            (SAY, "echo]\nformat = \"binary\"\n#", "binary attachments aren't spoken"),
        ] {
            let found = problems(settings, workload);
            assert_eq!(found.matches(said).count(), 1, "{said}:\n{found}");
        }
    }
}
