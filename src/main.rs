//! The `wsbench` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    wsbench::cli::main()
}
