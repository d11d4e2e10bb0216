//! The cases, run by `cargo xtask e2e`.

mod access;
mod concurrency;
mod kaniko;
mod keys;
mod peers;
mod subjects;
mod tampering;
mod thieves;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = [
        peers::cases(),
        kaniko::cases(),
        keys::cases(),
        subjects::cases(),
        concurrency::cases(),
        tampering::cases(),
        access::cases(),
        thieves::cases(),
    ];
    chains_e2e::runner::run(cases.into_iter().flatten().collect())
}
