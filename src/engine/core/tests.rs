//! The core under a virtual clock: a simulated target answers each message after a known delay, and what is recorded is
//! compared with what was simulated. No real time passes.

use super::*;
use crate::catalog::{Arrival, Closer, Custom, Dialect, Emit, SocketIo};
use crate::measure::Acknowledgements;
use crate::plan::FirstMessage;
use crate::transport::ErrorClass;
use std::cmp::Reverse;
use world::{Copy, MS, World, chat, echo, payload, setup, udp, websocket};

mod known;
mod world;

fn at(outcome: &Outcome, metric: Metric, q: f64) -> f64 {
    outcome.histograms.get(metric).unwrap().at(q) as f64 / MS as f64
}

#[test]
fn records_the_quantiles_that_were_simulated_to_a_thousandth() {
    let delay = |id: u64| MS + crate::seed::pick(3, id, 20 * MS);
    let fate = |copy: Copy| vec![delay(copy.id)];
    let mut world = World::new(setup(echo(), websocket(), Arrival::Poisson), &fate);
    let outcome = world.run(None);
    let schedule = world.core.setup.cell.load.schedule.clone();
    let mut truth: Vec<Nanos> = schedule
        .arrivals()
        .enumerate()
        .filter(|(_, offset)| *offset >= 100 * MS)
        .map(|(id, _)| delay(id as u64))
        .collect();
    truth.sort_unstable();
    let response = outcome.histograms.get(Metric::ResponseTime).unwrap();
    assert_eq!(response.count(), truth.len() as u64);
    for q in [0.1, 0.5, 0.9, 0.99] {
        let want = truth[(q * truth.len() as f64).ceil() as usize - 1] as f64;
        let got = response.at(q) as f64;
        assert!((got / want - 1.0).abs() <= 0.001, "q {q}: {got} where {want} was simulated");
    }
    assert_eq!(outcome.measure.scheduled, truth.len() as u64);
    assert!(outcome.measure.balance() && outcome.warmup.balance());
}

#[test]
fn a_frozen_generator_shows_in_response_and_lateness_but_not_in_service() {
    let fate = |_: Copy| vec![5 * MS];
    let mut world = World::new(setup(echo(), websocket(), Arrival::Constant), &fate);
    let outcome = world.run(Some((400 * MS, 700 * MS)));
    assert!(at(&outcome, Metric::ResponseTime, 0.99) > 250.0);
    assert!(at(&outcome, Metric::SendLateness, 0.99) > 250.0);
    assert!(at(&outcome, Metric::ServiceTime, 0.95) < 6.0);
    assert!(outcome.measure.late > 0, "answers after the timeout are late");
    assert!(outcome.measure.balance());
}

#[test]
fn a_stalled_target_shows_from_the_due_instant_with_open_arrival_and_hides_with_closed() {
    // The target answers nothing between 400 and 620 ms: whatever reaches it then is answered at 620.
    let fate = |copy: Copy| match copy.at {
        at if (400 * MS..620 * MS).contains(&at) => vec![620 * MS - at],
        _ => vec![MS],
    };
    let p90 = |arrival| {
        let outcome = World::new(setup(echo(), websocket(), arrival), &fate).run(None);
        assert!(outcome.measure.balance());
        at(&outcome, Metric::ResponseTime, 0.9)
    };
    // Of one second's messages a tenth waited 120 ms or longer.
    let open = p90(Arrival::Constant);
    assert!((119.0..=121.0).contains(&open), "{open}");
    assert!(p90(Arrival::Closed) < 2.0);
}

#[test]
fn chat_owes_a_copy_to_everyone_in_the_room() {
    let fate = |copy: Copy| vec![MS * (1 + u64::from(copy.receiver % 5)) + copy.id % 1000];
    let mut world = World::new(setup(chat(), websocket(), Arrival::Poisson), &fate);
    let outcome = world.run(None);
    let counters = outcome.measure;
    assert_eq!(counters.expected, counters.sent * 5);
    assert_eq!((counters.delivered, counters.reach()), (counters.expected, Some(1.0)));
    let last = outcome.histograms.get(Metric::LastReceipt).unwrap();
    assert_eq!(last.count(), counters.sent);
    assert!(last.mean() > outcome.histograms.get(Metric::ResponseTime).unwrap().mean());
}

