//! Keeps records as notes and occurrences of [Grafeas]: of Google's Container Analysis, or of a server of one's own.
//!
//! ```text
//! projects/P/notes/<noteid>-simplesigning        ATTESTATION, for image signatures
//! projects/P/notes/<noteid>-taskrun-intoto       BUILD, for what is signed of TaskRuns
//! projects/P/notes/<noteid>-pipelinerun-intoto   BUILD, for what is signed of PipelineRuns
//! projects/P/occurrences/<given by the server>   one for each artifact: resource NAME@sha256:…
//! ```
//!
//! Names and fields are those of Tekton Chains. An occurrence holds the payload and its signature in its `envelope`; of a
//! run, the signature is the whole DSSE envelope, as JSON.
//!
//! | room | what |
//! |---|---|
//! | `domain` | whose server it is |
//! | `api` | the calls: notes and occurrences |
//! | `refusal` | what their failures mean |
//! | `layout`, `statement` | what is written of a record |
//! | `store` | what they make together |
//!
//! It speaks the REST form of the API, which Google serves and the gateway of every Grafeas server.
//!
//! # Guarantees
//! - The note is made once. Where it cannot be made and is there all the same, the right to attach occurrences suffices.
//! - The same payload with the same signature is there once for each artifact and note, however many write it at once
//!   in one process, and whatever was broken off before: occurrences are listed before one is made, and what was begun is
//!   waited for. The controller never works on a run in two processes.
//! - A token of Google goes to hosts of Google over TLS, and nowhere else.
//!
//! # Caveats
//! - Names of occurrences are given by the server: two processes that write the same record at the same moment make two.
//! - There is no place for certificates: what was signed without a key of one's own is verified through its log entry.
//! - Records are read back by the artifacts that they speak of. A run that made none is skipped: there is nothing to attach
//!   an occurrence to.
//!
//! [Grafeas]: https://grafeas.io

mod api;
mod domain;
mod layout;
mod options;
mod refusal;
mod statement;
mod store;

pub use chains_http::Variables;
pub use options::{GrafeasOptions, Limits};
pub use store::GrafeasStore;
