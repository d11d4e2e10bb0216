//! The command as a user runs it: a process with arguments, files, output and an exit code.
//!
//! No test here needs a network; those that do are in `tests/e2e`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

mod bad_input;
#[cfg(feature = "kubernetes")]
mod cluster;
mod configuration;
mod harness;
mod jsonl;
mod keyless;
mod keys;
mod signing;
mod tampering;
mod verify_folder;
mod verify_run;
mod verify_what;
