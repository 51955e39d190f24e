//! A coordinator and agents over a simulated network: datagrams are lost, late and out of order, links are cut, the broker restarts
//! and forgets who listens, every machine has its own clock. A seed decides all of it.

mod broker;
mod clock;

use super::exchange::message;
use crate::bus::{Carrier, Conversation, Inbox, Peek, forgotten};
use crate::clock::{MILLI, Nanos, SECOND};
use broker::{Broker, Line};
use clock::Skewed;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const AGENTS: usize = 3;
const MESSAGES: usize = 10;
/// How long a lull may last before somebody is given up.
const GRACE: Nanos = 10 * SECOND;

/// What happened, in order: by the simulation's clock, to whom, and what.
type Trace = Rc<RefCell<Vec<String>>>;

fn trace(trace: &Trace, who: &str, what: String) {
    let at = turmoil::sim_elapsed().unwrap_or_default().as_micros();
    trace.borrow_mut().push(format!("{at} {who} {what}"));
}

/// The trouble of one run.
#[derive(Debug, Clone)]
struct Plan {
    seed: u64,
    loss: f64,
    latency: (Duration, Duration),
    /// Cuts of one agent's link to the broker: who, from when, how long.
    cuts: Vec<(usize, Duration, Duration)>,
    /// When the broker crashes, and for how long it is away.
    restart: (Duration, Duration),
}

impl Plan {
    fn drawn(seed: u64) -> Plan {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let slowest = random.random_range(5..=300);
        let mut millis = |range: std::ops::Range<u64>| Duration::from_millis(random.random_range(range));
        let cuts = (0..AGENTS).map(|agent| (agent, millis(0..8000), millis(1000..4000))).collect();
        let restart = (millis(500..8000), millis(0..2000));
        let loss = random.random_range(0.1..0.3);
        Plan { seed, loss, latency: (Duration::from_millis(1), Duration::from_millis(slowest)), cuts, restart }
    }
}

/// The clock of agent n; the coordinator's is none of them.
fn clock_of(agent: Option<usize>) -> Skewed {
    match agent {
        None => Skewed { ahead: 5 * 3600 * SECOND as i64, drift_ppm: 0.0 },
        Some(n) => Skewed { ahead: (n as i64 * 1_000_000 + 77) * SECOND as i64, drift_ppm: 40.0 * (n as f64 - 1.0) },
    }
}

fn host(agent: usize) -> String {
    format!("agent{agent}")
}

/// Answers each message by itself reversed, until the conversation ends.
async fn agent(n: usize, seen: Trace) -> turmoil::Result {
    let name = host(n);
    let line = Line::new(clock_of(Some(n))).await?;
    let mut inbox = line.subscribe(&format!("w.agent.{n}")).await?;
    let back = format!("w.run.from.{n}");
    let mut conversation: Option<Conversation> = None;
    loop {
        let mut wake = Nanos::MAX;
        if let Some(conversation) = &mut conversation {
            for packet in conversation.packets(line.now()) {
                line.publish(&back, packet).await?;
            }
            wake = conversation.wake_at();
        }
        tokio::select! {
            biased;
            received = inbox.next() => {
                let Some(received) = received else { return Ok(()) };
                let peek = Peek::at(&received.bytes)?;
                if conversation.as_ref().is_none_or(|known| known.id() != peek.conversation) {
                    if !peek.opens {
                        line.publish(&back, forgotten(peek.conversation)).await?;
                        continue;
                    }
                    conversation = Some(Conversation::new(peek.conversation, line.limit(), line.now()));
                }
                let Some(conversation) = &mut conversation else { continue };
                for mut heard in conversation.hear(&received.bytes, line.now())? {
                    trace(&seen, &name, format!("heard {}", heard.len()));
                    heard.reverse();
                    conversation.say(&heard)?;
                }
            }
            () = line.sleep_until(wake) => {}
        }
    }
}

/// What the coordinator saw of one agent.
struct Peer {
    conversation: Conversation,
    said: usize,
    heard: Vec<Vec<u8>>,
    longest_silence: Nanos,
    /// Of the clock: estimates held against the truth, and the last one's uncertainty.
    judged: u64,
    uncertainty: Nanos,
}

