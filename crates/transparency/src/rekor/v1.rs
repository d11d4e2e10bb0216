//! Rekor v1: a log that keeps an entry once, promises it at once and proves it.
//!
//! After its [OpenAPI document](https://github.com/sigstore/rekor/blob/main/openapi.yaml).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::dsse::Envelope;
use chains_core::{Digest, Entry, Error, ErrorKind, InclusionProof, PublicKey, Result};
use chains_http::Answer;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::proposal::{self, EnvelopeEntry};
use crate::entry::{Evidence, TrustedLog, verify_entry};
use crate::fault::{failed, protocol};
use crate::http::{self, Http, Service};
use crate::logged::Logged;
use crate::{body, merkle};

const ENTRIES: &str = "/api/v1/log/entries";
/// No answer is larger: an `intoto` entry may bring its attestation along.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// A client of one log.
#[derive(Debug, Clone)]
pub(crate) struct RekorV1 {
    http: Http,
    service: Service,
    envelopes: EnvelopeEntry,
}

impl RekorV1 {
    pub(crate) const fn new(http: Http, service: Service, envelopes: EnvelopeEntry) -> Self {
        Self { http, service, envelopes }
    }

    /// Logs it, or finds the entry that is there. The entry is verified.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no log of this version at the address; else as for
    /// [`TransparencyLog::append`](chains_core::TransparencyLog::append).
    pub(crate) async fn append(
        &self,
        logged: &Logged<'_>,
        envelope: Option<&Envelope>,
        logs: &[TrustedLog],
    ) -> Result<Entry> {
        let entry = match envelope {
            None => self.log(&proposal::detached(logged)?).await?,
            Some(envelope) => self.log_envelope(logged, envelope).await?,
        };
        let what = || format!("verifying entry {} of {}", entry.log_index, self.service.shown());
        verify_entry(&entry, logged, logs, Evidence::Proof).map_err(|e| e.context(what()))?;
        // The proof shows that it is there; the promise tells when, and is what cosign keeps.
        if entry.inclusion_promise.is_none() {
            let why = failed("signed entry timestamp: the entry has none");
            return Err(why.context(what()));
        }
        if let Some(envelope) = envelope {
            check_envelope_hash(&entry, envelope).map_err(|e| e.context(what()))?;
        }
        Ok(entry)
    }

    async fn log_envelope(&self, logged: &Logged<'_>, envelope: &Envelope) -> Result<Entry> {
        if self.envelopes != EnvelopeEntry::Intoto {
            let proposal = proposal::dsse(logged, &envelope.to_json())?;
            match self.propose(&proposal).await? {
                Proposed::Refused(answer)
                    if self.envelopes == EnvelopeEntry::Auto && is_kind_unknown(&answer) =>
                {
                    let log = self.service.shown();
                    tracing::debug!(log, "the log knows no dsse entries: logging as intoto");
                }
                proposed => return self.entry(proposed).await,
            }
        }
        self.log(&proposal::intoto(logged, envelope)?).await
    }

    async fn log(&self, proposal: &Value) -> Result<Entry> {
        let proposed = self.propose(proposal).await?;
        self.entry(proposed).await
    }

    async fn propose(&self, proposal: &Value) -> Result<Proposed> {
        let what = self.logging();
        let url = self.service.at(ENTRIES);
        let request = self.http.post(url, "application/json", proposal.to_string().into_bytes());
        let request = request.header(reqwest::header::ACCEPT, "application/json");
        let answer = http::send(&what, request, MAX_ANSWER).await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::OK => Ok(Proposed::Taken(read(&what, &answer.body)?)),
            StatusCode::CONFLICT => {
                let uuid = uuid_of(&answer).ok_or_else(|| {
                    protocol(&what, "it has the entry already and does not say where")
                })?;
                Ok(Proposed::There(uuid))
            }
            _ => Ok(Proposed::Refused(answer)),
        }
    }

    async fn entry(&self, proposed: Proposed) -> Result<Entry> {
        match proposed {
            // Old servers prove an entry only when it is asked for.
            Proposed::Taken((uuid, raw)) if !raw.is_proven() => self.fetch(&uuid).await,
            Proposed::Taken((uuid, raw)) => raw.entry(&self.service, &uuid),
            Proposed::There(uuid) => self.fetch(&uuid).await,
            Proposed::Refused(answer) => Err(http::refused(&self.logging(), &answer)),
        }
    }

    async fn fetch(&self, uuid: &str) -> Result<Entry> {
        let what = format!("reading an entry of {}", self.service.shown());
        let request = self.http.get(self.service.at(&format!("{ENTRIES}/{uuid}")));
        let answer = http::send(&what, request, MAX_ANSWER).await?;
        if answer.status != StatusCode::OK {
            if answer.status == StatusCode::NOT_FOUND {
                let why = "the log has the entry and does not show it yet";
                return Err(Error::new(ErrorKind::Unavailable, what).with_source(why));
            }
            return Err(http::refused(&what, &answer));
        }
        let (uuid, raw) = read(&what, &answer.body)?;
        raw.entry(&self.service, &uuid)
    }

    /// The key that the log shows of itself.
    pub(crate) async fn public_key(&self) -> Result<PublicKey> {
        let what = format!("asking {} for its public key", self.service.shown());
        let request = self.http.get(self.service.at("/api/v1/log/publicKey"));
        let answer = http::send(&what, request, MAX_ANSWER).await?;
        if answer.status != StatusCode::OK {
            return Err(http::refused(&what, &answer));
        }
        let pem = String::from_utf8_lossy(&answer.body);
        PublicKey::from_pem(&pem).map_err(|e| protocol(&what, chains_core::chain(&e)))
    }

    fn logging(&self) -> String {
        format!("logging at {}", self.service.shown())
    }
}

