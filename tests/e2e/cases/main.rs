//! The cases, run by `cargo xtask e2e`.

mod peers;

use std::process::ExitCode;

fn main() -> ExitCode {
    chains_e2e::runner::run(vec![peers::cases()].into_iter().flatten().collect())
}