/// Talks to all agents, a message every 300 ms to each, and ends once all answers are there.
async fn coordinator(seed: u64, seen: Trace, peers: Rc<RefCell<BTreeMap<usize, Peer>>>) -> turmoil::Result {
    let line = Line::new(clock_of(None)).await?;
    let mut inbox = line.subscribe("w.run.from.*").await?;
    for n in 0..AGENTS {
        let conversation = Conversation::new(seed.wrapping_mul(31) + n as u64, line.limit(), line.now());
        let peer = Peer { conversation, said: 0, heard: vec![], longest_silence: 0, judged: 0, uncertainty: 0 };
        peers.borrow_mut().insert(n, peer);
    }
    let mut say_at = line.now();
    loop {
        let now = line.now();
        if now >= say_at {
            say_at = now + 300 * MILLI;
            for (n, peer) in peers.borrow_mut().iter_mut().filter(|(_, peer)| peer.said < MESSAGES) {
                peer.conversation.say(&said(*n, peer.said))?;
                peer.said += 1;
            }
        }
        let mut packets = Vec::new();
        let mut wake = say_at;
        for (n, peer) in peers.borrow_mut().iter_mut() {
            let due = peer.conversation.packets(line.now());
            packets.extend(due.into_iter().map(|packet| (format!("w.agent.{n}"), packet)));
            wake = wake.min(peer.conversation.wake_at());
            let silence = peer.conversation.silent_for(line.now());
            peer.longest_silence = peer.longest_silence.max(silence);
        }
        for (subject, packet) in packets {
            line.publish(&subject, packet).await?;
        }
        tokio::select! {
            biased;
            received = inbox.next() => {
                let Some(received) = received else { return Ok(()) };
                let n: usize = received.subject.rsplit('.').next().unwrap_or_default().parse()?;
                let mut peers = peers.borrow_mut();
                let Some(peer) = peers.get_mut(&n) else { continue };
                for heard in peer.conversation.hear(&received.bytes, line.now())? {
                    trace(&seen, "coordinator", format!("heard {} of {n}", heard.len()));
                    peer.heard.push(heard);
                }
                judge_clock(n, peer);
            }
            () = line.sleep_until(wake) => {}
        }
        let is_done = |peer: &Peer| peer.heard.len() == MESSAGES && !peer.conversation.has_unheard();
        if peers.borrow().values().all(is_done) {
            return Ok(());
        }
    }
}

fn said(agent: usize, number: usize) -> Vec<u8> {
    message(agent * MESSAGES + number, 1 + (agent * 997 + number * 4999) % 9000)
}

/// The bound on the clock holds, whatever the network did.
fn judge_clock(n: usize, peer: &mut Peer) {
    let Some(offset) = peer.conversation.offset() else { return };
    let truth = clock_of(Some(n)).less(clock_of(None), offset.at);
    let error = (offset.offset - truth).unsigned_abs();
    // Two clocks are rounded to nanoseconds.
    assert!(error <= offset.uncertainty + 4, "agent {n}: {error} off, {offset:?}");
    peer.judged += 1;
    peer.uncertainty = offset.uncertainty;
}

/// What a run left.
struct Ran {
    trace: Vec<String>,
    peers: BTreeMap<usize, Peer>,
    seconds: f64,
}

fn run(plan: &Plan) -> Ran {
    let seen = Trace::default();
    let peers = Rc::new(RefCell::new(BTreeMap::new()));
    let mut sim = turmoil::Builder::new()
        .rng_seed(plan.seed)
        .simulation_duration(Duration::from_secs(300))
        .tick_duration(Duration::from_millis(4))
        .min_message_latency(plan.latency.0)
        .max_message_latency(plan.latency.1)
        // A link that fails is whole again for the next datagram but for this share of them.
        .fail_rate(plan.loss)
        .repair_rate(1.0 - plan.loss)
        .udp_capacity(10_000)
        .build();
    sim.host("broker", || Broker::default().serve());
    for n in 0..AGENTS {
        let seen = seen.clone();
        sim.host(host(n), move || agent(n, seen.clone()));
    }
    sim.client("coordinator", coordinator(plan.seed, seen.clone(), peers.clone()));
    // What the plan has in store, by the millisecond.
    let mut troubles: BTreeMap<Duration, Vec<Trouble>> = BTreeMap::new();
    for (agent, from, length) in &plan.cuts {
        troubles.entry(*from).or_default().push(Trouble::Cut(*agent));
        troubles.entry(*from + *length).or_default().push(Trouble::Mend(*agent));
    }
    let (from, length) = plan.restart;
    troubles.entry(from).or_default().push(Trouble::Crash);
    troubles.entry(from + length).or_default().push(Trouble::Restart);
    loop {
        while let Some(entry) = troubles.first_entry().filter(|entry| *entry.key() <= sim.elapsed()) {
            for trouble in entry.remove() {
                match trouble {
                    Trouble::Cut(agent) => sim.partition(host(agent), "broker"),
                    Trouble::Mend(agent) => sim.repair(host(agent), "broker"),
                    Trouble::Crash => sim.crash("broker"),
                    Trouble::Restart => sim.bounce("broker"),
                }
            }
        }
        if sim.step().unwrap_or_else(|error| panic!("{error}: {plan:?}")) {
            break;
        }
    }
    let seconds = sim.elapsed().as_secs_f64();
    drop(sim);
    let peers = Rc::try_unwrap(peers).unwrap_or_else(|_| panic!("the simulation is over")).into_inner();
    let trace = seen.take();
    Ran { trace, peers, seconds }
}

