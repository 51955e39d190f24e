//! What befalls a connection to NATS, as the events tell it.

use async_nats::{Event, ServerError};
use std::collections::BTreeSet;

/// Subjects that are remembered as forbidden; who may not publish at all learns that from the first.
const MAX_SUBJECTS: usize = 256;

/// What befell the connection so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    pub is_connected: bool,
    /// How often the connection was lost.
    pub disconnects: u64,
    /// How often messages were thrown away because this process took them too slowly: by itself, or by the server, which then
    /// cuts it off.
    pub slow: u64,
    /// Messages that were not sent because there was no connection, or one that took nothing.
    pub dropped: u64,
    /// What the server objected to last.
    pub complaint: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub health: Health,
    pub may_not_publish: BTreeSet<String>,
    pub may_not_subscribe: BTreeSet<String>,
}

impl State {
    pub fn note(&mut self, event: Event) {
        match event {
            // What is allowed may have changed since.
            Event::Connected => {
                self.may_not_publish.clear();
                self.may_not_subscribe.clear();
            }
            Event::Disconnected => self.health.disconnects += 1,
            Event::SlowConsumer(_) | Event::ServerError(ServerError::SlowConsumer(_)) => self.health.slow += 1,
            Event::ServerError(error) => {
                let words = match error {
                    ServerError::Other(words) => words,
                    error => error.to_string(),
                };
                self.complain(words);
            }
            Event::ClientError(_) | Event::LameDuckMode | Event::Draining | Event::Closed => {}
        }
    }

    fn complain(&mut self, words: String) {
        if words.to_ascii_lowercase().starts_with("slow consumer") {
            self.health.slow += 1;
        }
        let refused = |what: &str| {
            let rest = words.strip_prefix("Permissions Violation for ")?.strip_prefix(what)?.strip_prefix(" to \"")?;
            rest.split('"').next().map(str::to_owned)
        };
        if let Some(subject) = refused("Publish").filter(|_| self.may_not_publish.len() < MAX_SUBJECTS) {
            self.may_not_publish.insert(subject);
        }
        if let Some(subject) = refused("Subscription").filter(|_| self.may_not_subscribe.len() < MAX_SUBJECTS) {
            self.may_not_subscribe.insert(subject);
        }
        self.health.complaint = Some(words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(events: &[&str]) -> State {
        let mut state = State::default();
        for words in events {
            state.note(Event::ServerError(ServerError::Other((*words).to_owned())));
        }
        state
    }

    #[test]
    fn what_the_server_forbids_is_remembered_until_there_is_a_new_connection() {
        let mut state = after(&[
            "Permissions Violation for Publish to \"a.b\"",
            "Permissions Violation for Subscription to \"c.>\" using queue \"q\"",
        ]);
        assert_eq!(state.may_not_publish, BTreeSet::from(["a.b".to_owned()]));
        assert_eq!(state.may_not_subscribe, BTreeSet::from(["c.>".to_owned()]));
        state.note(Event::Disconnected);
        state.note(Event::Connected);
        assert!(state.may_not_publish.is_empty() && state.may_not_subscribe.is_empty());
        assert_eq!(state.health.disconnects, 1);
    }

    #[test]
    fn being_too_slow_is_counted_whoever_says_so() {
        let mut state = after(&["Slow Consumer"]);
        state.note(Event::SlowConsumer(3));
        assert_eq!(state.health.slow, 2);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let words: Vec<_> = (0..1000).map(|n| format!("Permissions Violation for Publish to \"{n}\"")).collect();
        let state = after(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(state.may_not_publish.len(), MAX_SUBJECTS);
    }
}
