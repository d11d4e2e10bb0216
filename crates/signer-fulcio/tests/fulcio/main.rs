//! The signer against a small server that speaks Fulcio's API, for what the real one does not do when asked: refuse
//! in every way, and answer wrongly. The real one is in the end-to-end tests.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod answers;
mod connections;
mod contract;
mod secrets;
mod sources;
mod support;
