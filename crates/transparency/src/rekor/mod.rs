//! Clients of logs: Rekor of both versions.

mod proposal;
mod tiles;
mod v1;
mod v2;

pub use proposal::EnvelopeEntry;
pub(crate) use v1::RekorV1;
pub(crate) use v2::RekorV2;
