//! What of a custom dialect makes sense, and for what is asked of it.

use crate::catalog::{Custom, Format, Framing, Tcp, Transport};
use crate::dialect::custom::{self, Asked};
use crate::scenario::{At, File, Problem};
use crate::values::Values;
use crate::wire::PayloadSpec;

pub(super) fn check(
    custom: &Custom,
    file: &File,
    arm: &At<String>,
    transport: &Transport,
    payload: &PayloadSpec,
    values: &Values,
    problems: &mut Vec<Problem>,
) {
    let is_binary = payload.format == Format::Binary && payload.template.is_none();
    let asked = Asked { transport: transport.kind(), workload: file.workload.kind(), is_binary };
    for flaw in custom::flaws(custom, asked, values) {
        // What isn't there is missing of the arm.
        let place =
            file.dialect.custom.as_ref().map_or(arm.place.clone(), |table| table.text_place(&flaw.path, flaw.part));
        problems.push(Problem::new(&place, flaw.message).hint(flaw.hint));
    }
    if matches!(transport, Transport::Tcp(Tcp { framing: Framing::Fixed, .. })) {
        let message = format!("arm `{}`: fixed framing is for payloads as they are", arm.value);
        problems.push(Problem::at(arm, message).hint("choose `framing = \"length\"` or `framing = \"newline\"`"));
    }
}
