//! `wsbench check`: what would be run.

use super::args::CheckArgs;
use super::exit::Exit;
use super::scenario;
use crate::plan::{self, Facts, Plan, Target};
use crate::units::Span;
use comfy_table::{Table, presets};
use std::time::Duration;

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<Exit> {
    let read = match scenario::read(&args.plan, false, args.color.on_stderr()) {
        Ok(read) => read,
        Err(exit) => return Ok(exit),
    };
    let facts = plan::facts(&read.plan);
    print!("{}", describe(&read.plan, &facts));
    let shortages = plan::shortages(&read.plan, &scenario::limits());
    for shortage in &shortages {
        eprintln!("error: {shortage}");
    }
    Ok(if shortages.is_empty() { Exit::Done } else { Exit::Failed })
}

fn describe(plan: &Plan, facts: &Facts) -> String {
    let Some(load) = plan.cells.first().map(|cell| &cell.load) else { return String::new() };
    let mut text = format!("{} — {}\n\n", plan.name, plan.cells[0].workload.kind());
    if !plan.description.is_empty() {
        text += &format!("{}\n\n", plan.description);
    }
    text += &format!("sessions   {}, opened at {}\n", load.sessions, load.connect_rate);
    text += &if load.schedule.arrival.is_open() {
        format!(
            "schedule   {} arrivals: {} in {} of warmup, {} in {} measured (seed {})\n",
            load.schedule.arrival,
            facts.scheduled.warmup,
            load.warmup,
            facts.scheduled.measured,
            load.duration,
            plan.seed
        )
    } else {
        format!(
            "schedule   closed: {} in flight, {} of thinking, {} measured\n",
            load.outstanding, load.think, load.duration
        )
    };
    let (low, high) = plan.cells[0].workload.payload().range();
    let sizes = if low == high { format!("{low} bytes") } else { format!("{low} to {high} bytes") };
    text += &format!("payload    {sizes}, {}\n", plan.cells[0].workload.payload().format);
    text += &format!("trials     {} of each arm, interleaved in drawn order\n", plan.trials);
    text += &format!("run time   about {}\n\n", rounded(facts.expected));
    text += &cells(plan, facts);
    for omitted in &plan.omitted {
        text += &format!("\nnot run: {}: {}\n", omitted.arm, omitted.reason);
    }
    text
}

fn cells(plan: &Plan, facts: &Facts) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["arm", "transport", "target", "descriptors", "ports", ""]);
    for (cell, facts) in plan.cells.iter().zip(&facts.cells) {
        let target = match &cell.target {
            Target::Embedded if cell.network.delay > Span::ZERO => format!("embedded, {} away", cell.network.delay),
            Target::Embedded => "embedded".to_owned(),
            Target::Url(url) => url.to_string(),
        };
        let transport = match cell.transport.engine() {
            Some(engine) => format!("{} ({engine})", cell.transport.kind()),
            None => cell.transport.kind().to_string(),
        };
        let is_reference = plan.reference.as_ref() == Some(&cell.arm);
        table.add_row([
            cell.arm.clone(),
            transport,
            target,
            facts.generator_descriptors.to_string(),
            facts.ports.to_string(),
            if is_reference { "reference".to_owned() } else { String::new() },
        ]);
    }
    let lines = table.to_string();
    lines.lines().map(|line| format!("{}\n", line.trim())).collect()
}

/// To the second, or to the tenth of one when short.
fn rounded(span: Span) -> String {
    let step = if span.0 < Duration::from_secs(10) { 100 } else { 1000 };
    let millis = (span.0.as_millis() as u64).div_ceil(step) * step;
    Span::from_millis(millis).to_string()
}
