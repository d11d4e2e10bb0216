//! Stores records as objects in a bucket: Google Cloud Storage (`gcs`) with the names that Tekton Chains gives them,
//! and the same layout in Amazon S3 (`s3`) and Azure Blob Storage (`azblob`), which are ours.
//!
//! ```text
//! taskrun-default-build/                                     kind, namespace and name of the run
//!   taskrun-5d1e0c6e-2f6e-4a4e-8b0e-9f0e6a1d2c3b.payload     what was signed, byte for byte
//!   taskrun-5d1e0c6e-2f6e-4a4e-8b0e-9f0e6a1d2c3b.signature   the DSSE envelope
//!   4283fefc63f0.payload                                     what was signed for an image
//!   4283fefc63f0.signature                                   the signature as it is: DER, or 64 bytes of Ed25519
//!   4283fefc63f0.cert, 4283fefc63f0.chain                    only where there is a certificate
//! ```
//!
//! # Guarantees
//! - **Nothing is ever overwritten.** Every object is created with the precondition that there is none, so the right to
//!   delete or replace is not needed, and buckets with retention or object locks will do.
//! - The objects of one record are a *set*, written in this order: payload, certificate, chain, signature. Who finds a
//!   signature finds all that it takes to verify it.
//! - A set that was begun and broke off is completed if what is there is what the record has. Where anything differs
//!   (another signature of a second attempt, another certificate, the payload of another format), the whole set is
//!   written beside it, under `<short key>-<16 hex digits>`, which follow from its content: no set is ever a mixture,
//!   nothing is lost, and the same record finds its own set again.
//! - Putting the same record again changes nothing.
//!
//! # Assumptions
//! Google Cloud Storage, Amazon S3 and Azure hold to preconditions. Of other servers (`STORAGE_EMULATOR_HOST`, an
//! endpoint of one's own) that is not taken for granted: the store looks before it writes and reads back what it wrote.

#![cfg_attr(
    not(any(feature = "azblob", feature = "gcs", feature = "s3")),
    allow(dead_code, reason = "without a service there is nobody to ask")
)]

mod fault;
#[cfg(feature = "foreign")]
mod foreign;
#[cfg(feature = "gcs")]
mod gcs;
mod http;
mod layout;
mod objects;
mod options;
mod read;
mod store;

pub use chains_http::Variables;
#[cfg(feature = "azblob")]
pub use foreign::AzblobOptions;
#[cfg(feature = "s3")]
pub use foreign::S3Options;
#[cfg(feature = "gcs")]
pub use gcs::GcsOptions;
pub use layout::MAX_OBJECT;
pub use options::Limits;
pub use store::BucketStore;