#[derive(Debug)]
enum Trouble {
    Cut(usize),
    Mend(usize),
    Crash,
    Restart,
}

fn assert_whole(plan: &Plan, ran: &Ran) {
    assert_eq!(ran.peers.len(), AGENTS);
    for (n, peer) in &ran.peers {
        for (number, heard) in peer.heard.iter().enumerate() {
            let mut wanted = said(*n, number);
            wanted.reverse();
            assert!(*heard == wanted, "agent {n}, message {number}: {plan:?}");
        }
        assert!(peer.longest_silence < GRACE, "agent {n} was given up: {} {plan:?}", peer.longest_silence);
        assert!(peer.judged > 10, "agent {n}: its clock was looked at {} times", peer.judged);
        assert!(peer.uncertainty < 400 * MILLI, "agent {n}: {} {plan:?}", peer.uncertainty);
    }
    // What an agent heard, it heard in order and once.
    for n in 0..AGENTS {
        let name = host(n);
        let heard: Vec<usize> =
            ran.trace.iter().filter_map(|line| line.split_once(&format!("{name} heard "))?.1.parse().ok()).collect();
        let wanted: Vec<usize> = (0..MESSAGES).map(|number| said(n, number).len()).collect();
        assert_eq!(heard, wanted, "agent {n}: {plan:?}");
    }
}

#[test]
fn whatever_befalls_the_bus_every_message_comes_once_and_in_order() {
    let mut resent = 0;
    for seed in 0..20 {
        let plan = Plan::drawn(seed);
        let ran = run(&plan);
        assert_whole(&plan, &ran);
        resent += ran.peers.values().map(|peer| peer.conversation.traffic().resent).sum::<u64>();
    }
    assert!(resent > 500, "{resent}");
}

#[test]
fn the_same_seed_is_the_same_run_to_the_microsecond() {
    let traces = [1, 1, 2].map(|seed| run(&Plan::drawn(seed)).trace);
    assert!(traces[0].len() >= 2 * AGENTS * MESSAGES);
    let differs = traces[0].iter().zip(&traces[1]).find(|(one, other)| one != other);
    assert_eq!(differs, None);
    assert_eq!(traces[0].len(), traces[1].len());
    assert_ne!(traces[0], traces[2]);
}

#[test]
fn an_agent_that_is_cut_off_is_silent_for_as_long_and_the_others_are_not() {
    let fine = Plan {
        seed: 1,
        loss: 0.0,
        latency: (Duration::from_millis(1), Duration::from_millis(5)),
        cuts: vec![],
        restart: (Duration::from_secs(200), Duration::ZERO),
    };
    let ran = run(&fine);
    assert_whole(&fine, &ran);
    assert!(ran.peers.values().all(|peer| peer.longest_silence < SECOND));
    assert!(ran.peers.values().all(|peer| peer.uncertainty < 10 * MILLI));
    let cut = Plan { cuts: vec![(1, Duration::from_secs(1), Duration::from_secs(6))], ..fine };
    let ran = run(&cut);
    assert_whole(&cut, &ran);
    let silences: Vec<_> = ran.peers.values().map(|peer| peer.longest_silence).collect();
    assert!(silences[1] >= 5 * SECOND + SECOND / 2, "{silences:?}");
    assert!(silences[0] < SECOND && silences[2] < SECOND, "{silences:?}");
    assert!(ran.seconds >= 7.0);
}

#[test]
fn an_agent_that_begins_anew_says_that_it_knows_nothing() {
    let mut sim = turmoil::Builder::new().rng_seed(3).build();
    let seen = Trace::default();
    sim.host("broker", || Broker::default().serve());
    let watched = seen.clone();
    sim.host("agent0", move || agent(0, watched.clone()));
    sim.client("coordinator", async move {
        let line = Line::new(clock_of(None)).await?;
        let mut inbox = line.subscribe("w.run.from.*").await?;
        let mut conversation = Conversation::new(9, line.limit(), line.now());
        while !conversation.is_forgotten() {
            for packet in conversation.packets(line.now()) {
                line.publish("w.agent.0", packet).await?;
            }
            tokio::select! {
                biased;
                Some(received) = inbox.next() => drop(conversation.hear(&received.bytes, line.now())?),
                () = line.sleep_until(conversation.wake_at()) => {}
            }
        }
        assert!(conversation.has_heard());
        Ok::<(), Box<dyn std::error::Error>>(())
    });
    let mut is_restarted = false;
    while !sim.step().unwrap() {
        if !is_restarted && sim.elapsed() > Duration::from_secs(2) {
            sim.bounce("agent0");
            is_restarted = true;
        }
    }
    assert!(is_restarted);
    assert!(sim.elapsed() < Duration::from_secs(5), "{:?}", sim.elapsed());
}
