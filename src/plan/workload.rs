//! `[workload.…]` resolved: groups that fit the sessions, and payloads that can hold the tag.

use super::Workload;
use super::marks::{self, Check, Use};
use crate::catalog::{Arrival, Closer, DialectKind, FirstMessage, Format, TransportKind};
use crate::scenario::{self, At, Payload, PayloadKeys, Place, Problem};
use crate::units::ByteSize;
use crate::values::Marks;
use crate::wire::{FILL_MARK, PayloadSpec, Sizes, TAG_MARK};
use std::num::NonZeroU32;

/// The largest payload, which is also what the embedded target takes.
const LARGEST: u64 = 16 << 20;
const USUAL: ByteSize = ByteSize(128);

/// The workload as an arm of transport `kind` that speaks `dialect` runs it. The arm's own reasons against it are reported at `arm`.
pub(super) fn build(
    workload: &scenario::Workload,
    payload: PayloadSpec,
    kind: TransportKind,
    dialect: DialectKind,
    arm: &At<String>,
    problems: &mut Vec<Problem>,
) -> Workload {
    match workload {
        scenario::Workload::Echo(_) => Workload::Echo { payload },
        scenario::Workload::Chat(chat) => {
            let echo_self = chat.echo_self.as_ref().is_none_or(|e| e.value);
            Workload::Chat { payload, rooms: chat.rooms.get(), echo_self }
        }
        scenario::Workload::Push(push) => Workload::Push { payload, topics: push.topics.get() },
        scenario::Workload::Connect(connect) => {
            let (first, closer) = resolve_connect(connect, kind, dialect, arm, problems);
            Workload::Connect { payload, first, closer }
        }
    }
}

fn resolve_connect(
    connect: &scenario::Connect,
    kind: TransportKind,
    dialect: DialectKind,
    arm: &At<String>,
    problems: &mut Vec<Problem>,
) -> (FirstMessage, Closer) {
    let why_not = match (kind, dialect) {
        (TransportKind::Http, _) => Some("over http the target only answers".to_owned()),
        (_, DialectKind::Wsbench) => None,
        (_, other) => Some(format!("it speaks the {other} dialect")),
    };
    let usual = if why_not.is_some() { FirstMessage::Echo } else { FirstMessage::Greeting };
    let first = connect.first.as_ref().map_or(usual, |f| f.value);
    let closer = connect.close.as_ref().map_or(Closer::Client, |c| c.value);
    let mut refuse = |place: &Place, what: &str, why: &str, hint: &str| {
        let message = format!("{what}, which arm `{}` can't ask for: {why}", arm.value);
        problems.push(Problem::new(place, message).hint(hint));
    };
    if let (Some(why), Some(asked), FirstMessage::Greeting) = (&why_not, &connect.first, first) {
        refuse(
            &asked.place,
            "the target is to greet",
            why,
            "choose `first = \"echo\"`, which works with any echo server",
        );
    }
    if let (Some(why), Some(asked), Closer::Server) = (&why_not, &connect.close, closer) {
        refuse(&asked.place, "the server is to close", why, "choose `close = \"client\"`");
    }
    if first == FirstMessage::Greeting {
        check_greeting(connect, problems);
    }
    (first, closer)
}

/// A greeting is the target's own text: the tag, then dots.
fn check_greeting(connect: &scenario::Connect, problems: &mut Vec<Problem>) {
    let hint = "leave it out, or choose `first = \"echo\"`";
    if let Some(template) = &connect.template {
        problems.push(Problem::at(template, "the target's greeting knows no template").hint(hint));
    }
    if let Some(format) = connect.format.as_ref().filter(|f| f.value == Format::Binary) {
        problems.push(Problem::at(format, "the target's greeting is text").hint(hint));
    }
}

/// Checks that hold for every arm.
pub(super) fn check(workload: &scenario::Workload, load: &scenario::Load, problems: &mut Vec<Problem>) {
    let sessions = &load.sessions;
    match workload {
        scenario::Workload::Chat(chat) => {
            check_groups("rooms", &chat.rooms, sessions, problems);
            if let Some(asked) = chat.echo_self.as_ref().filter(|e| !e.value) {
                check_without_echo(asked, &chat.rooms, load, problems);
            }
        }
        scenario::Workload::Push(push) => check_groups("topics", &push.topics, sessions, problems),
        scenario::Workload::Echo(_) | scenario::Workload::Connect(_) => {}
    }
}

/// Every room and topic has somebody in it.
fn check_groups(what: &str, groups: &At<NonZeroU32>, sessions: &At<NonZeroU32>, problems: &mut Vec<Problem>) {
    if groups.value > sessions.value {
        // The flag is the newcomer where one was given.
        let place = if let Place::Flag(_) = sessions.place { &sessions.place } else { &groups.place };
        let message = format!("{} {what} for {} sessions: some would be empty", groups.value, sessions.value);
        problems.push(Problem::new(place, message).hint(format!("at least as many sessions as {what}")));
    }
}

