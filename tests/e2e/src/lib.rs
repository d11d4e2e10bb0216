//! What the end-to-end cases stand on: the peers that `cargo xtask e2e` has installed, servers that
//! are started on loopback and never outlive the case, programs that are run to their end, and the
//! runner that tells which cases passed, failed or could not be run.
//!
//! A case is a function over a [`Scene`]. It names the peers that it needs, and is only called where
//! all of them are there: nothing in here passes because something was missing.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test runner tells people what it does"
)]

pub mod archivista;
pub mod buckets;
pub mod chains;
pub mod cluster;
pub mod controller;
pub mod docdb;
pub mod grafeas;
pub mod http;
pub mod install;
pub mod kafka;
pub mod kms;
mod leash;
pub mod peers;
pub mod process;
pub mod registry;
pub mod runner;
pub mod runs;
pub mod scene;
pub mod server;
pub mod signatures;
pub mod sigstore;
pub mod stage;
pub mod tekton;
pub mod tls;
pub mod tokens;
pub mod tool;

pub use anyhow::{Context, Result, bail, ensure};
pub use peers::Peers;
pub use runner::{Case, case};
pub use scene::Scene;
pub use tool::{Ran, Tool};
