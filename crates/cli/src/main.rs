//! The `chains` command.

mod args;
mod commands;
mod input;
mod keys;
mod output;
mod runs;
mod settings;

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::args::Cli;
use crate::output::Exit;

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

/// Warnings by default; `RUST_LOG` wins over `--verbose`.
fn log_to_stderr(verbose: bool) {
    let default = if verbose { "warn,chains=debug" } else { "error" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
