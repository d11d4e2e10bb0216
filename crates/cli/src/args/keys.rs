//! Options of `chains keys`, and where keys are.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use chains_config::KmsRef;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Subcommand, ValueEnum};

use crate::cluster::{ClusterArgs, SecretRef};

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// A file, or a folder with files.
    File(PathBuf),
    /// A Secret in a cluster.
    Secret(SecretRef),
    /// A key in a key management service.
    Kms(KmsRef),
}

impl KeySource {
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        OsStringValueParser::new().try_map(Self::of)
    }

    /// A reference to a Secret or to a key in a service where the text is meant for one, else a path.
    pub(crate) fn of(text: OsString) -> Result<Self, String> {
        match text.to_str() {
            Some(reference) if SecretRef::is_meant_by(reference) => {
                secret(reference).map(Self::Secret)
            }
            Some(reference) if KmsRef::is_meant_by(reference) => reference.parse().map(Self::Kms),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Secret(at) => at.fmt(f),
            Self::Kms(key) => key.fmt(f),
        }
    }
}

fn secret(text: &str) -> Result<SecretRef, String> {
    text.parse().map_err(|error: <SecretRef as FromStr>::Err| error.to_string())
}

const GENERATE_EXAMPLES: &str = "\
The password is read from COSIGN_PASSWORD, or asked for; an empty one is allowed.

Examples:
  chains keys generate --type ed25519 --output-key-prefix signing
  chains keys generate k8s://tekton-chains/signing-secrets
      the Secret that the controller mounts, as `cosign generate-key-pair` makes it";

const PUBLIC_EXAMPLES: &str = "\
Examples:
  chains keys public --key cosign.key > cosign.pub
  chains keys public --key k8s://tekton-chains/signing-secrets > cosign.pub
  chains keys public --key awskms:///alias/chains > chains.pub";

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes a key pair that cosign can read too: in files, or in a Secret of a cluster.
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate {
        /// Makes this Secret, or fills it where it has no keys, in place of files.
        #[arg(value_name = "k8s://NAMESPACE/NAME", value_parser = secret)]
        secret: Option<SecretRef>,
        /// Kind of key.
        #[arg(long = "type", short = 't', value_enum, default_value_t = KeyType::EcdsaP256)]
        key_type: KeyType,
        /// Writes PREFIX.key and PREFIX.pub [default: chains]; with a Secret, PREFIX.pub if it is given.
        #[arg(long, value_name = "PREFIX")]
        output_key_prefix: Option<PathBuf>,
        /// Replaces keys that exist.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Prints the public key of a private key.
    #[command(after_help = PUBLIC_EXAMPLES)]
    Public {
        /// Private key (PEM, or a key of cosign), a folder with one, `k8s://NAMESPACE/NAME`, or a key in a service:
        /// `awskms://…`, `azurekms://…`, `gcpkms://…`, `hashivault://…`.
        #[arg(long, short, value_name = "KEY", value_parser = KeySource::parser())]
        key: KeySource,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
}

/// Kinds of key that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyType {
    /// ECDSA on NIST P-256: what cosign makes.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
}
