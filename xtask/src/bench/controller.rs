//! The controller in front of a real API server: `cargo xtask bench controller`.
//!
//! Building and installing happens here; what is measured, and how, is in `tests/e2e/bench`.

use std::{
    env,
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::Result;

use crate::e2e;

/// The name that chooses it.
pub(super) const NAME: &str = "controller";

/// What is shipped, and what the bare loop is compared with: both are compiled alike.
const PROFILE: &str = "dist";

/// Builds the controller and the measurement, installs an API server, and measures.
pub(super) fn run(args: &[String]) -> Result<ExitCode> {
    let profile = env::var("CHAINS_BENCH_PROFILE").unwrap_or_else(|_| PROFILE.to_owned());
    eprintln!("building the controller and the measurement in the profile {profile}");
    let started = Instant::now();
    let (measurement, programs) = e2e::for_bench(&profile)?;
    eprintln!("built and installed in {:.0?}", started.elapsed());
    e2e::finish(Command::new(measurement).args(args).env(e2e::PEERS_FILE, programs))
}
