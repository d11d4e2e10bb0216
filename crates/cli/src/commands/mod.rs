//! One file a command.

mod config;
mod explain;
mod keys;
mod payload;
#[cfg(feature = "kubernetes")]
mod retry;
mod sign;
mod verify;

use std::future::Future;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::args::{Cli, Command};
use crate::output::Exit;

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> anyhow::Result<Exit> {
    let output = cli.output;
    match cli.command {
        Command::Sign(args) => wait(sign::run(args, output)),
        Command::Verify(args) => wait(verify::run(args, output)),
        Command::Payload(args) => payload::run(&args, output),
        Command::Explain(args) => explain::run(&args, output),
        #[cfg(feature = "kubernetes")]
        Command::Retry(args) => wait(retry::run(args, output)),
        Command::Keys(args) => wait(keys::run(args, output)),
        Command::Config(args) => config::run(&args, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "chains", &mut script);
            crate::output::raw(&script);
            Ok(Exit::Done)
        }
    }
}

fn wait(work: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(work)
}
