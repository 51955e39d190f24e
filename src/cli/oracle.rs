//! `--oracle KEY=VALUE`: what `wsbench serve` does on purpose, and the account of it.

use crate::catalog::Oracle;
use crate::measure::Truth;
use crate::plan;
use crate::units::show_nanos;
use std::str::FromStr;
use toml::{Table, Value};

/// One key of the oracle's table, with a value that it can have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OracleFlag {
    key: String,
    value: Value,
}

impl FromStr for OracleFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<OracleFlag, String> {
        let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, such as udp_drop=5%")?;
        let flag = |value| OracleFlag { key: key.trim().to_owned(), value };
        let quoted = flag(Value::String(value.trim().to_owned()));
        let number = value.trim().parse().map(|number| flag(Value::Integer(number)));
        // Some texts look like numbers: `bad_upgrade=503`.
        match number.map(OracleFlag::checked) {
            Ok(Err(wrong)) if wrong.contains("invalid type") => quoted.checked(),
            Ok(checked) => checked,
            Err(_) => quoted.checked(),
        }
    }
}

impl OracleFlag {
    fn checked(self) -> Result<OracleFlag, String> {
        let table = Table::from_iter([(self.key.clone(), self.value.clone())]);
        match read(table) {
            Ok(_) => Ok(self),
            Err(problem) => Err(format!("{}: {problem}", self.key)),
        }
    }
}

fn read(table: Table) -> Result<Oracle, String> {
    table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// The oracle that the flags make together.
pub(super) fn gather(flags: &[OracleFlag]) -> anyhow::Result<Oracle> {
    let mut table = Table::new();
    for flag in flags {
        if table.insert(flag.key.clone(), flag.value.clone()).is_some() {
            anyhow::bail!("--oracle {}: given twice; keep one", flag.key);
        }
    }
    let oracle = read(table).map_err(anyhow::Error::msg)?;
    let flaws: Vec<String> =
        plan::flaws(&oracle).into_iter().map(|(message, hint)| format!("{message}; {hint}")).collect();
    if !flaws.is_empty() {
        anyhow::bail!("--oracle: {}", flaws.join("\n       "));
    }
    Ok(oracle)
}

/// What was done on purpose: a line for each kind of it.
pub(super) fn tell(truth: &Truth) -> String {
    let mut lines = Vec::new();
    for (what, lengths) in [("messages held", &truth.held), ("times stood still", &truth.stalls)] {
        if !lengths.is_empty() {
            let shown = |nanos: u64| show_nanos(nanos as f64);
            let (half, most) = (shown(lengths.at(0.5)), shown(lengths.max()));
            lines.push(format!("{} {what}, half of them for at most {half}, the longest for {most}", lengths.count()));
        }
    }
    let counts = [
        (truth.udp_dropped, "datagrams dropped"),
        (truth.udp_duplicated, "datagrams sent twice"),
        (truth.udp_swapped, "datagrams sent after the next one"),
        (truth.copies_dropped, "copies dropped"),
        (truth.copies_delayed, "copies delayed"),
        (truth.connections_refused, "connections refused"),
        (truth.connections_reset, "connections reset"),
        (truth.upgrades_refused, "upgrades answered wrongly"),
        (truth.pings, "pings sent"),
        (truth.pongs, "pongs sent"),
        (truth.closed, "sessions closed"),
    ];
    lines.extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    if lines.is_empty() {
        lines.push("nothing came of it".to_owned());
    }
    lines.iter().map(|line| format!("on purpose: {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(flags: &[&str]) -> Result<Oracle, String> {
        let flags: Result<Vec<OracleFlag>, String> = flags.iter().map(|flag| flag.parse()).collect();
        gather(&flags?).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_are_the_table() {
        let flags = [
            "reply_delay=lognormal(20ms, 0.5)",
            "udp_drop=5%",
            "refuse = 10",
            "bad_upgrade=503",
            "stall=200ms/1s",
            "log=held.csv",
        ];
        let table = "reply_delay = \"lognormal(20ms, 0.5)\"\nudp_drop = \"5%\"\nrefuse = 10\nbad_upgrade = \"503\"\n\
                     stall = \"200ms/1s\"\nlog = \"held.csv\"";
        assert_eq!(gathered(&flags), Ok(toml::from_str(table).unwrap()));
        assert_eq!(gathered(&[]), Ok(Oracle::default()));
    }

    #[test]
    fn mistakes_name_the_key_and_what_is_possible() {
        let wrong = [
            (&["refuse"][..], "KEY=VALUE"),
            (&["refuze=1"], "`reply_delay`"),
            (&["refuse=0"], "refuse: "),
            (&["refuse=0"], "nonzero"),
            (&["refuse=ten"], "refuse: "),
            (&["udp_drop=5"], "udp_drop: "),
            (&["udp_drop=5"], "%"),
            (&["bad_upgrade=500"], "`429`, `503`"),
            (&["reply_delay=gamma(1ms)"], "pareto(5ms, 2.5)"),
            (&["refuse=1", "refuse=2"], "refuse: given twice"),
            (&["udp_drop=60%", "udp_swap=60%"], "at most 100 % in all"),
            (&["upgrade=2"], "bad_upgrade"),
        ];
        for (flags, said) in wrong {
            let error = gathered(flags).unwrap_err();
            assert!(error.contains(said), "{flags:?}: {error}");
        }
    }

    #[test]
    fn the_account_holds_what_was_done_and_nothing_else() {
        let mut truth = Truth { pings: 3, ..Truth::default() };
        truth.held.record(20_000_000);
        let told = tell(&truth);
        assert!(told.contains("on purpose: 1 messages held") && told.contains("on purpose: 3 pings sent\n"), "{told}");
        assert_eq!(told.lines().count(), 2);
        assert_eq!(tell(&Truth::default()), "on purpose: nothing came of it\n");
    }
}
