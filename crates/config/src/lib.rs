//! The `chains-config` ConfigMap, parsed once into types, strictly.
//!
//! One table, `KEYS`, says what every key may hold, what it defaults to, what it means and where its
//! value goes: parsing, defaults and `docs/configuration.md` all come from it. An unknown key is a
//! fault that names the nearest known one, a bad value is a fault that says what is allowed, and
//! all [`Faults`] of a file are reported at once.
//!
//! ```
//! use chains_config::{Config, FormatName, StorageName};
//!
//! let config = Config::read("artifacts.taskrun.format: slsa/v2alpha4\nartifacts.taskrun.storage: tekton,oci")?;
//! assert_eq!(config.artifacts.taskrun.format, FormatName::SlsaV2Alpha4);
//! assert!(config.artifacts.taskrun.storage.contains(&StorageName::Oci));
//!
//! let faults = Config::read("artifacts.taskrun.fromat: in-toto").unwrap_err();
//! assert_eq!(
//!     faults.to_string(),
//!     "`artifacts.taskrun.fromat`: unknown key: did you mean `artifacts.taskrun.format`?",
//! );
//! # Ok::<(), chains_config::Faults>(())
//! ```

mod check;
mod config;
mod docs;
mod draft;
mod extra;
mod fault;
mod keys;
mod layers;
mod names;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use config::{
    Archivista, Artifact, Artifacts, AzBlob, Config, DocDb, Filter, Fulcio, Gcs, Grafeas, Kafka,
    KafkaSasl, KafkaTls, Kms, KmsAuth, KmsOidc, KmsSpire, LocalStorage, MongoServer, OciStorage,
    PubSub, PubSubProvider, Retry, S3, Signers, Sigstore, Storage, Transparency, X509,
};
pub use docs::docs_table;
pub use extra::{ExtraKey, ExtraSection, ExtraStore};
pub use fault::{Fault, Faults};
pub use layers::{Layers, Origin, Setting};
pub use names::{
    BuildType, EncodingFormat, FormatName, FulcioProvider, KafkaCompression, KafkaSaslMechanism,
    KmsScheme, RekorVersion, SignerName, StorageName, TransparencyMode,
};
pub use values::{KmsRef, ServiceUrl, X509Key};
