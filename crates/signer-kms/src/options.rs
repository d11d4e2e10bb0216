//! What can be set about the signer.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use chains_core::Secret;

use crate::{Reference, Variables};

/// Options of [`KmsSigner`](crate::KmsSigner).
#[derive(Debug, Clone)]
pub struct KmsOptions {
    /// Which key (`signers.kms.kmsref`).
    pub key: Reference,
    /// How to speak to Vault; no other service looks at it.
    pub vault: VaultOptions,
    /// PEM files with certificate authorities to trust besides the system's.
    pub ca_files: Vec<PathBuf>,
    /// Bounds.
    pub limits: Limits,
    /// Where each service's own variables are read from.
    pub variables: Variables,
}

impl KmsOptions {
    /// The key, with everything else as the environment has it.
    #[must_use]
    pub fn new(key: Reference) -> Self {
        Self {
            key,
            vault: VaultOptions::default(),
            ca_files: Vec::new(),
            limits: Limits::default(),
            variables: Variables::of_process(),
        }
    }
}

/// Bounds of a [`KmsSigner`](crate::KmsSigner).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many signatures are asked for at once; further ones wait for their turn. At 200 ms a signature, 100 at
    /// once give 500 a second.
    pub concurrency: usize,
    /// How long a public key is taken for the newest one of a reference that names no version.
    pub refresh: Duration,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long one request may take, from connecting to the last byte of the answer.
    pub request_timeout: Duration,
}

impl Default for Limits {
    /// 100 at once, five minutes, five seconds, fifteen seconds.
    fn default() -> Self {
        Self {
            concurrency: 100,
            refresh: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
        }
    }
}

/// How to speak to Vault and OpenBao. What is not set is read from the variables that their own tools read.
///
/// The first of these that is set is the token: a JWT from `spire`, `token_path`, `token`, a login with the JWT in
/// `oidc_token_path`, `VAULT_TOKEN`, `BAO_TOKEN`, the file `~/.vault-token`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct VaultOptions {
    /// Address of the server (`signers.kms.auth.address`); else `VAULT_ADDR`, `BAO_ADDR`.
    pub address: Option<String>,
    /// A token (`signers.kms.auth.token`).
    pub token: Option<Secret>,
    /// A file with a token, read again when it changes (`signers.kms.auth.token-path`).
    pub token_path: Option<PathBuf>,
    /// Where the JWT login is mounted (`signers.kms.auth.oidc.path`); with SPIRE, else `jwt`.
    pub oidc_path: Option<String>,
    /// The role to log in as (`signers.kms.auth.oidc.role`).
    pub oidc_role: Option<String>,
    /// The file with the JWT to log in with (`signers.kms.auth.oidc.token-path`); else the one of the service
    /// account that Kubernetes mounts.
    pub oidc_token_path: Option<PathBuf>,
    /// Log in with a JWT from SPIRE.
    pub spire: Option<Spire>,
    /// How RSA keys sign: the transit engine does both with every key.
    pub rsa: RsaPadding,
}

/// An address may hold a password: what it has of that is left out.
impl fmt::Debug for VaultOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address.as_deref().map(|text| text.rsplit('@').next().unwrap_or(text));
        f.debug_struct("VaultOptions")
            .field("address", &address)
            .field("token", &self.token)
            .field("token_path", &self.token_path)
            .field("oidc_path", &self.oidc_path)
            .field("oidc_role", &self.oidc_role)
            .field("oidc_token_path", &self.oidc_token_path)
            .field("spire", &self.spire)
            .field("rsa", &self.rsa)
            .finish()
    }
}

/// Where a JWT of SPIRE comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spire {
    /// Address of the Workload API, `unix:…` or `tcp:…` (`signers.kms.auth.spire.sock`).
    pub socket: String,
    /// The audience to ask for (`signers.kms.auth.spire.audience`).
    pub audience: String,
}

/// How an RSA key signs, where the service leaves that to whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RsaPadding {
    /// PKCS#1 v1.5 over SHA-256: what cosign expects of a bare RSA key.
    #[default]
    Pkcs1,
    /// PSS over SHA-256, salt as long as the hash.
    Pss,
}
