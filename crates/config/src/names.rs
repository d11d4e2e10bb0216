//! The words that values are chosen from.

use std::fmt;
use std::str::FromStr;

use chains_core::{Capabilities, Error, ErrorKind};

use crate::ExtraStore;

/// Writes an enum whose variants are words of the configuration.
macro_rules! names {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$vmeta:meta])* $variant:ident = $word:literal,)+
        $(_ => $(#[$emeta:meta])* $extra:ident($type:ty),)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
            $($(#[$emeta])* $extra($type),)?
        }

        impl $name {
            /// Every variant with a word of its own, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// The words of all variants, in the same order.
            pub const NAMES: &[&str] = &[$($word,)+];

            /// The word in the configuration.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                    $(Self::$extra(extra) => extra.name,)?
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads the word as the configuration has it.
            ///
            /// # Errors
            /// [`ErrorKind::Configuration`] telling the words there are.
            fn from_str(text: &str) -> Result<Self, Error> {
                one_of(Self::ALL, Self::as_str, text)
                    .map_err(|why| Error::new(ErrorKind::Configuration, format!("{text:?} {why}")))
            }
        }
    };
}

/// Finds the variant with this word, or says which words there are.
pub(crate) fn one_of<T: Copy>(
    all: &[T],
    word: impl Fn(T) -> &'static str,
    text: &str,
) -> Result<T, String> {
    all.iter().copied().find(|known| word(*known) == text).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|known| word(*known)).collect();
        format!("is not one of {}", words.join(", "))
    })
}

names! {
    /// How the payload of a target is written.
    FormatName {
        /// in-toto Statement v0.1 with SLSA v0.2 provenance.
        InToto = "in-toto",
        /// Another name of `in-toto`, which the reference keeps for old configurations.
        SlsaV1 = "slsa/v1",
        /// in-toto Statement v1 with SLSA v1.0 provenance.
        SlsaV2Alpha3 = "slsa/v2alpha3",
        /// As `slsa/v2alpha3`, and reads type hints of step actions too.
        SlsaV2Alpha4 = "slsa/v2alpha4",
        /// The run's `status` as JSON, signed as it is; of releases before 0.8.
        Tekton = "tekton",
        /// The payload of image signatures, as cosign has it.
        SimpleSigning = "simplesigning",
    }
}

impl FormatName {
    /// The formats that runs can have.
    pub const OF_RUNS: &[Self] =
        &[Self::InToto, Self::SlsaV1, Self::SlsaV2Alpha3, Self::SlsaV2Alpha4, Self::Tekton];
    /// The formats that images can have.
    pub const OF_IMAGES: &[Self] = &[Self::SimpleSigning];
}

names! {
    /// A place where records are kept.
    ///
    /// `pubsub` is also written `kafka`: the reference's tables allow the one word and its code
    /// knows the other.
    StorageName {
        /// Annotations of the run itself.
        Tekton = "tekton",
        /// The image's registry, beside the image.
        Oci = "oci",
        /// A bucket of Google Cloud Storage.
        Gcs = "gcs",
        /// A bucket of Amazon S3; not in the reference.
        S3 = "s3",
        /// A container of Azure Blob Storage; not in the reference.
        AzBlob = "azblob",
        /// MongoDB, Firestore or DynamoDB.
        DocDb = "docdb",
        /// Grafeas: Container Analysis.
        Grafeas = "grafeas",
        /// A message queue: Kafka.
        PubSub = "pubsub",
        /// An Archivista server.
        Archivista = "archivista",
        /// A folder; not in the reference.
        Local = "local",
        _ =>
            /// One that the program brings along.
            Extra(&'static ExtraStore),
    }
}

impl StorageName {
    /// The other word for [`PubSub`](Self::PubSub).
    pub(crate) const KAFKA: &str = "kafka";

    /// What the store can hold, as its layout allows. The store itself says the same.
    ///
    /// | store | without a signature | why |
    /// |---|---|---|
    /// | `tekton`, `gcs`, `s3`, `azblob`, `local` | yes | payload and signature are apart: the signature is left out |
    /// | `docdb` | yes | `Signed` holds the payload, `Signature` is left out |
    /// | `oci` | no | a layer of `.sig` or `.att` is a signature or an envelope with one |
    /// | `grafeas` | no | an occurrence is an envelope with its signatures |
    /// | `pubsub` | no | the body of a message is the signature |
    /// | `archivista` | no | it takes in nothing but signed envelopes |
    ///
    /// A detached signature fits everywhere but in `archivista`.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        match self {
            Self::Tekton | Self::Gcs | Self::S3 | Self::AzBlob | Self::DocDb | Self::Local => {
                Capabilities { dsse: true, detached: true, unsigned: true }
            }
            Self::Oci | Self::Grafeas | Self::PubSub => {
                Capabilities { dsse: true, detached: true, unsigned: false }
            }
            Self::Archivista => Capabilities { dsse: true, detached: false, unsigned: false },
            Self::Extra(store) => store.capabilities,
        }
    }

    /// Whether it keeps payloads of any kind, or only statements and image signatures: those have
    /// subjects to be kept beside, the `tekton` format has none.
    pub(crate) const fn takes_any_payload(self) -> bool {
        match self {
            Self::Extra(store) => store.any_payload,
            _ => !matches!(self, Self::Oci | Self::Grafeas | Self::Archivista),
        }
    }
}

