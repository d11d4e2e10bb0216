//! The store against a registry in memory, and against registries that misbehave.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

mod auth;
mod bundle_lists;
mod bundles;
mod concurrency;
mod contract;
mod hostile;
mod layout;
mod support;
mod tls;