fn check_without_echo(asked: &At<bool>, rooms: &At<NonZeroU32>, load: &scenario::Load, problems: &mut Vec<Problem>) {
    if *load.arrival == Arrival::Closed {
        let message = "a closed chat waits for a publisher's own copy, so it needs `echo_self`";
        problems.push(Problem::at(asked, message).hint("leave `echo_self` out, or choose open arrival"));
    } else if load.sessions.get() < rooms.get().saturating_mul(2) {
        let message = "somebody would be alone in a room, and receive nothing without `echo_self`";
        problems.push(Problem::at(asked, message).hint("at least two sessions for each room"));
    }
}

/// The payload that the workload's keys describe; `None` when they contradict each other, which has been reported.
pub(super) fn payload(workload: &scenario::Workload, check: &mut Check) -> Option<PayloadSpec> {
    let keys = workload.payload_keys();
    let found = check.problems.len();
    if let Some(template) = keys.template {
        check.text(template, &template.place, Use::Template);
        check_template(template, keys, check.problems);
    }
    let sizes = keys.payload.map_or(Sizes::Fixed(USUAL), |payload| sizes(payload, check.problems));
    if check.problems.len() > found {
        return None;
    }
    let mut spec = PayloadSpec {
        format: keys.format.map_or(Format::Text, |f| f.value),
        sizes,
        template: keys.template.map(|t| t.value.clone()),
        own: None,
    };
    if let Some((template, lengths)) =
        keys.template.and_then(|t| Some((t, marks::lengths(t, Marks::Double, check.values)?)))
    {
        let fixed = spec.smallest() - lengths.of_marks;
        spec.own = Some((fixed + lengths.least, fixed + lengths.most));
        if let scenario::Workload::Push(_) = workload {
            let problem = Problem::at(template, "an event is nobody's: no session's values can stand in it");
            check.problems.push(problem.hint(format!("leave all marks out but `{TAG_MARK}` and `{FILL_MARK}`")));
        }
    }
    let place = keys.payload.map(|p| &p.place).or(keys.template.map(|t| &t.place)).unwrap_or(&Place::Default);
    let ((least, most), needed) = (spec.range(), spec.smallest());
    if least < needed && spec.has_filler() {
        let what = if spec.template.is_some() { "the template with its tag" } else { "the tag that identifies it" };
        let message = format!("a payload of {least} bytes can't hold {what}, {needed} bytes");
        check.problems.push(Problem::new(place, message).hint(format!("write `payload = \"{needed}B\"` or more")));
    } else if most > LARGEST {
        let message = format!("a payload of {} is larger than 16MiB", ByteSize(most));
        check.problems.push(Problem::new(place, message));
    }
    (check.problems.len() == found).then_some(spec)
}

fn check_template(template: &At<String>, keys: PayloadKeys, problems: &mut Vec<Problem>) {
    let count = |mark| template.matches(mark).count();
    if let Some(format) = keys.format.filter(|f| f.value == Format::Binary) {
        let problem = Problem::at(format, "a template is text, not binary");
        problems.push(problem.hint("leave `format` out, or the template"));
    }
    if count(TAG_MARK) != 1 {
        let message = format!("the template has `{TAG_MARK}` {} times instead of once", count(TAG_MARK));
        let hint = "it stands where the message's identity goes, such as {\"id\":\"{{tag}}\"}";
        problems.push(Problem::at(template, message).hint(hint));
    } else if count(FILL_MARK) > 1 {
        problems.push(Problem::at(template, format!("the template has `{FILL_MARK}` more than once")));
    } else if let (0, Some(payload)) = (count(FILL_MARK), keys.payload) {
        let message = format!("the template has no `{FILL_MARK}`, so a size of the payload means nothing");
        let hint = format!("leave `payload` out, or put `{FILL_MARK}` into the template");
        problems.push(Problem::at(payload, message).hint(hint));
    }
}

fn sizes(payload: &At<Payload>, problems: &mut Vec<Problem>) -> Sizes {
    match &payload.value {
        Payload::Fixed(size) => Sizes::Fixed(*size),
        Payload::Between(range) => {
            if range.min.value > range.max.value {
                let message = format!("the smallest size, {}, is above the largest, {}", *range.min, *range.max);
                problems.push(Problem::at(&range.min, message));
            }
            Sizes::Uniform { min: range.min.value, max: range.max.value }
        }
        Payload::Weighted(list) => {
            if list.is_empty() {
                let problem = Problem::at(payload, "the list of sizes is empty");
                problems.push(problem.hint("write `payload = [{ size = \"128B\", weight = 9 }, …]`"));
            }
            Sizes::Weighted(list.iter().map(|entry| (entry.size.value, entry.weight.get())).collect())
        }
    }
}