#[test]
fn datagram_faults_are_counted_exactly() {
    // By id: 20 of 1000 doubled, 50 lost, 30 after the timeout, the rest in time.
    let fate = |copy: Copy| match copy.id % 100 {
        0..2 => vec![MS, 2 * MS],
        2..7 => vec![],
        7..10 => vec![150 * MS],
        _ => vec![MS],
    };
    let mut world = World::new(setup(echo(), udp(), Arrival::Constant), &fate);
    let outcome = world.run(None);
    let counters = outcome.measure;
    assert_eq!((counters.lost, counters.unfinished), (counters.scheduled / 20, 0));
    assert_eq!(counters.duplicate, counters.scheduled / 50);
    assert_eq!(counters.late, counters.scheduled * 3 / 100);
    assert!(counters.balance() && outcome.order_tracked);
}

#[test]
fn overtaken_datagrams_are_reordered() {
    // A session sends every 20 ms; every tenth of its messages takes 30 ms and so arrives after the next.
    let fate = |copy: Copy| vec![if (copy.id / 20).is_multiple_of(10) { 30 * MS } else { MS }];
    let mut world = World::new(setup(echo(), udp(), Arrival::Constant), &fate);
    let outcome = world.run(None);
    let slow = outcome.histograms.get(Metric::ResponseTime).unwrap();
    let overtaken = slow.count() - slow.steps().take_while(|(v, _)| *v < 20 * MS).last().unwrap().1;
    assert!(overtaken > 50);
    assert_eq!(outcome.measure.reordered, overtaken);
}

#[test]
fn what_a_later_message_of_its_sender_overtook_is_lost_and_the_rest_unfinished() {
    // One copy in ten is dropped, and from a second on every other receiver hears nothing any more.
    let came = std::cell::RefCell::new(Vec::new());
    let is_dropped = |id: u64, receiver: u32, at| {
        crate::seed::pick(5, id << 8 | u64::from(receiver), 10) == 0 || (at >= 1000 * MS && receiver.is_multiple_of(2))
    };
    let fate = |copy: Copy| {
        let drops = is_dropped(copy.id, copy.receiver, copy.at);
        came.borrow_mut().push((copy.id, copy.receiver, copy.at, !drops));
        if drops { vec![] } else { vec![MS] }
    };
    let run = |workload, url: bool| {
        came.borrow_mut().clear();
        let mut setup = setup(workload, websocket(), Arrival::Constant);
        if url {
            setup.cell.target = Target::Url("ws://192.0.2.1:80/".parse().unwrap());
        }
        World::new(setup, &fate).run(None)
    };
    for workload in [chat(), echo()] {
        let outcome = run(workload.clone(), true);
        let came = came.borrow();
        // Twenty sessions take turns.
        let is_overtaken =
            |id: u64, receiver| came.iter().any(|c| c.0 > id && c.0 % 20 == id % 20 && c.1 == receiver && c.3);
        let missing = came.iter().filter(|(_, _, at, came)| *at >= 100 * MS && !came);
        let total = missing.clone().count() as u64;
        let lost = missing.filter(|(id, receiver, ..)| is_overtaken(*id, *receiver)).count() as u64;
        let counters = outcome.measure;
        assert_eq!((counters.lost, counters.unfinished), (lost, total - lost));
        assert!(counters.lost > 50 && counters.unfinished > 50 && counters.reordered == 0 && counters.balance());
    }
    let own = run(chat(), false).measure;
    assert!(own.lost == 0 && own.unfinished > 0, "the embedded target's order isn't followed");
    // A slot of a connect workload is another connection each time.
    let connect = Workload::Connect { payload: payload(), first: FirstMessage::Echo, closer: Closer::Client };
    assert_eq!(run(connect, true).measure.lost, 0);
}

