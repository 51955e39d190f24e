//! What response time should be if the emulated network were all there is, to be drawn over what was measured.
//!
//! d is one transit. A message first goes up to the target (echo and chat: d; push: it starts there), then down to the
//! receiver (d), and in between it may wait for the transport:
//!
//! - **WebSocket, TCP, UDP, SSE, HTTP streaming** have a way down that is always open: no wait. Publishing by POST goes
//!   up in d as well.
//! - **Short polling**: the client asks, is answered at once and asks again I after the answer, so a request reaches the
//!   target every I + 2d. A message that arrives at a moment of its own waits U(0, I + 2d) for the next one.
//! - **Long polling, batched**: with its answer the target loses the poll until the client's next request reaches it,
//!   R = 2d later. Messages come to a client in a Poisson stream of λ; ρ = λR. Each such gap starts a cycle: ρ messages
//!   are expected to miss (they wait for the gap's end and leave together), and if none did, which has probability e^−ρ,
//!   one message finds the poll open and leaves at once. So of ρ + e^−ρ messages ρ miss: f = ρ / (ρ + e^−ρ). Those are
//!   spread evenly over the gap, as Poisson arrivals are: they wait U(0, 2d).
//! - **Long polling, one message a response**: the answer takes one, the next one waits for the next poll R later: the
//!   waiting time of the queue M/D/1 with service time R. Its mean is ρR / 2(1 − ρ) = dρ / (1 − ρ); from ρ = 1 on it
//!   grows without end. Its distribution is Erlang's (1909): P(W ≤ t) = (1 − ρ) Σ e^−x xᵏ / k!, with x = λ(kR − t),
//!   over k from 0 to t / R.
//!
//! λ is what one client receives: the rate of its room or topic, or its own share of requests. With constant arrivals
//! each client of echo and each topic of push receives evenly; slower than R, long polling always finds the poll open.
//!
//! Left out: the target's and the machine's own time (tens to hundreds of µs), so what is measured lies to the right.

use crate::result::Cell;

/// The predicted response time: `base` plus a wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Transits that every message makes, together, nanoseconds.
    pub base: f64,
    pub extra: Extra,
}

/// How long a message waits for its transport, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Extra {
    None,
    /// A `share` waits U(0, `width`), the others not at all.
    Missed {
        share: f64,
        width: f64,
    },
    /// M/D/1 with this load ρ < 1 and service time.
    Queue {
        load: f64,
        service: f64,
    },
}

/// Why there is no prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unmodelled {
    #[error("no network is emulated, so one transit is not known")]
    NoDelay,
    #[error("there is no model of this workload's response time")]
    Workload,
    #[error("there is no model of this transport")]
    Transport,
    #[error("closed arrival is not a Poisson stream")]
    Closed,
    #[error("there is no model of polling with constant arrivals at this rate")]
    Constant,
    #[error("there is no model of short polling with one message a response")]
    Unbatched,
    #[error("there is no model of a new connection for each request")]
    NoKeepAlive,
    #[error("more messages arrive than one a round trip can carry: the wait grows without end")]
    Diverges,
}

/// Above this load Erlang's alternating sum loses its digits.
const QUEUE_SOLVABLE: f64 = 0.8;

/// What theory says about the response time of `cell`.
pub fn predict(cell: &Cell) -> Result<Prediction, Unmodelled> {
    let d = cell.load.delay as f64;
    if cell.load.delay == 0 {
        return Err(Unmodelled::NoDelay);
    }
    let transits = match cell.workload.as_str() {
        "echo" | "chat" => 2.0,
        "push" => 1.0,
        _ => return Err(Unmodelled::Workload),
    };
    let is_http = matches!(cell.transport.as_str(), "long-polling" | "short-polling" | "sse" | "http-streaming");
    if is_http && cell.settings.iter().any(|(key, value)| key == "keep-alive" && value == "no") {
        return Err(Unmodelled::NoKeepAlive);
    }
    let extra = match cell.transport.as_str() {
        "websocket" | "tcp" | "udp" | "sse" | "http-streaming" => Extra::None,
        "short-polling" => short_polling(cell)?,
        "long-polling" => long_polling(cell)?,
        _ => return Err(Unmodelled::Transport),
    };
    Ok(Prediction { base: transits * d, extra })
}

fn short_polling(cell: &Cell) -> Result<Extra, Unmodelled> {
    if cell.load.batch == Some(false) {
        return Err(Unmodelled::Unbatched);
    }
    // A closed session sends when its answer came, in step with the polls.
    if cell.is_closed() {
        return Err(Unmodelled::Closed);
    }
    let interval = cell.load.poll_interval.unwrap_or(0) as f64;
    Ok(Extra::Missed { share: 1.0, width: interval + 2.0 * cell.load.delay as f64 })
}

