//! Finding agents: everyone is asked, and those are chosen that can work for this run.

use crate::bus::{BusError, Carrier, Inbox, Received};
use crate::clock::{MILLI, Nanos, SECOND};
use crate::cluster::agent::Card;
use crate::cluster::agent::words::{PROTOCOL, State, Subjects, Who};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

/// From one asking to the next.
const ASK_EVERY: Nanos = 500 * MILLI;
/// Where everyone is wanted: so long nobody new must have answered.
const ALL_QUIET: Nanos = 2 * SECOND;
/// Cards that are kept.
const MOST_CARDS: usize = 10_000;

/// Which agents are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// `None`: all that are there.
    pub how_many: Option<NonZeroU32>,
    /// How long to wait for them.
    pub wait: Duration,
    /// That they must have.
    pub labels: Vec<(String, String)>,
    /// Before all subjects.
    pub prefix: String,
}

/// Agents that can be hired.
pub struct Found {
    pub(super) subjects: Subjects,
    pub(super) run: String,
    pub cards: Vec<Card>,
    /// Why others can't be, in words.
    pub left_out: Vec<String>,
}

impl Found {
    /// To whatever they say.
    pub(in crate::cluster) async fn listen<C: Carrier>(&self, carrier: &C) -> Result<C::Inbox, BusError> {
        carrier.subscribe(&self.subjects.from(&self.run, "*")).await
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("{wanted} wanted, and after {} there {there}{}", crate::units::Span(*.after), listed(.left_out))]
    TooFew { wanted: String, after: Duration, there: String, left_out: Vec<String> },
}

fn listed(left_out: &[String]) -> String {
    left_out.iter().map(|why| format!("\n  not counted: {why}")).collect()
}

/// Asks until there are as many as are wanted, or the time is up.
///
/// # Errors
/// If there are too few, with who was there.
pub async fn find<C: Carrier>(carrier: &C, wanted: &Wanted) -> Result<Found, FindError> {
    let subjects = Subjects::new(&wanted.prefix);
    let run = format!("{:016x}", rand::random::<u64>());
    let mut answers = carrier.subscribe(&subjects.cards_for(&run)).await?;
    let mut arrivals = carrier.subscribe(&subjects.cards()).await?;
    let who = serde_json::to_vec(&Who { run: run.clone() }).unwrap_or_default();
    let began = carrier.now();
    let until = began.saturating_add(u64::try_from(wanted.wait.as_nanos()).unwrap_or(Nanos::MAX));
    let (mut cards, mut newest, mut ask_at) = (BTreeMap::new(), began, began);
    loop {
        let now = carrier.now();
        if now >= ask_at {
            carrier.publish(&subjects.who(), who.clone()).await?;
            ask_at = now + ASK_EVERY;
        }
        let (fit, left_out) = sorted(&cards, &wanted.labels);
        let is_enough = match wanted.how_many {
            Some(n) => fit.len() >= n.get() as usize,
            None => !fit.is_empty() && now >= (newest + ALL_QUIET).min(until),
        };
        if is_enough {
            let n = wanted.how_many.map_or(fit.len(), |n| n.get() as usize);
            let cards = fit.into_iter().take(n).cloned().collect();
            return Ok(Found { subjects, run, cards, left_out });
        }
        if now >= until {
            return Err(too_few(wanted, &fit, left_out));
        }
        let sleep = tokio::time::sleep(Duration::from_nanos(ask_at.min(until) - now));
        let received = tokio::select! {
            received = answers.next() => received.ok_or(BusError::Closed)?,
            received = arrivals.next() => received.ok_or(BusError::Closed)?,
            () = sleep => continue,
        };
        if take_in(&mut cards, &received) {
            newest = carrier.now();
        }
    }
}

/// True if it is of someone who wasn't known.
fn take_in(cards: &mut BTreeMap<String, Card>, received: &Received) -> bool {
    let Some(card) = Card::read(&received.bytes) else { return false };
    if cards.len() >= MOST_CARDS && !cards.contains_key(&card.id) {
        return false;
    }
    cards.insert(card.id.clone(), card).is_none()
}

/// Who can be hired, by name; and why others can't.
fn sorted<'a>(cards: &'a BTreeMap<String, Card>, labels: &[(String, String)]) -> (Vec<&'a Card>, Vec<String>) {
    let (mut fit, mut left_out) = (Vec::new(), Vec::new());
    for card in cards.values() {
        match flaw(card, labels) {
            None => fit.push(card),
            Some(why) => left_out.push(format!("agent `{}`: {why}", card.name)),
        }
    }
    fit.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    left_out.sort();
    (fit, left_out)
}

/// Why an agent can't work for this run.
fn flaw(card: &Card, labels: &[(String, String)]) -> Option<String> {
    let own = env!("CARGO_PKG_VERSION");
    if card.version != own || card.protocol != PROTOCOL {
        return Some(format!("it is of version {}, and this is {own}: all must be of one", card.version));
    }
    let lacking = labels.iter().find(|(key, value)| card.labels.get(key) != Some(value));
    match (lacking, card.state) {
        (Some((key, value)), _) => Some(format!("it hasn't the label {key}={value}")),
        (None, State::Busy) => Some("it works for another run".to_owned()),
        (None, State::Idle) => None,
    }
}

fn too_few(wanted: &Wanted, fit: &[&Card], left_out: Vec<String>) -> FindError {
    let counted = |n: usize| if n == 1 { "1 agent is".to_owned() } else { format!("{n} agents are") };
    let names: Vec<String> = fit.iter().map(|card| format!("`{}`", card.name)).collect();
    let there = match fit.is_empty() {
        true => "is none; start some with `wsbench agent` on the same bus and prefix".to_owned(),
        false if fit.len() == 1 => format!("is one: {}", names.join(", ")),
        false => format!("are {}: {}", fit.len(), names.join(", ")),
    };
    let number = wanted.how_many.map_or(1, |n| n.get() as usize);
    FindError::TooFew { wanted: counted(number), after: wanted.wait, there, left_out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(name: &str) -> Card {
        let (version, protocol) = (env!("CARGO_PKG_VERSION").to_owned(), PROTOCOL);
        let labels = BTreeMap::from([("zone".to_owned(), "eu".to_owned())]);
        Card { id: format!("id-{name}"), name: name.to_owned(), version, protocol, labels, ..Card::default() }
    }

    #[test]
    fn who_fits_is_idle_of_this_version_and_has_the_labels() {
        let cards = [
            card("c"),
            card("a"),
            Card { version: "0.0.1".to_owned(), ..card("old") },
            Card { protocol: PROTOCOL + 1, ..card("new") },
            Card { state: State::Busy, ..card("busy") },
            Card { labels: BTreeMap::new(), ..card("plain") },
        ];
        let cards: BTreeMap<String, Card> = cards.into_iter().map(|card| (card.id.clone(), card)).collect();
        let (fit, left_out) = sorted(&cards, &[("zone".to_owned(), "eu".to_owned())]);
        assert_eq!(fit.iter().map(|card| card.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        for words in [
            "`old`: it is of version 0.0.1",
            "`new`: it is of",
            "`busy`: it works",
            "`plain`: it hasn't the label zone=eu",
        ] {
            assert!(left_out.iter().any(|why| why.contains(words)), "{words}: {left_out:?}");
        }
        assert_eq!(sorted(&cards, &[]).0.len(), 3);
    }
}
