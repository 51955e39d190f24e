//! What `wsbench check` shows: the plan that a scenario comes to, and whether this machine can run it.

use super::args::CheckArgs;
use super::exit::Exit;
use super::say;
use super::scenario;
use crate::plan::{self, Cell, Facts, Limits, Plan, Target, Workload};
use crate::units::{show_bytes, three_digits};
use comfy_table::{CellAlignment, Table, presets};

/// Shows what would be run; starts nothing.
pub(super) fn check(args: &CheckArgs) -> anyhow::Result<Exit> {
    let plan = match scenario::read(&args.plan, false, args.color.on_stderr()) {
        Ok(read) => read.plan,
        Err(exit) => return Ok(exit),
    };
    let limits = scenario::limits();
    say::out(&render(&plan, &limits))?;
    Ok(if plan::shortages(&plan, &limits).is_empty() { Exit::Done } else { Exit::Failed })
}

/// The plan in words, a table of its cells, and what stands in its way.
fn render(plan: &Plan, limits: &Limits) -> String {
    let facts = plan::facts(plan);
    let mut parts = vec![summary(plan, &facts), table(plan, &facts, limits)];
    parts.extend(plan.omitted.iter().map(|arm| format!("left out: {}: {}", arm.arm, arm.reason)));
    if !plan.thresholds.is_empty() {
        parts.push(thresholds(plan));
    }
    parts.extend(plan.warnings().iter().map(|why| format!("warning: {why}")));
    parts.extend(plan::shortages(plan, limits).iter().map(|shortage| format!("error: {shortage}")));
    parts.join("\n\n") + "\n"
}

fn summary(plan: &Plan, facts: &Facts) -> String {
    let mut rows = Vec::new();
    if let Some(cell) = plan.cells.first() {
        rows.push(("workload", workload(cell)));
        rows.push(("load", load(cell)));
        rows.push(("schedule", schedule(plan, cell, facts)));
    }
    let seconds = three_digits(facts.expected.0.as_secs_f64());
    let trials = plan.cells.len() as u64 * u64::from(plan.trials);
    rows.push(("trials", format!("{trials} ({} of each arm), about {seconds} s in all", plan.trials)));
    rows.push(("reference", plan.reference.clone().unwrap_or_else(|| "none: a single arm".to_owned())));
    let title = if plan.description.is_empty() { String::new() } else { format!(": {}", plan.description) };
    let lines: Vec<String> = rows.iter().map(|(name, text)| format!("  {name:<10} {text}")).collect();
    format!("{}{title}\n\n{}", plan.name, lines.join("\n"))
}

/// What must hold, and what is void in this run.
fn thresholds(plan: &Plan) -> String {
    let mut lines = vec!["thresholds".to_owned()];
    for entry in &plan.thresholds {
        let absent = entry.hold.arms().find(|name| plan.cells.iter().all(|cell| cell.arm != *name));
        let void = absent.map_or(String::new(), |name| format!("   (void: {name} does not run)"));
        let abort = if entry.abort { "   (ends the run)" } else { "" };
        lines.push(format!("  {}{abort}{void}", entry.hold));
    }
    lines.join("\n")
}

fn workload(cell: &Cell) -> String {
    let payload = cell.workload.payload();
    let size = match payload.range() {
        (least, most) if least == most => show_bytes(least as f64),
        (least, most) => format!("{} to {}", show_bytes(least as f64), show_bytes(most as f64)),
    };
    let groups = match &cell.workload {
        Workload::Chat { rooms, echo_self, .. } => {
            format!(", {rooms} rooms{}", if *echo_self { "" } else { ", without the publisher's own copy" })
        }
        Workload::Push { topics, .. } => format!(", {topics} topics"),
        Workload::Echo { .. } | Workload::Connect { .. } => String::new(),
    };
    format!("{}{groups}, payloads of {size} ({})", cell.workload.kind(), payload.format)
}

fn load(cell: &Cell) -> String {
    let load = &cell.load;
    let phases = format!("{} of warmup, {} measured", load.warmup, load.duration);
    let delay = match cell.network.delay.nanos() {
        0 => String::new(),
        _ => format!(", emulated network of {} each way", cell.network.delay),
    };
    format!("{} sessions, {phases}{delay}", load.sessions)
}

fn schedule(plan: &Plan, cell: &Cell, facts: &Facts) -> String {
    let load = &cell.load;
    if !load.schedule.arrival.is_open() {
        return format!("closed: {} in flight, {} of think time", load.outstanding, load.think);
    }
    let totals = facts.scheduled;
    let counts = format!("{} messages in warmup and {} measured", totals.warmup, totals.measured);
    format!("{}, seed {}: {counts}, the same for every arm", load.schedule.arrival, plan.seed)
}

fn table(plan: &Plan, facts: &Facts, limits: &Limits) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "arm",
        "transport",
        "settings",
        "target",
        "processes (generator / target)",
        "descriptors (generator / target)",
        "ports",
        "a trial",
    ]);
    for (cell, taken) in plan.cells.iter().zip(&facts.cells) {
        let settings: Vec<String> = cell.settings().iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let target = match &cell.target {
            Target::Embedded => "embedded".to_owned(),
            Target::Url(url) => format!("{url} ({})", cell.dialect.kind()),
        };
        let plan::Processes { workers, targets } = plan::processes(cell, limits.descriptors);
        let targets = if targets == 0 { "–".to_owned() } else { targets.to_string() };
        let at_target = taken.target_descriptors.map_or("–".to_owned(), |n| n.to_string());
        table.add_row([
            cell.arm.clone(),
            cell.transport.kind().to_string(),
            settings.join(", "),
            target,
            format!("{workers} / {targets}"),
            format!("{} / {at_target}", taken.generator_descriptors),
            taken.ports.to_string(),
            format!("{} s", three_digits(taken.expected.0.as_secs_f64())),
        ]);
    }
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::plan::{Limits, Overrides, build};
    use crate::scenario;

    fn shown(text: &str) -> String {
        let scenario = scenario::parse("mine.toml", text).unwrap_or_else(|e| panic!("{}", e.render(false)));
        let plan = build(&scenario, &Overrides::default()).unwrap_or_else(|e| panic!("{}", e.render(false)));
        render(&plan, &Limits { descriptors: 1024, ports: 28_232, files: 1 << 20 })
    }

    #[test]
    fn a_chat_with_too_many_sessions_for_this_machine() {
        insta::assert_snapshot!(shown(
            "description = \"People talking\"\n[workload.chat]\nrooms = 2\n[load]\nsessions = 1100\nrate = \"100/s\"\n\
             arrival = \"constant\"\nwarmup = \"1s\"\nduration = \"2s\"\ntrials = 3\n[network]\ndelay = \"10ms\"\n\
             [transports.websocket]\nextra_headers = { Authorization = \"secret\" }\n[transports.long-polling]\n\
             headers = \"browser\"\nkeep_alive = false\n[transports.udp]"
        ));
    }

    #[test]
    fn a_closed_connect_at_urls_with_an_arm_left_out() {
        insta::assert_snapshot!(shown(
            "[workload.connect]\npayload = { min = \"64B\", max = \"2KiB\" }\n[load]\narrival = \"closed\"\n\
             duration = \"2s\"\n[target.urls]\ntcp = \"tcp://192.0.2.1:7\"\n[transports.tcp]\n[transports.udp]"
        ));
    }
}