fn long_polling(cell: &Cell) -> Result<Extra, Unmodelled> {
    let gap = 2.0 * cell.load.delay as f64;
    let load = received_rate(cell) * gap / 1e9;
    match cell.load.arrival.as_str() {
        "poisson" => {}
        // Evenly spaced further apart than the gap: the poll is always open again.
        "constant" if cell.workload != "chat" && load < 1.0 => return Ok(Extra::None),
        "constant" => return Err(Unmodelled::Constant),
        _ => return Err(Unmodelled::Closed),
    }
    if cell.load.batch != Some(false) {
        return Ok(Extra::Missed { share: load / (load + (-load).exp()), width: gap });
    }
    if load >= 1.0 {
        return Err(Unmodelled::Diverges);
    }
    Ok(Extra::Queue { load, service: gap })
}

/// λ: messages a second that one client receives.
fn received_rate(cell: &Cell) -> f64 {
    let sharing = if cell.load.groups > 0 { cell.load.groups } else { cell.load.sessions };
    cell.load.rate / sharing.max(1) as f64
}

impl Prediction {
    pub fn mean(&self) -> f64 {
        self.base
            + match self.extra {
                Extra::None => 0.0,
                Extra::Missed { share, width } => share * width / 2.0,
                Extra::Queue { load, service } => load * service / (2.0 * (1.0 - load)),
            }
    }

    /// Share of messages with a response time of at most `t`; `None` where only the mean is known.
    pub fn cdf(&self, t: f64) -> Option<f64> {
        let waited = t - self.base;
        if waited < 0.0 {
            return Some(0.0);
        }
        match self.extra {
            Extra::None => Some(1.0),
            Extra::Missed { share, width } => Some(1.0 - share + share * (waited / width).min(1.0)),
            Extra::Queue { load, service } => (load <= QUEUE_SOLVABLE).then(|| erlang(load, waited / service)),
        }
    }

    /// The response time at quantile `q` in 0..1; `None` where only the mean is known.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        match self.extra {
            Extra::None => Some(self.base),
            Extra::Missed { share, width } => {
                let into = ((q - (1.0 - share)) / share).clamp(0.0, 1.0);
                Some(self.base + if share > 0.0 { into * width } else { 0.0 })
            }
            Extra::Queue { service, .. } => {
                let (mut low, mut high) = (self.base, self.base + 20.0 * service);
                for _ in 0..60 {
                    let middle = (low + high) / 2.0;
                    if self.cdf(middle)? < q { low = middle } else { high = middle }
                }
                Some(high)
            }
        }
    }

    /// Points of the distribution function (nanoseconds, share), from the first value to the last quantile worth drawing.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        const STEPS: u32 = 100;
        let Some(end) = self.quantile(0.999) else { return Vec::new() };
        let at = |step: u32| self.base + (end - self.base) * f64::from(step) / f64::from(STEPS);
        let mut points = vec![(self.base, 0.0)];
        points.extend((0..=STEPS).filter_map(|step| Some((at(step), self.cdf(at(step))?))));
        points
    }
}

