//! The traits that backends implement. All are object-safe and held as `Arc<dyn …>`.
//!
//! Timeouts, retries and metrics are wrappers that implement the same trait; a backend has none of its own
//! beyond what its protocol demands.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Entry, Outcome, Payload, Record, RecordKey, Result, RunRef, Secret, Signature, Signed, Stored,
    Subject, Target, VerificationMaterial,
};

/// Makes the payload of a target of a run of type `R`. Pure: the same input gives the same bytes.
pub trait Format<R: ?Sized>: Debug + Send + Sync + 'static {
    /// The name in the configuration, e.g. `slsa/v2alpha4`.
    fn name(&self) -> &'static str;

    /// The payload, or `None` where the format has nothing to say about the target.
    ///
    /// # Errors
    /// Names the field of the run that stands in the way.
    fn payload(&self, run: &R, target: &Target) -> Result<Option<Payload>>;
}

/// What verified a signer's earlier signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The certificate with its key and those above it.
    pub material: Arc<VerificationMaterial>,
    /// Whether it is valid still: what was signed with it can only be logged while it is.
    pub is_valid: bool,
}

/// Signs messages.
#[async_trait]
pub trait Signer: Debug + Send + Sync + 'static {
    /// The name in the configuration, e.g. `x509`.
    fn name(&self) -> &str;

    /// What verifies the next signature, as far as can be told before it is made.
    ///
    /// # Errors
    /// Where the key cannot be had.
    async fn material(&self) -> Result<Arc<VerificationMaterial>>;

    /// Begins in the background what the first signature would have to wait for; by default, nothing.
    fn start(&self) {}

    /// What verifies a signature that this signer made under an earlier certificate (DER).
    ///
    /// The certificate may come from anybody: `None` where this signer cannot have got it, as with every signer that
    /// has no certificates.
    ///
    /// # Errors
    /// Where it cannot be told.
    async fn earlier(&self, certificate: &[u8]) -> Result<Option<Earlier>> {
        let _ = certificate;
        Ok(None)
    }

    /// Signs the message, which comes unhashed, and tells how and with what.
    ///
    /// # Errors
    /// Names the key and the operation; never holds a secret.
    async fn sign(&self, message: &[u8]) -> Result<Signature>;
}

/// Logs signed payloads where nobody can unsay them.
#[async_trait]
pub trait TransparencyLog: Debug + Send + Sync + 'static {
    /// Address of the log.
    fn url(&self) -> &str;

    /// Logs it, or finds the entry that is there already: never a second one, never an error for that.
    ///
    /// # Errors
    /// Where the log cannot be reached, refuses, or answers what does not verify.
    async fn append(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
    ) -> Result<Entry>;

    /// As [`append`](Self::append), of what an earlier attempt logged: with the timestamps that it got then, which are
    /// checked as if they had just come. A log without timestamps needs none of them.
    ///
    /// # Errors
    /// As [`append`](Self::append), and where the timestamps do not hold.
    async fn append_again(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
        timestamps: &[Bytes],
    ) -> Result<Entry> {
        let _ = timestamps;
        self.append(payload, signed, material).await
    }
}

/// What a store can hold. Checked when the configuration is read, before anything is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// DSSE envelopes.
    pub dsse: bool,
    /// Detached signatures.
    pub detached: bool,
    /// Payloads without a signature.
    pub unsigned: bool,
}

/// Keeps records.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// The name in the configuration, e.g. `oci`.
    fn name(&self) -> &str;

    /// What it can hold.
    fn capabilities(&self) -> Capabilities;

    /// Keeps the record. Idempotent, and safe under concurrent callers.
    ///
    /// # Errors
    /// Names the record, the place and the cause; says whether a later attempt may succeed.
    async fn put(&self, record: &Record) -> Result<Outcome>;
}

/// Which records to read back.
#[derive(Debug, Clone, Copy)]
pub struct ReadQuery<'a> {
    /// The run that made the target.
    pub run: &'a RunRef,
    /// What was signed.
    pub target: &'a Target,
    /// The names it is kept under.
    pub key: &'a RecordKey,
    /// What the payload speaks of: where a store keeps records beside their subjects.
    pub subjects: &'a [Subject],
}

impl<'a> From<&'a Record> for ReadQuery<'a> {
    fn from(record: &'a Record) -> Self {
        Self {
            run: &record.run,
            target: &record.target,
            key: &record.key,
            subjects: &record.payload.subjects,
        }
    }
}

/// A store that can read what it keeps. What cannot read does not pretend.
#[async_trait]
pub trait ReadBack: Store {
    /// Every record that is kept for the query, in a stable order; none is not an error.
    ///
    /// # Errors
    /// Where the store cannot be reached or holds something unreadable.
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>>;
}

/// What to show to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryCredential {
    /// User and password, for basic authentication or a token endpoint.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An OAuth2 refresh token, to be exchanged at the registry's token endpoint.
    IdentityToken(Secret),
    /// A bearer token, to be sent as it is.
    Bearer(Secret),
}

/// Finds credentials for a repository.
#[async_trait]
pub trait RegistryCredentials: Debug + Send + Sync + 'static {
    /// The credential that was issued for this repository, or `None` for anonymous access.
    ///
    /// `run` says on whose behalf, where there is a run; `registry` is a host with its port if any,
    /// `repository` a path in it.
    ///
    /// # Errors
    /// Where a credential that exists cannot be read: anonymous access would only hide that.
    async fn credential(
        &self,
        run: Option<&RunRef>,
        registry: &str,
        repository: &str,
    ) -> Result<Option<RegistryCredential>>;
}
