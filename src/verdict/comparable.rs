//! What must be the same for a comparison to mean something: the resolved plan, value by value, and the machine.
//!
//! Names, descriptions, the number of trials, seeds and what is written don't change what a trial measures. Of a target's
//! URL its scheme counts, and whether it is on this machine: addresses and ports are where two releases may differ.

use super::Difference;
use crate::result::{Cell, Document, Host};
use crate::units::show_bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Memory may differ by this share: kernels keep more or less of it for themselves.
const MEMORY: f64 = 0.1;
/// Longest text that a value is shown as.
const SHOWN: usize = 60;
/// Keys that don't change what is measured, wherever they stand.
const FREE: [&str; 3] = ["seed", "log", "target"];

/// The cells of both that are to be held against each other, in the base's order.
pub(super) fn in_both<'a>(base: &'a Document, new: &'a Document) -> Vec<(&'a Cell, &'a Cell)> {
    let partner = |cell: &'a Cell| Some((cell, new.cells.iter().find(|other| other.arm == cell.arm)?));
    base.cells.iter().filter_map(partner).collect()
}

/// Everything that differs in the plans of arms that both have, and between the machines.
pub(super) fn differences(base: &Document, new: &Document) -> Vec<Difference> {
    let mut found = Found::default();
    let cells = in_both(base, new);
    for (b, n) in &cells {
        found.arm = Some(b.arm.clone());
        found.told("target", &target(b), &target(n));
        found.walk("", planned(base, &b.arm), planned(new, &b.arm));
    }
    found.arm = None;
    if cells.iter().any(|(b, n)| b.target == EMBEDDED && n.target == EMBEDDED) {
        found.walk("embedded", &base.plan["embedded"], &new.plan["embedded"]);
    }
    found.hosts(&base.meta.host, &new.meta.host);
    found.told("agents", &fleet(base), &fleet(new));
    found.differences()
}

/// The largest fleet that ran a trial: how many machines, and of how many cores. Names are drawn anew wherever something
/// else starts the agents.
fn fleet(document: &Document) -> String {
    let trials = document.cells.iter().flat_map(|cell| &cell.trials);
    let Some(agents) = trials.map(|trial| &trial.agents).max_by_key(|agents| agents.len()).filter(|a| !a.is_empty())
    else {
        return "none".to_owned();
    };
    let mut machines: BTreeMap<u64, usize> = BTreeMap::new();
    agents.iter().for_each(|agent| *machines.entry(agent.cores).or_default() += 1);
    let of_cores: Vec<String> = machines.iter().map(|(cores, n)| format!("{n} of {cores} cores")).collect();
    of_cores.join(", ")
}

const EMBEDDED: &str = "embedded";

/// What counts of a target.
fn target(cell: &Cell) -> String {
    let Some((scheme, rest)) = cell.target.split_once("://") else { return cell.target.clone() };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    format!("{scheme} {}", if is_here { "on the loopback" } else { "over a network" })
}

/// An arm's cell of the resolved plan; `null` if it isn't there.
fn planned<'a>(document: &'a Document, arm: &str) -> &'a Value {
    let cells = document.plan["cells"].as_array().map(Vec::as_slice).unwrap_or_default();
    cells.iter().find(|cell| cell["arm"] == arm).unwrap_or(&Value::Null)
}

#[derive(Default)]
struct Found {
    /// Of which arm the values are.
    arm: Option<String>,
    /// With the arms that it is the same of.
    differences: Vec<(Difference, Vec<String>)>,
}

impl Found {
    fn told(&mut self, what: &str, base: &str, new: &str) {
        if base == new {
            return;
        }
        let difference = Difference { what: what.to_owned(), base: base.to_owned(), new: new.to_owned() };
        match self.differences.iter_mut().find(|(same, arms)| *same == difference && !arms.is_empty()) {
            Some((_, arms)) => arms.extend(self.arm.clone()),
            None => self.differences.push((difference, self.arm.iter().cloned().collect())),
        }
    }

    /// Values of two plans, the nearest to the leaves that differ.
    fn walk(&mut self, path: &str, base: &Value, new: &Value) {
        match (base, new) {
            (Value::Object(b), Value::Object(n)) => {
                if let (Some((was, _)), Some((is, _))) = (only(b), only(n))
                    && was != is
                {
                    // One of several kinds, such as `{"websocket": {…}}`.
                    return self.told(path, was, is);
                }
                let more = n.keys().filter(|key| !b.contains_key(*key));
                for key in b.keys().chain(more).filter(|key| !FREE.contains(&key.as_str())) {
                    let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.walk(&at, &base[key], &new[key]);
                }
            }
            (Value::Array(b), Value::Array(n)) if b.len() == n.len() => {
                b.iter().zip(n).enumerate().for_each(|(i, (b, n))| self.walk(&format!("{path}[{i}]"), b, n));
            }
            // A setting that the older of two versions didn't know is as it was without it.
            _ if base == new || (is_nothing(base) && is_nothing(new)) => {}
            _ => self.told(if path.is_empty() { "plan" } else { path }, &shown(base), &shown(new)),
        }
    }

    fn hosts(&mut self, base: &Host, new: &Host) {
        let known = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
        self.told("operating system", &known(&base.os), &known(&new.os));
        self.told("kernel", &known(&base.kernel), &known(&new.kernel));
        self.told("processor", &known(&base.cpu_model), &known(&new.cpu_model));
        self.told("cores", &base.cores.to_string(), &new.cores.to_string());
        let (b, n) = (base.memory_bytes as f64, new.memory_bytes as f64);
        if (b - n).abs() > MEMORY * b.max(n) {
            self.told("memory", &show_bytes(b), &show_bytes(n));
        }
    }

    fn differences(self) -> Vec<Difference> {
        let named = |(mut difference, arms): (Difference, Vec<String>)| {
            if !arms.is_empty() {
                difference.what += &format!(" of {}", arms.join(", "));
            }
            difference
        };
        self.differences.into_iter().map(named).collect()
    }
}

/// The one entry of an object that has one.
fn only(object: &serde_json::Map<String, Value>) -> Option<(&String, &Value)> {
    object.iter().next().filter(|_| object.len() == 1)
}

/// Whether a setting is off.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty() || text == "0s",
        Value::Array(items) => items.is_empty(),
        Value::Number(_) | Value::Bool(true) | Value::Object(_) => false,
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut letters = text.chars();
    let start: String = letters.by_ref().take(SHOWN).collect();
    if letters.next().is_some() { format!("{start}…") } else { start }
}