#[derive(Debug)]
enum Proposed {
    Taken((String, RawEntry)),
    There(String),
    Refused(Answer),
}

/// Whether the log refused because it has no such kind of entry.
fn is_kind_unknown(answer: &Answer) -> bool {
    let unknown = |message: String| message.contains("kind") && message.contains("dsse");
    matches!(answer.status.as_u16(), 400 | 422) && http::message(answer).is_some_and(unknown)
}

/// Where the entry is that was there before: the last part of `Location`, or of what the message says.
fn uuid_of(answer: &Answer) -> Option<String> {
    let location = answer.headers.get(reqwest::header::LOCATION).and_then(|l| l.to_str().ok());
    let named = location.and_then(|location| location.rsplit('/').next()).map(str::to_owned);
    let told = || http::message(answer)?.rsplit([' ', '/']).next().map(str::to_owned);
    named.filter(|uuid| is_uuid(uuid)).or_else(|| told().filter(|uuid| is_uuid(uuid)))
}

/// The hash of the leaf, with the number of its tree in front or without.
fn is_uuid(text: &str) -> bool {
    matches!(text.len(), 64 | 80) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A body of kind `dsse` has the hash of the very envelope that was sent; bundles hold it without `keyid`,
/// so this can only be checked here.
fn check_envelope_hash(entry: &Entry, envelope: &Envelope) -> Result<()> {
    let sent = Digest::sha256_of(envelope.to_json().as_bytes());
    match body::envelope_hash(&entry.body) {
        Some(hash) if hash != sent.hex() => Err(failed("entry body: it is about another envelope")),
        _ => Ok(()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    verification: Option<RawVerification>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVerification {
    inclusion_proof: Option<RawProof>,
    signed_entry_timestamp: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawProof {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

/// The one entry of an answer, with its name.
fn read(what: &str, json: &[u8]) -> Result<(String, RawEntry)> {
    let entries: BTreeMap<String, RawEntry> =
        serde_json::from_slice(json).map_err(|e| protocol(what, e.to_string()))?;
    let count = entries.len();
    let mut entries = entries.into_iter();
    match (entries.next(), entries.next()) {
        (Some(entry), None) if is_uuid(&entry.0) => Ok(entry),
        (Some(_), None) => Err(protocol(what, "the entry has an odd name")),
        _ => Err(protocol(what, format!("the answer has {count} entries, not one"))),
    }
}

impl RawEntry {
    fn is_proven(&self) -> bool {
        self.verification
            .as_ref()
            .is_some_and(|verification| verification.inclusion_proof.is_some())
    }

    fn entry(self, service: &Service, uuid: &str) -> Result<Entry> {
        let what = format!("reading entry {} of {}", self.log_index, service.shown());
        let odd = |name: &str| protocol(&what, format!("{name} cannot be read"));
        let bytes: Bytes = STANDARD.decode(&self.body).map_err(|_| odd("the body"))?.into();
        if !uuid.ends_with(&hex::encode(merkle::leaf_hash(&bytes))) {
            return Err(failed("entry body: it is not the one that the log names").context(what));
        }
        let log_id = hex::decode(&self.log_id).map_err(|_| odd("the log's id"))?.into();
        let verification = self.verification;
        let promise = verification.as_ref().and_then(|v| v.signed_entry_timestamp.as_deref());
        let promise = promise.map(|set| STANDARD.decode(set)).transpose();
        let promise = promise.map_err(|_| odd("the signed entry timestamp"))?;
        let proof = verification.and_then(|v| v.inclusion_proof).map(RawProof::proof).transpose();
        let proof = proof.map_err(|_| odd("the inclusion proof"))?;
        let (kind, version) = body::kind_of(&bytes).ok_or_else(|| odd("the body"))?;
        Ok(Entry {
            log_url: service.shown().to_owned(),
            log_id,
            log_index: self.log_index,
            kind,
            version,
            integrated_time: Some(self.integrated_time),
            body: bytes,
            inclusion_promise: promise.map(Bytes::from),
            inclusion_proof: proof,
            timestamps: Vec::new(),
            others: Vec::new(),
        })
    }
}

impl RawProof {
    fn proof(self) -> Result<InclusionProof, hex::FromHexError> {
        let bytes = |text: &String| hex::decode(text).map(Bytes::from);
        Ok(InclusionProof {
            log_index: self.log_index,
            root_hash: bytes(&self.root_hash)?,
            tree_size: self.tree_size,
            hashes: self.hashes.iter().map(bytes).collect::<Result<_, _>>()?,
            checkpoint: self.checkpoint,
        })
    }
}
