//! What of a custom dialect makes sense, and for what is asked of it.

use crate::catalog::{Custom, Format, Framing, Tcp, Transport, WorkloadKind};
use crate::dialect::custom::{self, Asked};
use crate::scenario::{At, Dialects, Problem};
use crate::wire::PayloadSpec;

pub(super) fn check(
    custom: &Custom,
    tables: &Dialects,
    arm: &At<String>,
    transport: &Transport,
    workload: WorkloadKind,
    payload: &PayloadSpec,
    problems: &mut Vec<Problem>,
) {
    let is_binary = payload.format == Format::Binary && payload.template.is_none();
    let asked = Asked { transport: transport.kind(), workload, is_binary };
    for flaw in custom::flaws(custom, asked) {
        // What isn't there is missing of the arm.
        let place = tables.custom.as_ref().map_or(arm.place.clone(), |table| table.text_place(&flaw.path, flaw.part));
        problems.push(Problem::new(&place, flaw.message).hint(flaw.hint));
    }
    if matches!(transport, Transport::Tcp(Tcp { framing: Framing::Fixed, .. })) {
        let message = format!("arm `{}`: fixed framing is for payloads as they are", arm.value);
        problems.push(Problem::at(arm, message).hint("choose `framing = \"length\"` or `framing = \"newline\"`"));
    }
}
