//! Settings of brokers resolved: a subject or topic that fits the workload, and that the broker will take.

use crate::catalog::{Mqtt, Nats};
use crate::plan::marks;
use crate::scenario::{self, File, Place, Problem};
use crate::values::{self, Marks, ROOM, SESSION, Values};

/// MQTT's texts have 64 KiB at most; filling in their marks makes them longer.
const LONGEST: usize = 32 << 10;

/// What sessions share by the workload, and what of a subject or topic tells it from the rest.
struct Sharing {
    /// Its name.
    mark: &'static str,
    why: &'static str,
    /// Whether one session alone makes the mark superfluous.
    is_alone: bool,
}

fn sharing(file: &File) -> Sharing {
    let groups = match &file.workload {
        scenario::Workload::Chat(chat) => chat.rooms.get(),
        scenario::Workload::Push(push) => push.topics.get(),
        scenario::Workload::Echo(_) | scenario::Workload::Connect(_) => {
            let why = "every session would receive what the others send";
            return Sharing { mark: SESSION, why, is_alone: file.load.sessions.get() == 1 };
        }
    };
    Sharing { mark: ROOM, why: "everyone would receive what is meant for other rooms", is_alone: groups == 1 }
}

/// Whether `text` has that mark, or in the place of `{session}` another that tells sessions apart.
fn holds(mark: &str, text: &str, file: &File, values: &Values) -> bool {
    let sessions = file.load.sessions.get();
    let tells = |name: &str| name == mark || mark == SESSION && values.tells_apart(name, sessions);
    values::marks(text, Marks::Single).any(|found| !found.is_escaped && tells(found.name))
}

fn is_for_groups(file: &File) -> bool {
    matches!(file.workload, scenario::Workload::Chat(_) | scenario::Workload::Push(_))
}

/// `place` is the table's.
pub(super) fn nats(said: Nats, file: &File, values: &Values, place: &Place, problems: &mut Vec<Problem>) -> Nats {
    let mut problem = |message: String, hint: &str| problems.push(Problem::new(place, message).hint(hint));
    for (key, text) in [("subject", &said.subject), ("request", &said.request), ("queue", &said.queue)] {
        let wildcard = |part: &str| part.is_empty() || part == "*" || part == ">";
        let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic()) && !text.split('.').any(wildcard);
        if let Some(text) = text.as_ref().filter(|text| !is_plain(text)) {
            let hint = "words between dots, such as `room.{room}`, without spaces and wildcards";
            problem(format!("`{key} = {text:?}` names no subject of NATS"), hint);
        }
    }
    if let (Some(_), Some(_)) = (&said.token, said.user.as_ref().or(said.password.as_ref())) {
        problem("`token` stands in the place of `user` and `password`".to_owned(), "leave one of them out");
    }
    check_user(&said.user, &said.password, place, problems);
    let mut problem = |message: &str, hint: &str| problems.push(Problem::new(place, message).hint(hint));
    if said.request.is_some() {
        if is_for_groups(file) {
            problem("`request` asks a service, which answers the asker alone", "it is for echo and connect");
        }
        if said.subject.is_some() || said.queue.is_some() {
            problem("with `request` nobody subscribes to a `subject` or in a `queue`", "leave one of them out");
        }
        return said;
    }
    if said.queue.as_ref().is_some_and(|queue| !holds(SESSION, queue, file, values)) && is_for_groups(file) {
        let hint = "leave `queue` out, or put `{session}` into it";
        problem("in a queue group one member alone receives a message, where all of a room are to", hint);
    }
    let subject = said.subject.clone().unwrap_or_else(|| usual(file, '.'));
    check_shared("subject", &subject, file, values, place, problems);
    check_echo_self(file, "NATS", problems);
    Nats { subject: Some(subject), ..said }
}