#[test]
fn push_at_a_url_is_timed_by_our_own_clock_alone() {
    let fate = |_: Copy| vec![3 * MS];
    let mut setup = setup(Workload::Push { payload: payload(), topics: 4 }, websocket(), Arrival::Constant);
    setup.cell.target = Target::Url("ws://192.0.2.1:80/".parse().unwrap());
    let mut world = World::new(setup, &fate);
    // Were the instant in an arrived message believed, every length would be an hour off.
    world.skew = 3_600_000 * MS;
    let outcome = world.run(None);
    assert_eq!(outcome.measure.delivered, outcome.measure.scheduled * 5);
    // Our own publishers send it, so both stamps of each length are ours.
    for metric in [Metric::ResponseTime, Metric::ServiceTime] {
        let histogram = outcome.histograms.get(metric).unwrap();
        assert_eq!(histogram.count(), outcome.measure.delivered, "{metric:?}");
        let (least, most) = (histogram.at(0.0), histogram.at(1.0));
        assert!(least >= 2 * MS && most <= 5 * MS, "{metric:?}: {least} to {most}");
    }
    assert_eq!(outcome.histograms.get(Metric::SendLateness).unwrap().count(), outcome.measure.scheduled);
}

#[test]
fn events_of_a_target_whose_clock_is_another_belong_to_the_schedule() {
    let fate = |_: Copy| vec![];
    let setup = setup(Workload::Push { payload: payload(), topics: 4 }, websocket(), Arrival::Constant);
    let mut before = World::new(setup.clone(), &fate);
    before.ramp();
    let start = before.start;
    // The target's clock is an hour ahead of ours, and what we take it for is 20 ms behind: events come early.
    let mut world = World::new(setup, &fate);
    let schedule = world.core.setup.cell.load.schedule.clone();
    let mut turns = schedule.turns(4, |_| true);
    for (id, offset) in (0..).zip(schedule.arrivals()) {
        let topic = turns.next_sender().unwrap();
        let tag = Tag { kind: Kind::Event, run: 77, id, due: start + offset + 3_600_000 * MS }.encode().to_vec();
        let at = (start + offset).saturating_sub(20 * MS);
        for member in (0..20).filter(|session| session % 4 == topic) {
            let twice = if id % 10 == 0 { 2 } else { 1 };
            (0..twice).for_each(|n| world.flying.push(Reverse((at, 2 * id + n, member, tag.clone()))));
        }
    }
    let outcome = world.run(None);
    let (warmup, measure) = (outcome.warmup, outcome.measure);
    assert_eq!((measure.delivered, warmup.delivered), (measure.scheduled * 5, warmup.scheduled * 5));
    assert_eq!((measure.unmatched, warmup.unmatched, measure.foreign), (0, 0, 0));
    assert_eq!(measure.duplicate + warmup.duplicate, (measure.scheduled + warmup.scheduled).div_ceil(10) * 5);
    assert_eq!(outcome.histograms.get(Metric::ResponseTime).unwrap().count(), measure.delivered);
}

#[test]
fn an_embedded_target_may_push_by_the_clock_of_another_machine() {
    for ahead in [0, 3_600_000 * MS, 0u64.wrapping_sub(3_600_000 * MS)] {
        let push = setup(Workload::Push { payload: payload(), topics: 4 }, websocket(), Arrival::Constant);
        let mut core = Core::new(push, 0);
        let mut actions = Vec::new();
        core.advance(100 * MS, &mut actions);
        for session in 0..20 {
            core.on(100 * MS, Event::Opened { session, phases: ConnectPhases::default() }, &mut actions);
        }
        let start = 4_000_000 * MS;
        let measure_from = start + 100 * MS;
        let window = Window { start, measure_from, measure_to: measure_from + 1000 * MS, drain_to: start + 1600 * MS };
        core.on(100 * MS, Event::Start(window), &mut actions);
        let mut hear = |core: &mut Core, id: u64, at: Nanos, session| {
            let due = (start + id * MS).wrapping_add(ahead);
            let payload = Tag { kind: Kind::Event, run: 77, id, due }.encode();
            core.on(start + at, Event::Message { session, payload: &payload }, &mut actions);
        };
        core.advance(start + 300 * MS, &mut Vec::new());
        let member = |core: &Core, id| core.ledger.get(id).unwrap().session;
        let (twice, after) = (member(&core, 150), member(&core, 250));
        (0..2).for_each(|_| hear(&mut core, 150, 300 * MS, twice));
        core.on(start + 300 * MS, Event::Stop, &mut Vec::new());
        // Due before the interrupt, and after it.
        hear(&mut core, 250, 310 * MS, after);
        (0..20).for_each(|session| hear(&mut core, 350, 310 * MS, session));
        core.settle();
        let outcome = core.finish(start + 310 * MS);
        let counters =
            (outcome.measure.duplicate, outcome.measure.unmatched, outcome.measure.delivered + outcome.measure.late);
        assert_eq!(counters, (1, 0, 2), "{ahead}");
    }
}

