//! Payload formats: what is said about a run, and in which words.
//!
//! | name | of | document |
//! |---|---|---|
//! | `in-toto`, `slsa/v1` | runs | in-toto Statement v0.1 with SLSA provenance v0.2 |
//! | `slsa/v2alpha3` | runs | in-toto Statement v1 with SLSA provenance v1.0 |
//! | `slsa/v2alpha4` | runs | the same; results of steps count, by-products are told from products |
//! | `tekton` | runs | the run's status as it is, signed as it is: what releases before 0.8 did |
//! | `simplesigning` | images | what cosign signs |
//!
//! A format is pure: the same run makes the same bytes, whatever the order of keys in the document it was read
//! from.
//!
//! ```
//! use chains_core::{Target, Format as _};
//! use chains_formats::{by_name, Options};
//! let run = chains_tekton::Run::from_json(br#"{
//!     "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "build", "uid": "7f7e"},
//!     "status": {"conditions": [{"type": "Succeeded", "status": "True"}]}
//! }"#)?;
//! let payload = by_name("slsa/v2alpha4", &Options::default())?.payload(&run, &Target::Run)?.unwrap();
//! assert_eq!(payload.predicate_type, Some("https://slsa.dev/provenance/v1"));
//! # Ok::<(), chains_core::Error>(())
//! ```

mod after;
pub mod jsonl;
mod materials;
mod options;
mod payload;
mod simplesigning;
mod slsa_v02;
mod slsa_v1;
mod statement;
mod subjects;
mod tekton;
mod time;
mod uri;

use std::sync::Arc;

use chains_core::{Error, ErrorKind, Format, Result};
use chains_tekton::Run;

use slsa_v1::{SlsaV1, Version};
use slsa_v02::SlsaV02;

pub use options::{BuildType, Options};

/// The names that [`by_name`] knows.
pub const NAMES: [&str; 6] =
    ["in-toto", "slsa/v1", "slsa/v2alpha3", "slsa/v2alpha4", "tekton", "simplesigning"];

/// What stands for `simplesigning` where signatures of images are kept in Sigstore bundles: a statement with the
/// predicate `https://sigstore.dev/cosign/sign/v1`, as bundles hold no other payload.
#[must_use]
pub fn image_statement() -> Arc<dyn Format<Run>> {
    Arc::new(simplesigning::ImageStatement)
}

/// The format of a name as the configuration has it.
///
/// # Errors
/// [`ErrorKind::Configuration`] where there is no such format, with the names of those that there are.
pub fn by_name(name: &str, options: &Options) -> Result<Arc<dyn Format<Run>>> {
    let v02 = |name| SlsaV02 { name, options: options.clone() };
    let v1 = |version| SlsaV1 { version, options: options.clone() };
    match name {
        "in-toto" => Ok(Arc::new(v02("in-toto"))),
        "slsa/v1" => Ok(Arc::new(v02("slsa/v1"))),
        "slsa/v2alpha3" => Ok(Arc::new(v1(Version::Alpha3))),
        "slsa/v2alpha4" => Ok(Arc::new(v1(Version::Alpha4))),
        "tekton" => Ok(Arc::new(tekton::Status)),
        "simplesigning" => Ok(Arc::new(simplesigning::SimpleSigning)),
        other => Err(Error::new(
            ErrorKind::Configuration,
            format!("unknown format {other:?}: known are {}", NAMES.join(", ")),
        )),
    }
}
