//! Keeps records as annotations of the run itself. Pure: whoever owns the run writes them.
//!
//! | annotation | holds, in standard base64 |
//! |---|---|
//! | `chains.tekton.dev/payload-<shortkey>` | the payload |
//! | `chains.tekton.dev/signature-<shortkey>` | the envelope as JSON, or the detached signature |
//! | `chains.tekton.dev/cert-<shortkey>` | PEM of the leaf certificate, where there is one |
//! | `chains.tekton.dev/chain-<shortkey>` | PEM of the certificates above it, where there are any |
//!
//! All annotations of an object together may hold 256 KiB. Each record is checked against what the run has
//! and itself; records of one run that are written together are checked together by who writes them.

mod names;
mod read;

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{
    Capabilities, Outcome, ReadBack, ReadQuery, Record, Result, Signed, Store, Stored, annotations,
};

use names::Names;

/// Answers with annotations for the run.
#[derive(Debug, Clone, Copy, Default)]
pub struct TektonStore {
    _private: (),
}

impl TektonStore {
    /// There is nothing to set.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

#[async_trait]
impl Store for TektonStore {
    fn name(&self) -> &str {
        "tekton"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { dsse: true, detached: true, unsigned: true }
    }

    /// # Errors
    /// [`TooLarge`](chains_core::ErrorKind::TooLarge) where the annotations would not fit on the run,
    /// [`InvalidInput`](chains_core::ErrorKind::InvalidInput) where the record's key makes no name of an
    /// annotation.
    async fn put(&self, record: &Record) -> Result<Outcome> {
        let names = Names::of(&record.key)?;
        let annotations = annotations_of(record, &names);
        let has = &record.run.annotations;
        if annotations.iter().all(|(name, value)| has.get(name) == Some(value)) {
            return Ok(Outcome::AlreadyStored { location: location(record.into(), &names) });
        }
        annotations::check_fits(&record.run, &annotations)
            .map_err(|error| error.context(format!("keeping {} on its run", record.target)))?;
        Ok(Outcome::OnRun { annotations })
    }
}

#[async_trait]
impl ReadBack for TektonStore {
    /// Reads the annotations that the query's run has: one record at most.
    ///
    /// # Errors
    /// [`InvalidInput`](chains_core::ErrorKind::InvalidInput) naming the annotation that is not base64, or
    /// not text where it must be.
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        let names = Names::of(query.key)?;
        read::record(query.run, &names, location(query, &names))
    }
}

fn annotations_of(record: &Record, names: &Names) -> BTreeMap<String, String> {
    let signature = record.signed.as_ref().map(|signed| match signed {
        Signed::Dsse(envelope) => STANDARD.encode(envelope.to_json()),
        Signed::Detached(signature) => STANDARD.encode(signature),
    });
    let material = record.material.as_deref();
    let certificate = material.and_then(|material| material.certificate.as_ref());
    let chain = material.and_then(|material| material.chain.as_ref());
    let payload = STANDARD.encode(&record.payload.bytes);
    let mut annotations = BTreeMap::from([(names.payload.clone(), payload)]);
    let others = [
        (&names.signature, signature),
        (&names.certificate, certificate.map(|pem| STANDARD.encode(pem))),
        (&names.chain, chain.map(|pem| STANDARD.encode(pem))),
    ];
    for (name, value) in others {
        // What an earlier signature left must not go with this one. It can be emptied, not taken away.
        let stale = record.run.annotations.contains_key(name).then(String::new);
        if let Some(value) = value.or(stale) {
            annotations.insert(name.clone(), value);
        }
    }
    annotations
}

fn location(query: ReadQuery<'_>, names: &Names) -> String {
    format!("annotation {} of {}", names.signature, query.run)
}
