//! Stores records beside the image in its OCI registry, as `cosign` reads and writes them.
//!
//! A signature of an image is a layer of the manifest tagged `sha256-<hex>.sig`, an attestation a layer of
//! `sha256-<hex>.att`; or each is a Sigstore bundle in a manifest that refers to the image ([`Encoding`]). They are
//! in the image's repository, or in the one that [`OciOptions::repository`] names (what `COSIGN_REPOSITORY` is to
//! `cosign`).
//! [`OciStore`] keeps records there and reads them back; [`Keyring`] finds credentials in docker's
//! configuration files.

mod commit;
mod fault;
mod keyring;
mod layer;
mod manifest;
mod options;
mod read;
mod referrers;
mod registry;
mod store;
mod subjects;

pub use keyring::Keyring;
pub use options::{Encoding, OciOptions};
pub use read::{Attached, Attachments, Unreadable};
pub use referrers::{Bundled, Bundles};
pub use store::OciStore;
pub use subjects::left_out;
