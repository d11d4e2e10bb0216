//! The controller: watches Tekton's runs, drives the [engine](chains_engine) with them, and writes back what came
//! of it.
//!
//! | room | what it does |
//! |---|---|
//! | `watching` | follows the API server's runs; keeps of each only what decides what is to be done |
//! | `queue` | orders what is to be done: newest first, in bounded memory; finds how much at once is good |
//! | `work` | takes a run through the engine and closes it with one write |
//! | `ownership` | shares the runs among replicas with Leases |
//! | `settings` | ConfigMap and keys, checked as a whole and swapped in at once; registry credentials |
//! | `telemetry` | logs, metrics, traces, health |
//! | `app` | starts all of it and stops it in order |

mod app;
pub mod args;
mod credentials;
mod events;
mod ownership;
mod pause;
mod queue;
mod settings;
mod telemetry;
mod watching;
mod work;

use args::Args;
use chains_backends::Registry;

/// Runs the controller until the process is told to stop by SIGTERM or SIGINT.
///
/// # Errors
/// Where it cannot start at all; the log has told why.
pub fn run(args: Args) -> anyhow::Result<()> {
    run_with(args, Registry::default())
}

/// As [`run`], with stores that the program brings along.
///
/// # Errors
/// As [`run`].
pub fn run_with(args: Args, registry: Registry) -> anyhow::Result<()> {
    // Fails only where another part of the process chose a provider before, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(app::run(args, registry))
}
