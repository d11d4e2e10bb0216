//! The signer and each service's provider, with true cryptography over servers of our own. What real servers show is
//! in the end-to-end tests; here is what they cannot be made to show, or are not to be had.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

mod aws;
mod azure;
mod gcp;
mod secrets;
mod signer;
mod support;
mod vault;
