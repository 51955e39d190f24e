//! Two ends in one process, and a bus between them that does what a seed says.

use crate::bus::packet::{HEADER, Packet};
use crate::bus::{Conversation, HEARTBEAT, MAX_MESSAGE, Peek, forgotten};
use crate::clock::{MILLI, Nanos, SECOND};
use proptest::prelude::*;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

/// What a bus does to each packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    pub loss: f64,
    pub doubling: f64,
    pub delay: (Nanos, Nanos),
}

const FINE: Weather = Weather { loss: 0.0, doubling: 0.0, delay: (MILLI, MILLI) };

/// Two ends and what is on its way between them. Both clocks show the same time.
pub(super) struct Pair {
    pub now: Nanos,
    pub ends: [Conversation; 2],
    pub heard: [Vec<Vec<u8>>; 2],
    weather: Weather,
    random: ChaCha8Rng,
    /// By instant and a running number: to whom, and what.
    on_its_way: BTreeMap<(Nanos, u64), (usize, Vec<u8>)>,
    count: u64,
    pub published: u64,
}

impl Pair {
    pub fn new(limit: usize, weather: Weather, seed: u64) -> Pair {
        let now = SECOND;
        Pair {
            now,
            ends: [(); 2].map(|()| Conversation::new(7, limit, now)),
            heard: Default::default(),
            weather,
            random: ChaCha8Rng::seed_from_u64(seed),
            on_its_way: BTreeMap::new(),
            count: 0,
            published: 0,
        }
    }

    fn publish(&mut self) {
        for from in 0..2 {
            for packet in self.ends[from].packets(self.now) {
                self.published += 1;
                let copies = usize::from(!self.random.random_bool(self.weather.loss))
                    + usize::from(self.random.random_bool(self.weather.doubling));
                for _ in 0..copies {
                    let (least, most) = self.weather.delay;
                    let at = self.now + self.random.random_range(least..=most);
                    self.count += 1;
                    self.on_its_way.insert((at, self.count), (1 - from, packet.clone()));
                }
            }
        }
    }

    /// Goes on to the next thing that happens, or to `end`.
    fn step(&mut self, end: Nanos) {
        self.publish();
        let arrives = self.on_its_way.first_key_value().map(|((at, _), _)| *at);
        let wakes = self.ends.iter().map(Conversation::wake_at);
        let next = wakes.chain(arrives).min().unwrap();
        assert!(next > self.now || arrives == Some(next), "woken for nothing");
        self.now = next.max(self.now).min(end);
        while let Some(entry) = self.on_its_way.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (to, packet) = entry.remove();
            let heard = self.ends[to].hear(&packet, self.now).unwrap();
            self.heard[to].extend(heard);
        }
    }

    pub fn run(&mut self, length: Nanos) {
        let end = self.now + length;
        while self.now < end {
            self.step(end);
        }
    }

    /// Until nothing is unheard; how long that took.
    pub fn settle(&mut self, most: Nanos) -> Nanos {
        let began = self.now;
        while self.ends.iter().any(Conversation::has_unheard) {
            assert!(self.now < began + most, "not settled: {:?}", self.ends.each_ref().map(Conversation::traffic));
            self.step(began + most);
        }
        self.now - began
    }
}

/// A message of that length that no other is like.
pub(super) fn message(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (number * 31 + at * 7 + at / 251) as u8).collect()
}

#[test]
fn a_message_is_said_heard_and_acknowledged() {
    let mut pair = Pair::new(1024, FINE, 1);
    pair.ends[0].say(b"hire").unwrap();
    assert!(pair.ends[0].has_unheard());
    assert_eq!(pair.settle(SECOND), 2 * MILLI);
    assert_eq!(pair.heard, [vec![], vec![b"hire".to_vec()]]);
    // And so is one without a byte.
    pair.ends[1].say(b"").unwrap();
    pair.settle(SECOND);
    assert_eq!(pair.heard[0], [b""]);
}

#[test]
fn a_message_is_cut_where_the_bus_ends_and_put_together_again() {
    let limit = 500;
    let room = limit - HEADER;
    for length in [room - 1, room, room + 1, 2 * room, 300 * room + 17] {
        let mut pair = Pair::new(limit, FINE, 1);
        pair.ends[0].say(&message(1, length)).unwrap();
        pair.ends[0].say(&message(2, 3)).unwrap();
        pair.settle(60 * SECOND);
        assert_eq!(pair.heard[1], [message(1, length), message(2, 3)], "{length}");
        let traffic = pair.ends[0].traffic();
        assert_eq!(traffic.resent, 0, "{length}: {traffic:?}");
        assert!(traffic.bytes_sent <= traffic.packets_sent * limit as u64);
    }
}

