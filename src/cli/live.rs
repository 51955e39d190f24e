//! What a person sees while a run goes on: one live line at a terminal, a line for each trial elsewhere.

use super::say;
use crate::clock::{self, Nanos, SECOND};
use crate::cluster::Progress;
use crate::engine::Live;
use crate::measure::{BEYOND_TRIAL, Metric};
use crate::plan::Plan;
use crate::result::Trial;
use crate::schedule::Phase;
use crate::units::{show_nanos, three_digits};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// Shows progress on standard error.
pub(super) struct Display {
    /// `None`: plain lines.
    bar: Option<ProgressBar>,
    is_quiet: bool,
    asked: f64,
    number: u32,
    of: u32,
    /// Agents that were hired, and that were lost; none where the sessions run here.
    agents: (usize, usize),
    /// Messages sent, and when that was: what the achieved rate is worked out from.
    last: (u64, Nanos),
}

impl Display {
    pub(super) fn new(plan: &Plan, is_quiet: bool) -> Display {
        let bar = (!is_quiet && std::io::stderr().is_terminal()).then(|| {
            let trials = u64::from(plan.trials) * plan.cells.len() as u64;
            let style = ProgressStyle::with_template("{bar:10} {pos}/{len}  {wide_msg}")
                .unwrap_or(ProgressStyle::default_bar());
            ProgressBar::new(trials).with_style(style)
        });
        let asked = plan.cells.first().map_or(0.0, |cell| {
            let last = cell.load.schedule.stages.last();
            last.filter(|_| cell.load.schedule.arrival.is_open()).map_or(0.0, |stage| stage.to.per_second())
        });
        Display { bar, is_quiet, asked, number: 0, of: 0, agents: (0, 0), last: (0, 0) }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Hired { agents } => {
                self.agents.0 = agents.len();
                if !self.is_quiet {
                    self.note(&hired(agents));
                }
            }
            Progress::AgentLost { agent, why } => {
                self.agents.1 += 1;
                self.note(&format!("agent `{agent}` was lost: {why}"));
            }
            Progress::Calibrating => self.say("measuring how late this machine wakes an idle process"),
            Progress::TrialStarted { arm, number, of } => {
                (self.number, self.of, self.last) = (*number, *of, (0, clock::now()));
                if self.bar.is_some() {
                    self.say(&format!("{arm}: connecting"));
                }
            }
            Progress::Live { arm, live } => self.live(arm, live),
            Progress::TrialEnded { arm, trial, .. } => self.ended(arm, trial),
        }
    }

    /// Says something that must be seen whatever is being shown.
    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => say::err(text),
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None if self.is_quiet => {}
            None => say::err(text),
        }
    }

    fn live(&mut self, arm: &str, live: &Live) {
        let now = clock::now();
        let elapsed = (now - self.last.1).max(1) as f64 / SECOND as f64;
        let achieved = live.sent.saturating_sub(self.last.0) as f64 / elapsed;
        self.last = (live.sent, now);
        if self.bar.is_none() {
            return;
        }
        let phase = match live.phase {
            Phase::Ramp => "connecting",
            Phase::Warmup => "warmup",
            Phase::Measure => "measuring",
            Phase::Drain => "draining",
        };
        let mut line = format!("{arm}: {phase}, {} open", live.open_sessions);
        if live.phase != Phase::Ramp {
            let asked = if self.asked > 0.0 { format!(" of {}", three_digits(self.asked)) } else { String::new() };
            line += &format!(", {}{asked} msg/s", three_digits(achieved));
        }
        if live.p50 > 0 {
            line += &format!(", p50 {}, p99 {}", show_nanos(live.p50 as f64), show_nanos(live.p99 as f64));
        }
        if live.errors > 0 {
            line += &format!(", {} errors", live.errors);
        }
        match self.agents {
            (0, _) => {}
            (hired, 0) => line += &format!(", {hired} agents"),
            (hired, lost) => line += &format!(", {} of {hired} agents", hired.saturating_sub(lost)),
        }
        self.say(&line);
    }

    fn ended(&self, arm: &str, trial: &Trial) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        let verdict = match (&trial.failure, trial.invalid.first()) {
            (Some(failure), _) => format!("failed: {failure}"),
            (None, Some(reason)) => format!("INVALID: {}", reason.message),
            (None, None) => {
                let counters = trial.outcome.measure;
                let errors: u64 = trial.outcome.errors.values().sum();
                let response = trial.outcome.histograms.get(Metric::ResponseTime);
                let quantile = |q| response.and_then(|h| h.quantile(q, BEYOND_TRIAL));
                let at = |q| quantile(q).map_or("–".to_owned(), |nanos| show_nanos(nanos as f64));
                let mut line = format!(
                    "p50 {}, p99 {}, {} of {} delivered",
                    at(0.5),
                    at(0.99),
                    counters.delivered + counters.late,
                    counters.expected
                );
                if errors > 0 {
                    line += &format!(", {errors} errors");
                }
                line
            }
        };
        let is_bad = trial.failure.is_some() || !trial.is_valid();
        if (self.bar.is_none() && !self.is_quiet) || is_bad {
            self.note(&format!("[{}/{}] {arm}: {verdict}", self.number, self.of));
        }
    }
}

/// Agents that are named.
const NAMED: usize = 10;

fn hired(agents: &[&str]) -> String {
    let mut names: Vec<String> = agents.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    if agents.len() > NAMED {
        names.push(format!("{} more", agents.len() - NAMED));
    }
    format!("hired {}", names.join(", "))
}
