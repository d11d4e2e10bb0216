//! The words everyone in Chains speaks, and the traits that backends implement.
//!
//! A completed [`RunRef`] goes in; for every [`Target`] it made a [`Payload`] is written, [signed](Signature),
//! logged as an [`Entry`], and kept as a [`Record`] by each [`Store`].
//! This crate does no I/O and knows neither Kubernetes nor an async runtime.
//!
//! | to do | look at |
//! |---|---|
//! | implement a backend | [`Signer`], [`Store`], [`ReadBack`], [`TransparencyLog`], [`Format`] |
//! | report a failure | [`Error`], [`ErrorKind`] |
//! | make or read an envelope | [`dsse`] |
//! | make or read a Sigstore bundle | [`bundle`] |

pub mod annotations;
mod base64_bytes;
pub mod bundle;
mod digest;
pub mod dsse;
mod entry;
mod error;
mod image;
mod key;
mod payload;
mod progress;
mod record;
mod run;
mod secret;
mod signature;
mod target;
mod traits;

pub use digest::{Digest, DigestAlgorithm};
pub use entry::{Entry, InclusionProof};
pub use error::{Error, ErrorKind, Result, chain};
pub use image::{ImageDigest, ImageName};
pub use key::{KeyAlgorithm, PublicKey};
pub use payload::{Payload, Subject, Wrapping, media_type};
pub use progress::{Certificate, Progress, TargetProgress, Timestamp};
pub use record::{Outcome, Record, Stored};
pub use run::{RunKind, RunRef};
pub use secret::Secret;
pub use signature::{Signature, SignatureAlgorithm, Signed, VerificationMaterial};
pub use target::{RecordKey, Target};
pub use traits::{
    Capabilities, Earlier, Format, ReadBack, ReadQuery, RegistryCredential, RegistryCredentials,
    Signer, Store, TransparencyLog,
};
