//! What of the nchan dialect's settings makes sense, and which payloads its ways of cutting messages apart can carry.

use crate::catalog::{Format, Nchan, TransportKind};
use crate::scenario::{At, Place, Problem};
use crate::wire::PayloadSpec;

/// `place` is that of the settings.
pub(super) fn check(
    nchan: &Nchan,
    place: &Place,
    arm: &At<String>,
    kind: TransportKind,
    payload: &PayloadSpec,
    problems: &mut Vec<Problem>,
) {
    for path in [&nchan.publish, &nchan.info].into_iter().flatten() {
        let is_sendable = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !is_sendable {
            let message = format!("`{path}` is no path on the server");
            let hint = "such as `/pub/{room}`: it begins with `/`, without scheme and host";
            problems.push(Problem::new(place, message).hint(hint));
        }
    }
    if kind == TransportKind::ShortPolling && nchan.info().is_none() {
        let message =
            "interval polling begins nowhere: a first poll without a cursor may be answered with nothing for ever";
        let hint =
            "`publish` or `info` in `[dialect.nchan]` names a location with nchan_publisher, which tells from where on";
        problems.push(Problem::at(arm, message).hint(hint));
    }
    check_payload(arm, kind, payload, problems);
}

/// Whether every payload fits the dialect's way of cutting messages apart.
fn check_payload(arm: &At<String>, kind: TransportKind, payload: &PayloadSpec, problems: &mut Vec<Problem>) {
    let what = match kind {
        TransportKind::Sse => "the lines of an event",
        TransportKind::HttpStreaming => "a line",
        _ => return,
    };
    // nchan takes a message apart at its line feeds, and a line of an event ends at a carriage return as well.
    let ends_lines = |byte| byte == b'\n' || byte == b'\r';
    let message = match &payload.template {
        None if payload.format == Format::Binary => format!("arm `{}`: {what} can't carry binary payloads", arm.value),
        Some(template) if template.bytes().any(ends_lines) => {
            format!("arm `{}`: {what} can't carry a template with line ends", arm.value)
        }
        _ => return,
    };
    problems.push(Problem::at(arm, message).hint("choose text in one line, or leave this arm out"));
}
