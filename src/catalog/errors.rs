//! The classes under which failures are counted.

/// Every class; a status or a close code may follow some of them.
pub const ERROR_CLASSES: [&str; 28] = [
    "resolve",
    "refused",
    "unreachable",
    "connect-timeout",
    "handshake-timeout",
    "no-ports",
    "no-descriptors",
    "tls",
    "upgrade-status",
    "upgrade-invalid",
    "bad-accept",
    "bad-subprotocol",
    "no-extended-connect",
    "join-refused",
    "protocol",
    "too-large",
    "garbage",
    "http-status",
    "http-protocol",
    "stream-reset",
    "go-away",
    "truncated",
    "reset",
    "closed-by-target",
    "close-timeout",
    "foreign",
    "rejected",
    "io",
];

const WITH_NUMBER: [&str; 3] = ["upgrade-status", "http-status", "closed-by-target"];

/// Whether failures are counted under `name`, such as `refused` or `http-status-503`.
pub fn is_error_class(name: &str) -> bool {
    let number = |class: &&str| name.strip_prefix(*class).and_then(|rest| rest.strip_prefix('-'));
    match WITH_NUMBER.iter().find_map(number) {
        Some(digits) => digits.parse::<u16>().is_ok(),
        None => name == "closed-by-target" || (ERROR_CLASSES.contains(&name) && !WITH_NUMBER.contains(&name)),
    }
}