/// `place` is the table's.
pub(super) fn mqtt(said: Mqtt, file: &File, values: &Values, place: &Place, problems: &mut Vec<Problem>) -> Mqtt {
    let is_plain = |text: &str| !text.is_empty() && !text.contains(['+', '#', '\0']) && text.len() <= LONGEST;
    if let Some(topic) = said.topic.as_ref().filter(|topic| !is_plain(topic)) {
        let hint = "levels between slashes, such as `room/{room}`, without wildcards";
        problems.push(Problem::new(place, format!("`topic = {topic:?}` names no topic of MQTT")).hint(hint));
    }
    for (key, text) in [("user", &said.user), ("password", &said.password)] {
        if text.as_ref().is_some_and(|text| text.len() > LONGEST) {
            problems.push(Problem::new(place, format!("`{key}` is longer than MQTT can say")));
        }
    }
    if said.qos > 1 {
        let message = format!("`qos = {}` is none of 0 and 1", said.qos);
        problems.push(Problem::new(place, message).hint("QoS 2 isn't spoken"));
    }
    check_user(&said.user, &said.password, place, problems);
    let topic = said.topic.clone().unwrap_or_else(|| usual(file, '/'));
    check_shared("topic", &topic, file, values, place, problems);
    check_echo_self(file, "MQTT", problems);
    Mqtt { topic: Some(topic), ..said }
}

/// Whether every session's subject can be said, by a line of text.
pub(super) fn check_values_of_nats(nats: &Nats, values: &Values, place: &Place, problems: &mut Vec<Problem>) {
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"*>".contains(&b));
    let fits = |value: &str| value.split('.').all(is_word);
    for (key, text) in [("subject", &nats.subject), ("request", &nats.request), ("queue", &nats.queue)] {
        if let Some((mark, row)) = text.as_ref().and_then(|text| values.unfit(text, fits)) {
            let message = format!("row {row} of `{}` can't stand in the `{key}` of NATS", mark.name);
            problems.push(Problem::new(place, message).hint("words between dots, without spaces and wildcards"));
        }
    }
}

/// Whether every session's topic is one, and what is said of who it is not too long.
pub(super) fn check_values_of_mqtt(mqtt: &Mqtt, values: &Values, place: &Place, problems: &mut Vec<Problem>) {
    let is_plain = |value: &str| !value.contains(['+', '#', '\0']);
    if let Some((mark, row)) = mqtt.topic.as_ref().and_then(|topic| values.unfit(topic, is_plain)) {
        let message = format!("row {row} of `{}` can't stand in the `topic` of MQTT", mark.name);
        problems.push(Problem::new(place, message).hint("levels between slashes, without wildcards"));
    }
    for (key, text) in [("topic", &mqtt.topic), ("user", &mqtt.user), ("password", &mqtt.password)] {
        let most = |text: &String| marks::lengths(text, Marks::Single, values).map_or(0, |values| values.most);
        if text.as_ref().is_some_and(|text| text.len() as u64 + most(text) > u64::from(u16::MAX)) {
            problems.push(Problem::new(place, format!("`{key}` gets longer than MQTT can say by its values")));
        }
    }
}

/// What everyone of a room shares, and else a session has for itself.
fn usual(file: &File, separator: char) -> String {
    if is_for_groups(file) { format!("room{separator}{{room}}") } else { format!("echo{separator}{{session}}") }
}

fn check_shared(key: &str, text: &str, file: &File, values: &Values, place: &Place, problems: &mut Vec<Problem>) {
    let Sharing { mark, why, is_alone } = sharing(file);
    if !is_alone && !holds(mark, text, file, values) {
        let message = format!("`{key} = {text:?}` is one for all sessions: {why}");
        problems.push(Problem::new(place, message).hint(format!("put `{{{mark}}}` into it, or leave it out")));
    }
}

fn check_user(user: &Option<String>, password: &Option<String>, place: &Place, problems: &mut Vec<Problem>) {
    if let (None, Some(_)) = (user, password) {
        problems.push(Problem::new(place, "there is a `password`, and no `user` that it is of"));
    }
}

/// Brokers return a message to its sender if that has subscribed to it.
fn check_echo_self(file: &File, broker: &str, problems: &mut Vec<Problem>) {
    let scenario::Workload::Chat(chat) = &file.workload else { return };
    if let Some(asked) = chat.echo_self.as_ref().filter(|asked| !asked.value) {
        let message = format!("a broker of {broker} returns what a member of a room publishes to that member as well");
        problems.push(Problem::at(asked, message).hint("leave `echo_self` out"));
    }
}