names! {
    /// What signs.
    SignerName {
        /// A private key at hand, or a certificate of Fulcio.
        X509 = "x509",
        /// A key in a key management service.
        Kms = "kms",
        /// Nothing: statements are kept unsigned, images are not signed.
        None = "none",
    }
}

names! {
    /// How the `oci` store lays out what it keeps.
    EncodingFormat {
        /// Tags `.sig` and `.att` beside the image, as cosign 2 has them.
        Dsse = "dsse",
        /// Sigstore bundles as OCI 1.1 referrers.
        SigstoreBundle = "sigstore-bundle",
    }
}

names! {
    /// Whether signed payloads go to the transparency log.
    TransparencyMode {
        /// Never.
        Disabled = "false",
        /// Always.
        Enabled = "true",
        /// For runs annotated `chains.tekton.dev/transparency-upload: "true"`.
        Manual = "manual",
    }
}

names! {
    /// Where the identity token for Fulcio comes from.
    FulcioProvider {
        /// Google's metadata server.
        Google = "google",
        /// The SPIFFE Workload API.
        Spiffe = "spiffe",
        /// GitHub Actions.
        Github = "github",
        /// A mounted file.
        Filesystem = "filesystem",
        /// Buildkite's agent API.
        Buildkite = "buildkite",
        /// The variable `SIGSTORE_ID_TOKEN`.
        Environment = "environment",
    }
}

names! {
    /// The build type of SLSA v1.0 provenance.
    BuildType {
        /// What SLSA v1.0 asks for.
        Slsa = "https://tekton.dev/chains/v2/slsa",
        /// That, and what Tekton knows besides: labels, annotations, tasks of a pipeline.
        SlsaTekton = "https://tekton.dev/chains/v2/slsa-tekton",
    }
}

names! {
    /// Which version of Rekor a log is.
    RekorVersion {
        /// The one that the signing config tells, or that answers at the address.
        Auto = "auto",
        /// Version 1.
        V1 = "1",
        /// Version 2: tiles.
        V2 = "2",
    }
}

names! {
    /// The kind of key management service, as the scheme of its reference.
    KmsScheme {
        /// Google Cloud KMS.
        Gcp = "gcpkms",
        /// AWS KMS.
        Aws = "awskms",
        /// Azure Key Vault.
        Azure = "azurekms",
        /// The transit engine of HashiCorp Vault or OpenBao.
        HashiVault = "hashivault",
        /// The same, by the name of OpenBao.
        OpenBao = "openbao",
    }
}

names! {
    /// How the password is shown to Kafka.
    KafkaSaslMechanism {
        /// As it is: over TLS only.
        Plain = "PLAIN",
        /// A proof that one has it, with SHA-256.
        ScramSha256 = "SCRAM-SHA-256",
        /// A proof that one has it, with SHA-512.
        ScramSha512 = "SCRAM-SHA-512",
    }
}

names! {
    /// How batches of messages to Kafka are compressed.
    KafkaCompression {
        /// Not at all.
        None = "none",
        /// gzip.
        Gzip = "gzip",
        /// Snappy.
        Snappy = "snappy",
        /// LZ4.
        Lz4 = "lz4",
    }
}
