//! The command line: arguments in, text and exit codes out. The only place that prints.

pub mod check;
pub mod init;
