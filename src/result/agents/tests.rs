use super::*;
use crate::clock::MILLI;
use crate::measure::Histogram;
use crate::result::{Evidence, Trial, judge, testing};

fn part(name: &str, response: Nanos, uncertainty: Option<Nanos>) -> AgentPart {
    let mut outcome = Outcome { order_tracked: true, ..Outcome::default() };
    let mut slice = Histogram::default();
    for _ in 0..2000 {
        outcome.histograms.record(Metric::ResponseTime, response);
        outcome.histograms.record(Metric::LastReceipt, 100 * response);
        outcome.histograms.record(Metric::Connect, response);
        slice.record(response);
    }
    outcome.intervals.push(crate::measure::Interval {
        start: 0,
        length: MILLI,
        phase: crate::schedule::Phase::Measure,
        sent: 0,
        delivered: 2000,
        errors: 0,
        response_time: slice.pack(),
    });
    let clock = uncertainty.map(|uncertainty| AgentClock { uncertainty, ..AgentClock::default() });
    AgentPart { name: name.to_owned(), clock, sessions: 7, outcome: Some(outcome.pack()), ..AgentPart::default() }
}

fn push() -> Cell {
    testing::of("push", 0).cells.remove(0)
}

fn left_out(cell: &Cell, agents: &mut [AgentPart]) -> (Outcome, Vec<Absent>) {
    let mut outcome = sum_of_agents(agents).unwrap();
    let absent = leave_out_one_way(cell, &mut outcome, agents);
    assert_eq!(sum_of_agents(agents).unwrap(), outcome, "what is left is still the sum");
    (outcome, absent)
}

#[test]
fn a_figure_over_two_clocks_needs_them_known_to_a_tenth_of_it() {
    let mut agents = [part("a", 10 * MILLI, Some(1)), part("b", 10 * MILLI, Some(1_010_000))];
    let (outcome, absent) = left_out(&push(), &mut agents);
    // 1.01 ms is not below 10 % of 10 ms, and is far below that of 1 s.
    assert!(outcome.histograms.get(Metric::ResponseTime).is_none());
    assert!(outcome.histograms.get(Metric::LastReceipt).is_some() && outcome.histograms.get(Metric::Connect).is_some());
    assert!(outcome.intervals[0].response_time.unpack().unwrap().is_empty());
    assert_eq!(
        absent,
        [Absent {
            metric: Metric::ResponseTime,
            reason:
                "one way, from the target's clock to an agent's; that of agent `b` is known to ± 1.01 ms, which is not \
                     below 10 % of the median of 10.0 ms"
                    .to_owned()
        }]
    );
    let mut agents = [part("a", 11 * MILLI, Some(1)), part("b", 11 * MILLI, Some(1_010_000))];
    let (outcome, absent) = left_out(&push(), &mut agents);
    assert_eq!((outcome.histograms.get(Metric::ResponseTime).unwrap().count(), absent.len()), (4000, 0));
    assert_eq!(outcome.intervals[0].response_time.unpack().unwrap().count(), 4000);
}

#[test]
fn a_clock_that_nobody_measured_says_nothing_unless_its_agent_measured_nothing() {
    let silent = AgentPart { outcome: None, ..part("b", MILLI, None) };
    let mut agents = [part("a", MILLI, Some(1)), silent];
    assert_eq!(leave_out_one_way(&push(), &mut sum_of_agents(&agents).unwrap(), &mut agents), []);
    let (_, absent) = left_out(&push(), &mut [part("a", MILLI, Some(1)), part("b", MILLI, None)]);
    assert_eq!(absent.len(), 2);
    assert!(absent[1].reason.ends_with("the clock of agent `b` was never measured"), "{absent:?}");
}

#[test]
fn figures_of_one_clock_stay() {
    let mut elsewhere = push();
    elsewhere.target = "ws://h/".to_owned();
    for cell in [testing::of("chat", 0).cells.remove(0), elsewhere] {
        let (_, absent) = left_out(&cell, &mut [part("a", MILLI, None)]);
        assert_eq!(absent, []);
    }
    let mut outcome = sum_of_agents(&[part("a", MILLI, None)]).unwrap();
    assert_eq!(leave_out_one_way(&push(), &mut outcome, &mut []), [], "one machine has one clock");
}

#[test]
fn sessions_of_an_agent_that_said_nothing_were_asked_for_and_failed() {
    let silent = AgentPart { outcome: None, lost: Some("gone".to_owned()), ..part("b", MILLI, None) };
    let sum = sum_of_agents(&[part("a", MILLI, None), silent]).unwrap();
    assert_eq!((sum.sessions.asked, sum.errors[LOST]), (7, 7));
    assert_eq!(sum_of_agents(&[]).unwrap(), Outcome { order_tracked: true, ..Outcome::default() });
}

