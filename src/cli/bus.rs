//! What a person should know of the bus while it is in use.

use super::say;
use crate::bus::{Health, Nats};
use std::convert::Infallible;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Says when the connection to the bus is lost and when it is back, and if this process takes messages too slowly; never ends.
pub(super) async fn watch(nats: &Nats) -> Infallible {
    let mut known = nats.health();
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        look.tick().await;
        let now = nats.health();
        changes(&known, &now).iter().for_each(|words| say::err(words));
        known = now;
    }
}

fn changes(before: &Health, now: &Health) -> Vec<String> {
    let mut words = Vec::new();
    let is_new = now.disconnects > before.disconnects;
    match (before.is_connected, now.is_connected) {
        (true, false) => words.push("the bus: the connection is lost; it is tried again and again".to_owned()),
        (false, true) => words.push("the bus: the connection is back".to_owned()),
        (true, true) if is_new => words.push("the bus: the connection was lost for a moment".to_owned()),
        _ => {}
    }
    if now.slow > before.slow {
        words.push(
            "the bus: messages were thrown away, since this process takes them too slowly; they are sent again"
                .to_owned(),
        );
    }
    if let Some(complaint) = now.complaint.as_ref().filter(|_| now.complaint != before.complaint) {
        words.push(format!("the bus: the server objects: {complaint}"));
    }
    words
}

/// `error`, with what the server objected to.
pub(super) fn complaint(nats: &Nats, error: anyhow::Error) -> anyhow::Error {
    match nats.health().complaint {
        Some(complaint) => error.context(format!("the NATS server objected: {complaint}")),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_befalls_the_connection_is_said_once() {
        let fine = Health { is_connected: true, ..Health::default() };
        let gone = Health { is_connected: false, disconnects: 1, ..fine.clone() };
        let back =
            Health { is_connected: true, disconnects: 2, slow: 3, complaint: Some("no".to_owned()), ..gone.clone() };
        assert_eq!(changes(&fine, &fine), [] as [&str; 0]);
        assert!(changes(&fine, &gone)[0].contains("is lost") && changes(&gone, &gone).is_empty());
        let words = changes(&gone, &back);
        for (at, said) in ["is back", "too slowly", "objects: no"].iter().enumerate() {
            assert!(words[at].contains(said), "{words:?}");
        }
        assert!(changes(&fine, &Health { disconnects: 1, ..fine.clone() })[0].contains("for a moment"));
    }
}
