//! What tests of backends share: conformance suites, fakes that keep the contracts, fixtures.
//!
//! | to test | call |
//! |---|---|
//! | a store | [`store::suite`]; where it can read, [`store::read_back_suite`] and [`store::resume_suite`] |
//! | a signer | [`signer::suite`] |
//! | a log | [`log::suite`] |
//!
//! A suite panics where the contract of the trait is broken: it is meant for tests, which name the backend.
//! Suites take what a backend is allowed to do from its own [`Capabilities`](chains_core::Capabilities).
//!
//! [`fake`] has backends that keep their contract, and wrappers that make one fail or wait on purpose;
//! [`fixture`] has runs and records; `sigstore` (feature `sigstore`) a small Fulcio and a log.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a suite that finds a broken contract has no other way to say so"
)]

pub mod fake;
pub mod fixture;
pub mod log;
pub mod signer;
#[cfg(feature = "sigstore")]
pub mod sigstore;
pub mod store;