#[test]
fn strays_and_other_runs_are_told_apart() {
    let fate = |_: Copy| vec![MS];
    let mut world = World::new(setup(echo(), websocket(), Arrival::Constant), &fate);
    let tag = |run, id| Tag { kind: Kind::Message, run, id, due: 0 }.encode().to_vec();
    for stray in [b"hello".to_vec(), tag(1, 0), tag(77, 9_999_999)] {
        world.flying.push(Reverse((300 * MS, 0, 3, stray)));
    }
    let outcome = world.run(None);
    let counters = outcome.measure;
    assert_eq!((counters.foreign, counters.unmatched, counters.duplicate), (2, 1, 0));
    assert!(outcome.measure.balance());
}

#[test]
fn closed_arrival_keeps_one_in_flight_and_survives_a_lost_answer() {
    let fate = |copy: Copy| if copy.id == 50 { vec![] } else { vec![10 * MS] };
    let mut world = World::new(setup(echo(), udp(), Arrival::Closed), &fate);
    let outcome = world.run(None);
    let all = outcome.measure.sent + outcome.warmup.sent;
    // 20 sessions, one message each 10 ms over 1.1 s; one session pauses for the 100 ms timeout.
    assert!((2160..=2200).contains(&all), "{all}");
    assert_eq!(outcome.measure.lost + outcome.warmup.lost, 1);
}

#[test]
fn closed_arrival_is_not_woken_for_those_who_have_their_answer() {
    let fate = |_: Copy| vec![10 * MS];
    let mut world = World::new(setup(echo(), websocket(), Arrival::Closed), &fate);
    let outcome = world.run(None);
    assert!(outcome.measure.delivered > 1900);
    assert!(world.wakes < 50, "{} for {} messages", world.wakes, outcome.measure.delivered);
}

#[test]
fn an_answer_counts_as_the_message_does_that_it_stands_for() {
    // Some come late, some twice, some never.
    let fate = |copy: Copy| match copy.id % 100 {
        0..2 => vec![MS, 2 * MS],
        2..7 => vec![],
        7..10 => vec![150 * MS],
        _ => vec![MS + copy.id % 1000],
    };
    for arrival in [Arrival::Constant, Arrival::Closed] {
        let run = |has_answers| {
            let mut world = World::new(setup(echo(), websocket(), arrival), &fate);
            world.has_answers = has_answers;
            world.run(None)
        };
        let (message, answer) = (run(false), run(true));
        assert!(answer.measure.late > 0 && answer.measure.unfinished > 0 && answer.measure.balance());
        assert_eq!((answer.measure, answer.measure.duplicate > 0), (message.measure, true), "{arrival}");
        for metric in [Metric::ResponseTime, Metric::ServiceTime] {
            let (message, answer) = (message.histograms.get(metric).unwrap(), answer.histograms.get(metric).unwrap());
            assert_eq!((message.count(), message.mean()), (answer.count(), answer.mean()), "{metric:?}");
        }
    }
}

/// An echo whose requests get three replies each.
fn three_replies(arrival: Arrival) -> Setup {
    let mut setup = setup(echo(), websocket(), arrival);
    let custom = Custom { replies: 3.try_into().unwrap(), ..Custom::default() };
    setup.cell.dialect = Dialect::Custom(Box::new(custom));
    setup
}

