//! Logs, timestamps and roots of trust: answers recorded from the real servers, logs and authorities made here that
//! keep to the protocol or break it on purpose, and no network beyond this machine.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

mod bundles;
mod conformance;
mod recorded_v1;
mod recorded_v2;
mod roots;
mod support;
mod timestamps;
mod tls;
#[cfg(feature = "tuf")]
mod tuf;
