//! The `chains` command.

mod args;
#[cfg_attr(not(feature = "kubernetes"), path = "no_cluster.rs")]
mod cluster;
mod commands;
mod input;
mod keys;
mod output;
mod progress;
mod runs;
mod settings;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::Cli;
use crate::output::Exit;

/// The crates that `--verbose` lets speak.
const CHAINS: [&str; 7] = [
    "chains",
    "chains_cluster",
    "chains_engine",
    "chains_signer_fulcio",
    "chains_signer_kms",
    "chains_store_oci",
    "chains_transparency",
];
/// Tells as an error what comes back as one, and is told then.
const TELLS_TWICE: &str = "kube_client";

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    // Fails only where another part of the process chose a provider before, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match commands::run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::error(&error);
            Exit::Unusable.into()
        }
    }
}

/// Errors by default; `RUST_LOG` wins over `--verbose`, and what cannot be read in it is as good as unset.
fn log_to_stderr(verbose: bool) {
    let default = if verbose {
        Targets::new()
            .with_default(LevelFilter::WARN)
            .with_targets(CHAINS.map(|c| (c, LevelFilter::DEBUG)))
    } else {
        Targets::new().with_default(LevelFilter::ERROR).with_target(TELLS_TWICE, LevelFilter::OFF)
    };
    let chosen = std::env::var("RUST_LOG").ok().and_then(|directives| directives.parse().ok());
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(chosen.unwrap_or(default));
    tracing_subscriber::registry().with(layer).init();
}
