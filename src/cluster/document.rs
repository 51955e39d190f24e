//! The document of a run before its first trial: what was asked, of what, on which machine.

use super::coordinator::RunOptions;
use super::host::host;
use crate::catalog::{Tls, Transport};
use crate::clock;
use crate::plan::{self, Plan, Target};
use crate::result::{
    Cell, Certificate, Document, LoadFacts, Meta, OmittedArm, REDACTED, SCHEMA_VERSION, SelfTest, redact_header_value,
    redact_url,
};
use crate::values::Values;
use sha2::{Digest, Sha256};

/// Nothing is run for it.
pub fn begin(plan: &Plan, options: &RunOptions) -> Document {
    let now = clock::timestamp();
    let host = host();
    let selftest = Certificate::usual_path().and_then(|path| SelfTest::read(&path, env!("CARGO_PKG_VERSION"), &host));
    let resolved = serde_json::to_value(without_secrets(plan)).unwrap_or_default();
    Document {
        schema_version: SCHEMA_VERSION,
        meta: Meta {
            wsbench_version: env!("CARGO_PKG_VERSION").to_owned(),
            git_revision: git_revision(),
            started: now.clone(),
            finished: now,
            command_line: options.command_line.clone(),
            selftest,
            host,
        },
        scenario: options.scenario.clone(),
        plan_hash: hex(&Sha256::digest(resolved.to_string())),
        plan: resolved,
        seed: plan.seed,
        reference: plan.reference.clone(),
        partial: false,
        calibration: None,
        network_floor: Vec::new(),
        cells: plan.cells.iter().map(cell).collect(),
        omitted: plan.omitted.iter().map(|o| OmittedArm { arm: o.arm.clone(), reason: o.reason.clone() }).collect(),
        capacity: None,
        thresholds: plan.thresholds.clone(),
        aborted: None,
        duet: None,
    }
}

/// The plan as it may be saved: secrets of headers, URLs, credentials and dialects, certificates and keys are not in it, nor
/// what marks stand for.
fn without_secrets(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    for cell in &mut plan.cells {
        for (name, value) in cell.transport.extra_headers_mut() {
            *value = redact_header_value(name, value);
        }
        if let Some(identity) = cell.transport.identity_mut() {
            identity.auth.iter_mut().for_each(|auth| *auth.text_mut() = REDACTED.to_owned());
            for text in [&mut identity.host, &mut identity.origin].into_iter().flatten() {
                *text = redact_url(text);
            }
        }
        cell.values = Values::default();
        cell.dialect.texts_mut(&mut |name, text| *text = redact_header_value(name, text));
        cell.tls.iter_mut().for_each(Tls::redact);
        if let Target::Url(url) = &mut cell.target {
            *url = redact_url(&url.to_string()).parse().unwrap_or_else(|_| url.clone());
        }
    }
    plan
}

/// The run went on until now.
pub(super) fn touch(document: &mut Document) {
    document.meta.finished = clock::timestamp();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Of the directory we run in; absent outside a git checkout.
fn git_revision() -> Option<String> {
    let output = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|t| !t.is_empty())
}

pub(super) fn cell(cell: &plan::Cell) -> Cell {
    Cell {
        arm: cell.arm.clone(),
        transport: cell.transport.kind().to_string(),
        workload: cell.workload.kind().to_string(),
        dialect: cell.dialect.kind().to_string(),
        engine: cell.transport.engine().map(|e| e.to_string()),
        target: match &cell.target {
            Target::Embedded => "embedded".to_owned(),
            Target::Url(url) => redact_url(&url.to_string()),
        },
        settings: cell.settings(),
        insecure: cell.tls.as_ref().is_some_and(|tls| tls.insecure),
        load: load(cell),
        trials: Vec::new(),
    }
}

fn load(cell: &plan::Cell) -> LoadFacts {
    let load = &cell.load;
    let (http, is_polling) = match &cell.transport {
        Transport::LongPolling(h) | Transport::ShortPolling(h) => (Some(h), true),
        _ => (None, false),
    };
    LoadFacts {
        sessions: load.sessions.into(),
        arrival: load.schedule.arrival.to_string(),
        rate: asked_rate(load),
        warmup: load.warmup.nanos(),
        duration: load.duration.nanos(),
        timeout: load.timeout.nanos(),
        delay: cell.network.delay.nanos(),
        groups: cell.workload.groups().unwrap_or(0).into(),
        payload: cell.workload.payload().range(),
        poll_interval: http.and_then(|h| h.interval).map(|i| i.nanos()),
        batch: http.filter(|_| is_polling).map(|h| h.batch),
        spin: load.spin,
    }
}

/// Mean over the measured window's stages (the first stage is warmup's); 0 for closed arrival.
fn asked_rate(load: &plan::Load) -> f64 {
    if !load.schedule.arrival.is_open() || load.duration.nanos() == 0 {
        return 0.0;
    }
    let area = |s: &crate::schedule::Stage| (s.from.per_second() + s.to.per_second()) / 2.0 * s.over.nanos() as f64;
    load.schedule.stages.iter().skip(1).map(area).sum::<f64>() / load.duration.nanos() as f64
}