#[test]
fn no_packet_is_longer_than_the_bus_carries() {
    let mut end = Conversation::new(1, 200, 0);
    end.say(&message(1, 10_000)).unwrap();
    let packets = end.packets(0);
    assert!(packets.len() > 10);
    assert!(packets.iter().all(|packet| packet.len() <= 200));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn everything_comes_once_and_in_order_whatever_the_bus_does(
        seed in any::<u64>(), loss in 0.0..0.5_f64, doubling in 0.0..0.4_f64, slowest in 1_u64..300,
        lengths in proptest::collection::vec((0..2_usize, 0..3000_usize), 1..30), limit in 130..600_usize,
    ) {
        let weather = Weather { loss, doubling, delay: (MILLI / 10, slowest * MILLI) };
        let mut pair = Pair::new(limit, weather, seed);
        let mut said = [vec![], vec![]];
        for (number, (from, length)) in lengths.into_iter().enumerate() {
            let message = message(number, length);
            pair.ends[from].say(&message).unwrap();
            said[1 - from].push(message);
            pair.run(20 * MILLI);
        }
        pair.settle(600 * SECOND);
        prop_assert_eq!(&pair.heard, &said);
        // What came late comes to nothing.
        pair.run(2 * SECOND);
        prop_assert_eq!(&pair.heard, &said);
        // Both clocks show the same time.
        for end in &pair.ends {
            let offset = end.offset().unwrap();
            prop_assert!(offset.offset.unsigned_abs() <= offset.uncertainty, "{:?}", offset);
        }
    }
}

#[test]
fn a_quiet_end_is_heard_every_half_second() {
    let mut pair = Pair::new(1024, FINE, 1);
    pair.run(10 * SECOND);
    let before = pair.published;
    let mut longest = 0;
    for _ in 0..1000 {
        pair.run(10 * MILLI);
        longest = longest.max(pair.ends[0].silent_for(pair.now));
    }
    assert!((38..=42).contains(&(pair.published - before)), "{}", pair.published - before);
    assert!((HEARTBEAT - 10 * MILLI..=HEARTBEAT).contains(&longest), "{longest}");
}

#[test]
fn the_peers_clock_is_known_well_within_a_second() {
    let mut pair = Pair::new(1024, FINE, 1);
    pair.run(SECOND / 2);
    for end in &pair.ends {
        let offset = end.offset().unwrap();
        assert!(offset.samples >= 8, "{offset:?}");
        assert!(offset.uncertainty <= 2 * MILLI, "{offset:?}");
    }
}

#[test]
fn silence_grows_until_the_peer_is_heard_again_and_nothing_is_lost_by_it() {
    let mut pair = Pair::new(1024, FINE, 1);
    pair.run(5 * SECOND);
    pair.weather.loss = 1.0;
    pair.ends[0].say(b"into the void").unwrap();
    let before = pair.published;
    pair.run(30 * SECOND);
    assert!(pair.ends[1].silent_for(pair.now) >= 29 * SECOND);
    // Two seconds apart at last, beside heartbeats twice a second.
    assert!((120..150).contains(&(pair.published - before)), "{}", pair.published - before);
    let resent = pair.ends[0].traffic().resent;
    assert!((14..25).contains(&resent), "{resent}");
    pair.weather.loss = 0.0;
    pair.settle(3 * SECOND);
    assert_eq!(pair.heard[1], [b"into the void"]);
    assert!(pair.ends[1].silent_for(pair.now) < HEARTBEAT);
}

#[test]
fn only_what_is_missing_is_sent_again() {
    let mut from = Conversation::new(1, 200, 0);
    let mut to = Conversation::new(1, 200, 0);
    from.say(&message(1, 20 * (200 - HEADER))).unwrap();
    let packets = from.packets(0);
    for (at, packet) in packets.iter().enumerate().filter(|(at, _)| *at != 3) {
        assert!(to.hear(packet, MILLI).unwrap().is_empty(), "{at}");
    }
    let answer = to.packets(MILLI);
    assert_eq!(answer.len(), 1);
    assert_eq!(from.hear(&answer[0], 2 * MILLI), Ok(vec![]));
    let again = from.packets(from.wake_at().max(3 * SECOND));
    assert_eq!(again.len(), 1);
    assert_eq!(Packet::read(&again[0]).unwrap().piece.unwrap().number, 3);
    assert_eq!(to.hear(&again[0], 3 * SECOND).unwrap(), [message(1, 20 * (200 - HEADER))]);
}

#[test]
fn what_is_on_its_way_at_once_shrinks_when_much_is_lost() {
    let limit = 64 << 10;
    let mut from = Conversation::new(1, limit, 0);
    from.say(&message(1, 8 << 20)).unwrap();
    let bytes = |packets: Vec<Vec<u8>>| packets.iter().map(Vec::len).sum::<usize>();
    let mut flights = Vec::new();
    let mut now = 0;
    for _ in 0..6 {
        flights.push(bytes(from.packets(now)));
        now += 2 * SECOND;
    }
    assert!(flights[0] <= 256 << 10 && flights[0] > 128 << 10, "{flights:?}");
    assert!(flights[5] <= flights[0] / 3, "{flights:?}");
    assert!(flights[5] > 0);
}