#[test]
fn every_one_of_several_replies_is_owed_and_the_last_ends_the_wait() {
    // The third reply of every tenth request doesn't come.
    let fate = |copy: Copy| if copy.id.is_multiple_of(10) { vec![MS, 3 * MS] } else { vec![MS, 3 * MS, 7 * MS] };
    for has_answers in [false, true] {
        let mut world = World::new(three_replies(Arrival::Constant), &fate);
        world.has_answers = has_answers;
        let outcome = world.run(None);
        let counters = outcome.measure;
        assert_eq!((counters.expected, counters.unfinished), (3 * counters.sent, counters.sent / 10));
        assert_eq!((counters.duplicate, counters.unmatched, counters.foreign), (0, 0, 0));
        assert!(counters.balance());
        let count = |metric| outcome.histograms.get(metric).unwrap().count();
        assert_eq!(count(Metric::ResponseTime), counters.delivered);
        assert_eq!(count(Metric::LastReceipt), counters.sent - counters.sent / 10);
        assert_eq!(at(&outcome, Metric::LastReceipt, 0.5).round(), 7.0);
        assert_eq!(at(&outcome, Metric::ResponseTime, 0.2).round(), 1.0);
    }
}

#[test]
fn closed_arrival_waits_for_the_last_of_several_replies() {
    let fate = |_: Copy| vec![MS, 2 * MS, 20 * MS];
    let outcome = World::new(three_replies(Arrival::Closed), &fate).run(None);
    // 20 sessions, one request each 20 ms over 1.1 s.
    let all = outcome.measure.sent + outcome.warmup.sent;
    assert!((1080..=1120).contains(&all), "{all}");
}

#[test]
fn a_reply_too_many_is_a_duplicate() {
    let fate = |_: Copy| vec![MS, 2 * MS, 3 * MS, 4 * MS];
    let outcome = World::new(three_replies(Arrival::Constant), &fate).run(None);
    let counters = outcome.measure;
    // The run ends with the last reply that is owed.
    assert_eq!((counters.duplicate, counters.delivered), (counters.sent - 1, counters.expected));
}

#[test]
fn a_target_that_answers_in_its_own_order_is_seen_to() {
    // A session sends every 20 ms; every tenth of its messages takes 30 ms, over a transport that keeps the order.
    let fate = |copy: Copy| vec![if (copy.id / 20).is_multiple_of(10) { 30 * MS } else { MS }];
    let mut custom = three_replies(Arrival::Constant);
    custom.cell.dialect = Dialect::Custom(Box::default());
    let outcome = World::new(custom, &fate).run(None);
    assert!(outcome.order_tracked && outcome.measure.reordered > 50, "{:?}", outcome.measure);
}

#[test]
fn acknowledgements_are_counted_beside_deliveries_and_waited_for() {
    let mut setup = setup(chat(), websocket(), Arrival::Constant);
    let publish = Some(Emit { ack: true, ..Emit::default() });
    setup.cell.dialect =
        Dialect::SocketIo(Box::new(SocketIo { publish, receive: Some(Default::default()), ..SocketIo::default() }));
    let fate = |_: Copy| vec![MS];
    let mut world = World::new(setup, &fate);
    // The last ones come long after the last delivery.
    world.acknowledges = Some(300 * MS);
    // Of what was never sent, and of what was acknowledged before, by anyone.
    for (at, session, id) in [(400 * MS, 0, 9_999_999), (900 * MS, 0, 0), (900 * MS, 1, 0)] {
        world.flying.push(Reverse((at, 0, session, world::acknowledgement(id))));
    }
    let outcome = world.run(None);
    let Acknowledgements { asked, matched, unmatched } = outcome.acknowledgements;
    assert_eq!((asked, matched, unmatched), (outcome.warmup.sent + outcome.measure.sent, asked, 3));
    assert_eq!((outcome.measure.unmatched, outcome.measure.duplicate), (0, 0));
}

