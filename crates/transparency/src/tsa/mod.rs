//! RFC 3161: timestamps over signatures, asked for and verified.

mod asn1;
mod chain;
mod client;
mod verify;

pub(crate) use client::TimestampClient;
pub use verify::{VerifiedTimestamp, verify_timestamp, verify_timestamps};