fn judged(agents: &[AgentPart], calibration: Option<&Calibration>) -> crate::result::Judgement {
    let cell = testing::of("echo", 0).cells.remove(0);
    let Trial { generator, .. } = cell.trials[0].clone();
    let outcome = sum_of_agents(agents).unwrap();
    let evidence = Evidence {
        outcome: &outcome,
        generator: &generator,
        target: None,
        load: &cell.load,
        calibration,
        agents,
        absent: &[],
    };
    judge(&evidence)
}

/// An agent that sent `late` nanoseconds late, on a machine that wakes processes by `idle` late.
fn late(name: &str, late: Nanos, idle: Nanos, answers: u64) -> AgentPart {
    let mut outcome = Outcome { order_tracked: true, ..Outcome::default() };
    for _ in 0..answers {
        outcome.histograms.record(Metric::ResponseTime, MILLI);
        outcome.histograms.record(Metric::SendLateness, late);
    }
    let calibration = Some(Calibration { lateness_p50: idle, lateness_p99: idle, samples: 1000 });
    AgentPart { name: name.to_owned(), outcome: Some(outcome.pack()), calibration, ..AgentPart::default() }
}

#[test]
fn one_bad_machine_among_many_is_found_and_named() {
    let mut agents: Vec<AgentPart> = (0..9).map(|n| late(&format!("a{n}"), 1000, 1000, 2000)).collect();
    assert_eq!(judged(&agents, None).invalid, []);
    // A hundredth of all that was sent, which no p99 of the sum would show.
    agents.push(late("bad", 5 * MILLI, 1000, 150));
    let found = judged(&agents, None).invalid;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].code, "late-sends");
    assert!(
        found[0].message.starts_with("agent `bad`: the generator sent late: p90 of lateness is 5.00 ms"),
        "{found:?}"
    );
    agents.extend((0..5).map(|n| late(&format!("b{n}"), 5 * MILLI, 1000, 2000)));
    let found = judged(&agents, None).invalid;
    assert_eq!(found.len(), 1, "one for all of a kind: {found:?}");
    assert!(found[0].message.ends_with("; so it is with agent `b0`, agent `b1`, agent `b2` and 2 more"), "{found:?}");
}

#[test]
fn each_machine_is_judged_by_its_own_idle_pacing_and_the_sum_by_the_worst() {
    // 3 × 2 ms allow 5 ms.
    assert_eq!(judged(&[late("a", 5 * MILLI, 2 * MILLI, 2000)], None).invalid, []);
    let found = judged(&[late("a", 5 * MILLI, 1000, 2000), late("b", 1000, 2 * MILLI, 2000)], None).invalid;
    assert!(found.len() == 1 && found[0].message.starts_with("agent `a`: "), "{found:?}");
    let here = Calibration { lateness_p99: 2 * MILLI, ..Calibration::default() };
    let unknown = AgentPart { calibration: None, ..late("a", 5 * MILLI, 0, 2000) };
    assert_eq!(judged(std::slice::from_ref(&unknown), Some(&here)).invalid, []);
    assert_eq!(judged(&[unknown], None).invalid.len(), 1);
    let all = [late("a", 0, 5, 1), late("b", 0, 9, 1), late("c", 0, 7, 1)];
    assert_eq!(worst_calibration(&all).map(|worst| worst.lateness_p99), Some(9));
}

#[test]
fn lost_agents_are_named_with_their_sessions() {
    let lost = |name: &str, outcome: bool| {
        let part = late(name, 1000, 1000, 2000);
        AgentPart {
            sessions: 12,
            lost: Some("nothing was heard\nof it".to_owned()),
            outcome: part.outcome.clone().filter(|_| outcome),
            ..part
        }
    };
    let found = judged(&[late("a", 1000, 1000, 2000), lost("b\u{1b}[31m", false), lost("c", true)], None).invalid;
    assert_eq!((found.len(), found[0].code.as_str()), (1, "agent-lost"));
    assert_eq!(
        found[0].message,
        "2 of 3 agents were lost: agent `b [31m` (12 sessions, its part is missing): nothing was heard of it; agent `c` (12 \
         sessions, its part is cut short): nothing was heard of it"
    );
}

#[test]
fn clocks_and_labels_in_words() {
    let clock = |offset| AgentClock { offset, uncertainty: 42_000, ..AgentClock::default() }.in_words();
    assert_eq!([clock(1_000_000_000), clock(-5_000)], ["+1.00 s ± 42.0 µs", "−5.00 µs ± 42.0 µs"]);
    assert_eq!(clock(i64::MIN), "−9223372037 s ± 42.0 µs");
    let labels: BTreeMap<String, String> =
        [("zone", "eu"), ("api-key", "hunter2")].map(|(k, v)| (k.into(), v.into())).into();
    assert_eq!(labels_in_words(&redact_labels(&labels)), "api-key=[redacted], zone=eu");
}