#[test]
fn connects_are_counted_from_due_to_first_message_and_slots_are_used_again() {
    for (first, closer) in [(FirstMessage::Greeting, Closer::Client), (FirstMessage::Echo, Closer::Client)] {
        let workload = Workload::Connect { payload: world::payload(), first, closer };
        let fate = |_: Copy| vec![7 * MS];
        let mut world = World::new(setup(workload, websocket(), Arrival::Constant), &fate);
        let outcome = world.run(None);
        assert_eq!((outcome.measure.scheduled, outcome.measure.delivered), (1000, 1000), "{first:?}");
        assert_eq!(at(&outcome, Metric::FirstMessage, 0.5).round(), 7.0);
        assert!(outcome.sessions.peak <= 20 && outcome.sessions.connected >= 1000);
    }
}

#[test]
fn an_interrupt_counts_what_was_still_to_come_as_skipped() {
    let fate = |_: Copy| vec![MS];
    let setup = setup(echo(), websocket(), Arrival::Constant);
    let total = setup.cell.load.schedule.arrivals().count() as u64;
    let mut world = World::new(setup, &fate);
    world.ramp();
    world.now = world.start + 300 * MS;
    world.step();
    world.core.on(world.now, Event::Stop, &mut Vec::new());
    assert!(!world.core.is_done(world.now), "what was sent may still be answered");
    assert!(world.core.is_done(world.now + 500 * MS));
    world.core.settle();
    let outcome = world.core.finish(world.now);
    assert!(outcome.interrupted && outcome.measure.balance());
    assert_eq!(outcome.measured, 200 * MS, "the window ended where it was interrupted");
    assert_eq!(outcome.measure.scheduled + outcome.warmup.scheduled, total);
    assert!((199..=201).contains(&outcome.measure.sent), "{}", outcome.measure.sent);
}

#[test]
fn a_session_that_failed_is_skipped_not_lost() {
    let mut core = Core::new(setup(echo(), websocket(), Arrival::Constant), 0);
    let mut actions = Vec::new();
    core.advance(100 * MS, &mut actions);
    for action in std::mem::take(&mut actions) {
        let Action::Open { session, .. } = action else { panic!("{action:?}") };
        let failure = Failure::new(ErrorClass::Refused, "nobody there");
        match session {
            0..5 => core.on(100 * MS, Event::OpenFailed { session, failure: &failure }, &mut actions),
            _ => core.on(100 * MS, Event::Opened { session, phases: ConnectPhases::default() }, &mut actions),
        }
    }
    assert!(core.is_ramped() && core.open_sessions() == 15);
    let window = Window { start: 200 * MS, measure_from: 200 * MS, measure_to: 1300 * MS, drain_to: 1500 * MS };
    core.on(100 * MS, Event::Start(window), &mut actions);
    core.advance(1300 * MS, &mut actions);
    core.settle();
    let outcome = core.finish(1300 * MS);
    assert_eq!(outcome.measure.skipped - outcome.measure.scheduled / 4, outcome.measure.scheduled * 3 / 4);
    assert_eq!(outcome.errors["refused"], 5);
    assert_eq!(outcome.sessions.connected, 15);
}

#[test]
fn a_ramp_that_is_behind_opens_a_few_at_a_time_and_waits_for_those_that_are_being_opened() {
    let mut setup = setup(echo(), websocket(), Arrival::Constant);
    setup.cell.load.sessions = 2000;
    let mut core = Core::new(setup, 0);
    let mut actions = Vec::new();
    let late = 3_600_000 * MS;
    core.advance(late, &mut actions);
    assert!((1..100).contains(&actions.len()), "{} at once", actions.len());
    while core.next_wake(late).is_some_and(|at| at <= late) {
        core.advance(late, &mut actions);
    }
    let being_opened = actions.len();
    assert!((100..500).contains(&being_opened), "{being_opened}");
    let phases = ConnectPhases::default();
    core.on(late, Event::Opened { session: 7, phases }, &mut actions);
    core.advance(late, &mut actions);
    assert_eq!(actions.len(), being_opened + 1, "one for one");
}