#[test]
fn losses_of_one_flight_make_it_smaller_once() {
    let mut from = Conversation::new(1, 8 << 10, 0);
    for n in 0..5 {
        from.say(b"x").unwrap();
        assert_eq!(from.packets(n * 10 * MILLI).len(), 1);
    }
    // They are given up one after the other.
    for n in 0..5 {
        assert_eq!(from.packets(SECOND + n * 10 * MILLI).len(), 1);
    }
    from.say(&message(1, 1 << 20)).unwrap();
    let sent: usize = from.packets(SECOND + 50 * MILLI).iter().map(Vec::len).sum();
    // Half of 256 KiB.
    assert!((110 << 10..=128 << 10).contains(&sent), "{sent}");
}

#[test]
fn a_path_that_is_slow_is_waited_for() {
    // Slower than one waits at first.
    let weather = Weather { delay: (800 * MILLI, 800 * MILLI), ..FINE };
    let mut pair = Pair::new(1024, weather, 1);
    pair.run(5 * SECOND);
    for number in 0..10 {
        pair.ends[0].say(&message(number, 5000)).unwrap();
        pair.run(SECOND);
    }
    pair.settle(10 * SECOND);
    assert_eq!(pair.ends[0].traffic().resent, 0);
}

#[test]
fn with_nothing_lost_it_soon_takes_a_few_round_trips_only() {
    let weather = Weather { delay: (50 * MILLI, 50 * MILLI), ..FINE };
    let mut pair = Pair::new(256 << 10, weather, 1);
    pair.run(SECOND);
    pair.ends[0].say(&message(1, 16 << 20)).unwrap();
    // Of 100 ms: a quarter, a half, one, two MiB, and four from there on.
    let took = pair.settle(60 * SECOND);
    assert!(took <= 900 * MILLI, "{took}");
    assert_eq!(pair.ends[0].traffic().resent, 0);
}

#[test]
fn too_much_to_say_is_refused_and_what_was_said_stays() {
    let mut end = Conversation::new(1, 1 << 20, 0);
    assert!(end.say(&vec![0; MAX_MESSAGE + 1]).unwrap_err().to_string().contains("is longer"));
    let whole = vec![0; MAX_MESSAGE];
    end.say(&whole).unwrap();
    end.say(&whole).unwrap();
    assert!(end.say(b"x").unwrap_err().to_string().contains("stopped listening"));
}

#[test]
fn it_opens_until_the_peer_is_heard() {
    let mut from = Conversation::new(1, 1024, 0);
    let opening = from.packets(0);
    assert_eq!(Peek::at(&opening[0]), Ok(Peek { conversation: 1, opens: true, forgotten: false }));
    let mut to = Conversation::new(1, 1024, 0);
    to.hear(&opening[0], MILLI).unwrap();
    assert!(to.has_heard() && !from.has_heard());
    let answer = to.packets(MILLI);
    // Whoever was opened to doesn't open.
    assert!(!Peek::at(&answer[0]).unwrap().opens);
    from.hear(&answer[0], 2 * MILLI).unwrap();
    from.say(b"x").unwrap();
    assert!(!Peek::at(&from.packets(2 * MILLI)[0]).unwrap().opens);
}

#[test]
fn who_is_forgotten_knows_at_once_and_falls_silent() {
    let mut pair = Pair::new(1024, FINE, 1);
    pair.ends[0].say(b"x").unwrap();
    pair.settle(SECOND);
    let [end, _] = &mut pair.ends;
    end.say(b"more").unwrap();
    // Of another conversation it means nothing.
    end.hear(&forgotten(8), pair.now).unwrap_err();
    assert!(!end.is_forgotten());
    assert_eq!(end.hear(&forgotten(7), pair.now), Ok(vec![]));
    assert!(end.is_forgotten());
    assert!(end.packets(pair.now + 10 * SECOND).is_empty());
    assert_eq!(end.wake_at(), Nanos::MAX);
}

#[test]
fn what_was_sent_is_counted() {
    let weather = Weather { loss: 0.3, doubling: 0.3, delay: (MILLI, 40 * MILLI) };
    let mut pair = Pair::new(300, weather, 5);
    pair.ends[0].say(&message(1, 20_000)).unwrap();
    pair.settle(100 * SECOND);
    let [from, to] = pair.ends.each_ref().map(Conversation::traffic);
    assert_eq!(from.packets_sent + to.packets_sent, pair.published);
    assert!(from.resent > 0 && to.doubled > 0, "{from:?} {to:?}");
    assert!(to.packets_received < from.packets_sent + from.packets_sent / 2);
    assert!(to.bytes_received > 20_000);
}
