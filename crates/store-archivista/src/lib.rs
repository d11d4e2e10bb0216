//! Keeps signed statements in [Archivista](https://github.com/in-toto/archivista), which finds them by what they speak of.
//!
//! ```text
//! POST URL/upload              the DSSE envelope, as JSON; answered with its gitoid
//! GET  URL/download/GITOID     the envelope
//! POST URL/query               GraphQL: gitoids by the digest of a subject
//! ```
//!
//! | room | what |
//! |---|---|
//! | `envelope` | envelopes as Archivista takes them, and their gitoid |
//! | `api` | the three calls |
//! | `refusal` | what their failures mean |
//! | `store` | what they make together |
//!
//! # Guarantees
//! - The bytes are those that Tekton Chains uploads of the same envelope: so is the gitoid. With a certificate, it and
//!   the chain are in the signature's `certificate` and `intermediates`, where [go-witness] looks for them.
//! - The same envelope is there once: the gitoid is its digest, and the server refuses a second one. That it is there
//!   already counts as stored only where the server both knows it and gives it out as it was sent.
//!
//! # Caveats
//! - A server without its SQL store keeps no index: what was there before is told as stored, not as already stored, and
//!   nothing can be read back.
//! - Statements are read back by their subjects: all that speak of the same artifacts. One that speaks of none is found
//!   by its gitoid alone.
//!
//! [go-witness]: https://github.com/in-toto/go-witness

mod api;
mod envelope;
mod options;
mod refusal;
mod store;

pub use options::{ArchivistaOptions, Limits};
pub use store::ArchivistaStore;