/// P(W ≤ t) of M/D/1, `t` in service times.
fn erlang(load: f64, t: f64) -> f64 {
    // Beyond 20 service times nothing is left at the loads that come here, and the sum would lose its digits.
    if t > 20.0 {
        return 1.0;
    }
    let mut sum = 0.0;
    let mut factorial = 1.0;
    for k in 0..=(t as u32) {
        factorial *= f64::from(k.max(1));
        let x = load * (f64::from(k) - t);
        sum += (-x).exp() * x.powi(k as i32) / factorial;
    }
    ((1.0 - load) * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MILLI;
    use crate::result::testing;
    use crate::seed;

    const D: f64 = 10.0 * MILLI as f64;

    fn cell(workload: &str, transport: &str) -> Cell {
        let document = testing::of(workload, testing::DELAY);
        document.cells.into_iter().find(|c| c.transport == transport).unwrap()
    }

    #[test]
    fn a_message_crosses_the_network_twice_but_an_event_once() {
        let at = |workload| predict(&cell(workload, "websocket")).unwrap();
        assert_eq!(at("chat"), Prediction { base: 2.0 * D, extra: Extra::None });
        assert_eq!(at("push").base, D);
        assert_eq!(predict(&cell("connect", "websocket")), Err(Unmodelled::Workload));
        assert_eq!(predict(&cell("chat", "sse")).unwrap().mean(), 2.0 * D);
    }

    #[test]
    fn without_an_emulated_network_nothing_is_predicted() {
        let cell = testing::of("chat", 0).cells.remove(0);
        assert_eq!(predict(&cell), Err(Unmodelled::NoDelay));
    }

    #[test]
    fn short_polling_waits_evenly_over_the_interval_and_a_round_trip() {
        let prediction = predict(&cell("push", "short-polling")).unwrap();
        assert_eq!(prediction.mean(), D + (50.0 * MILLI as f64 + 2.0 * D) / 2.0);
        assert_eq!(prediction.quantile(0.5), Some(prediction.mean()));
        assert_eq!(prediction.cdf(prediction.base + 7.0 * D), Some(1.0));
    }

    /// How long messages wait for a simulated client of long polling, ascending, in units of the gap.
    fn simulated(load: f64, batch: bool) -> Vec<f64> {
        // When the next poll is open, and whether messages wait for it already.
        let (mut now, mut open_at, mut pending) = (0.0f64, 0.0f64, false);
        let mut waits = Vec::new();
        for n in 0..400_000 {
            let uniform = (seed::mix(9, n) >> 11) as f64 / (1u64 << 53) as f64;
            now -= (1.0 - uniform).ln() / load;
            if pending && now >= open_at {
                // They left together when the poll came; the next gap began there.
                open_at += 1.0;
                pending = false;
            }
            waits.push((open_at - now).max(0.0));
            if batch && now < open_at {
                pending = true;
            } else {
                open_at = open_at.max(now) + 1.0;
            }
        }
        waits.sort_by(f64::total_cmp);
        waits
    }

    #[test]
    fn batched_long_polling_is_what_a_simulation_shows() {
        for load in [0.1, 0.4, 1.0, 3.0] {
            let waits = simulated(load, true);
            let prediction =
                Prediction { base: 0.0, extra: Extra::Missed { share: load / (load + f64::exp(-load)), width: 1.0 } };
            let mean = waits.iter().sum::<f64>() / waits.len() as f64;
            assert!((mean - prediction.mean()).abs() < 0.01, "ρ {load}: {mean} ≠ {}", prediction.mean());
            for q in [0.5, 0.9, 0.99] {
                let (seen, told) = (waits[(waits.len() as f64 * q) as usize], prediction.quantile(q).unwrap());
                assert!((seen - told).abs() < 0.02, "ρ {load} q {q}: {seen} ≠ {told}");
            }
        }
    }

    #[test]
    fn one_message_a_response_is_what_a_simulation_shows() {
        for load in [0.2, 0.5, 0.8] {
            let waits = simulated(load, false);
            let prediction = Prediction { base: 0.0, extra: Extra::Queue { load, service: 1.0 } };
            let mean = waits.iter().sum::<f64>() / waits.len() as f64;
            assert!((mean / prediction.mean() - 1.0).abs() < 0.05, "ρ {load}: {mean} ≠ {}", prediction.mean());
            for q in [0.9, 0.99] {
                let (seen, told) = (waits[(waits.len() as f64 * q) as usize], prediction.quantile(q).unwrap());
                assert!((seen - told).abs() < 0.05 * told.max(1.0), "ρ {load} q {q}: {seen} ≠ {told}");
            }
        }
    }

    #[test]
    fn long_polling_depends_on_rate_batch_and_arrival() {
        let mut cell = cell("chat", "long-polling");
        // 400/s over 20 rooms, 20 ms of round trip: ρ = 0.4.
        let share = 0.4 / (0.4 + f64::exp(-0.4));
        let Extra::Missed { share: seen, .. } = predict(&cell).unwrap().extra else { panic!() };
        assert!((seen - share).abs() < 1e-12);
        cell.load.batch = Some(false);
        assert!((predict(&cell).unwrap().mean() - (2.0 * D + D * 0.4 / 0.6)).abs() < 1.0);
        cell.load.rate = 1000.0;
        assert_eq!(predict(&cell), Err(Unmodelled::Diverges));
        cell.load.arrival = "closed".into();
        assert_eq!(predict(&cell), Err(Unmodelled::Closed));
    }

    #[test]
    fn periodic_traffic_slower_than_the_round_trip_ties() {
        let mut cell = cell("push", "long-polling");
        cell.load.arrival = "constant".into();
        assert_eq!(predict(&cell).unwrap().extra, Extra::None);
        cell.load.rate = 2000.0;
        assert_eq!(predict(&cell), Err(Unmodelled::Constant));
    }

    #[test]
    fn a_curve_rises_from_its_base_to_its_tail() {
        for extra in [Extra::None, Extra::Missed { share: 0.4, width: D }, Extra::Queue { load: 0.5, service: D }] {
            let curve = Prediction { base: D, extra }.curve();
            assert!(curve.windows(2).all(|w| w[0].0 <= w[1].0 && w[0].1 <= w[1].1 + 1e-9), "{extra:?}");
            assert!(curve.last().unwrap().1 > 0.998);
        }
        let busy = Prediction { base: D, extra: Extra::Queue { load: 0.95, service: D } };
        assert!(busy.curve().is_empty() && busy.mean() > D);
    }
}
