//! Manifests and blobs of one repository.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chains_core::{Digest, DigestAlgorithm, ErrorKind, ImageName};
use oci_distribution::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
};
use reqwest::{Method, StatusCode, Url};

use super::answer::Answer;
use super::session::{Request, Session};
use super::throttle::{self, Again, Next};
use crate::fault::{Fault, Result};

/// The size that [registries must take][limit] at least, and few take more.
///
/// [limit]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
pub(crate) const MAX_MANIFEST: u64 = 4 * 1024 * 1024;
/// How often a manifest is written again because the registry misses a blob of it.
const MAX_MISSED: u32 = 5;
/// Answers to writes say nothing that is needed.
const MAX_RECEIPT: u64 = 64 * 1024;
const CONTENT_DIGEST: &str = "docker-content-digest";
/// Which subject the registry has seen in a manifest
/// ([§Pushing manifests with subject](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject)).
const SUBJECT: &str = "oci-subject";
const BLOB: &str = "application/octet-stream";

/// What a token must allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// To read.
    Pull,
    /// To read and write.
    Push,
}

/// What became of writing a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is there.
    Done {
        /// With this digest.
        digest: Digest,
        /// Whether the registry says that it lists it among the referrers of its subject.
        listed: bool,
    },
    /// The registry could not, and may be asked again after this time.
    Later(Duration, Fault),
    /// The registry does not have a blob of it.
    BlobMissing(Fault),
}

/// A manifest as the registry gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) bytes: Bytes,
    /// Of the bytes, computed here.
    pub(crate) digest: Digest,
}

/// A repository as seen with one credential; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(super) session: Arc<Session>,
    pub(super) name: ImageName,
}

impl Repository {
    pub(super) const fn new(session: Arc<Session>, name: ImageName) -> Self {
        Self { session, name }
    }

    /// Whether both are seen with the same credential.
    pub(crate) fn same_session(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.session, &other.session)
    }

    /// The manifest with this tag or digest, or `None` where there is none.
    pub(crate) async fn manifest(
        &self,
        reference: &str,
        access: Access,
    ) -> Result<Option<Fetched>> {
        let what = format!("reading the manifest {}", self.named(reference));
        let answer = self.ask_manifest(&what, Method::GET, reference, access).await?;
        let Some(answer) = found(&what, answer)? else {
            return Ok(None);
        };
        let digest = Digest::sha256_of(&answer.body);
        let expected = reference.parse::<Digest>().ok();
        check_digest(&what, &digest, expected.as_ref())?;
        check_digest(&what, &digest, announced(&answer).as_ref())?;
        Ok(Some(Fetched { bytes: answer.body, digest }))
    }

    /// The digest of the manifest with this tag or digest, as the registry tells it.
    pub(crate) async fn manifest_digest(
        &self,
        reference: &str,
        access: Access,
    ) -> Result<Option<Digest>> {
        let what = format!("looking for the manifest {}", self.named(reference));
        let answer = self.ask_manifest(&what, Method::HEAD, reference, access).await?;
        let Some(answer) = found(&what, answer)? else {
            return Ok(None);
        };
        match announced(&answer) {
            Some(digest) => Ok(Some(digest)),
            // The header is not mandatory.
            None => Ok(self.manifest(reference, access).await?.map(|fetched| fetched.digest)),
        }
    }

    /// Writes a manifest under a tag or its digest, once: before a second time, whoever writes a tag must look at it
    /// again.
    ///
    /// `before` tells how often that was tried before.
    pub(crate) async fn put_manifest(
        &self,
        reference: &str,
        media_type: &str,
        bytes: Bytes,
        before: u32,
    ) -> Result<Put> {
        let what = format!("writing the manifest {}", self.named(reference));
        if bytes.len() as u64 > MAX_MANIFEST {
            let why = format!("it has {} bytes and registries take {MAX_MANIFEST}", bytes.len());
            return Err(Fault::new(ErrorKind::TooLarge, what, why));
        }
        let digest = Digest::sha256_of(&bytes);
        let url = self.url(&what, &["manifests", reference]).await?;
        let request = Request {
            scope: &self.scope(Access::Push),
            content: Some((media_type, bytes)),
            again: Again::Never,
            ..self.request(&what, Method::PUT, url)
        };
        let answer = self.session.send(request).await?;
        if answer.status.is_success() {
            check_digest(&what, &digest, announced(&answer).as_ref())?;
            return Ok(Put::Done { digest, listed: answer.header(SUBJECT).is_some() });
        }
        let fault = answer.fault(&what);
        match throttle::next(answer.status, &answer.headers, before, Again::Freely) {
            Next::Wait(wait) => Ok(Put::Later(wait, fault)),
            Next::GiveUp(_) => Err(Fault { kind: ErrorKind::Throttled, ..fault }),
            Next::Take if answer.misses_blob() && before < MAX_MISSED => {
                Ok(Put::BlobMissing(fault))
            }
            Next::Take => Err(fault),
        }
    }

    /// The blob with this digest, or `None` where there is none.
    pub(crate) async fn blob(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>> {
        let what = format!("reading the blob {}@{digest}", self.name);
        let url = self.url(&what, &["blobs", &digest.to_string()]).await?;
        let request = Request { limit, ..self.request(&what, Method::GET, url) };
        let answer =
            self.session.send(Request { scope: &self.scope(Access::Pull), ..request }).await?;
        let Some(answer) = found(&what, answer)? else {
            return Ok(None);
        };
        if digest.algorithm() != DigestAlgorithm::Sha256 {
            let why = format!("{} digests are not checked here", digest.algorithm());
            return Err(Fault::new(ErrorKind::Unsupported, what, why));
        }
        check_digest(&what, &Digest::sha256_of(&answer.body), Some(digest))?;
        Ok(Some(answer.body))
    }

    /// Writes a blob, unless it is there.
    pub(crate) async fn put_blob(&self, bytes: Bytes) -> Result<()> {
        let digest = Digest::sha256_of(&bytes);
        let what = format!("writing the blob {}@{digest}", self.name);
        let url = self.url(&what, &["blobs", &digest.to_string()]).await?;
        let scope = self.scope(Access::Push);
        let request = Request { scope: &scope, ..self.request(&what, Method::HEAD, url) };
        let answer = self.session.send(request).await?;
        if found(&what, answer)?.is_some() {
            return Ok(());
        }
        let first = self.upload(&what, &scope, &digest, bytes.clone()).await;
        match first {
            Err(fault) if fault.kind == ErrorKind::Unavailable => {
                tracing::debug!(%fault, "uploading once more");
                self.upload(&what, &scope, &digest, bytes).await
            }
            result => result,
        }
    }

    /// A POST for an address, then a PUT to it.
    ///
    /// The address may be on another host, which then sees the blob and no credential.
    async fn upload(&self, what: &str, scope: &str, digest: &Digest, bytes: Bytes) -> Result<()> {
        let start = self.url(what, &["blobs", "uploads", ""]).await?;
        let begin = Request { scope, ..self.request(what, Method::POST, start.clone()) };
        let answer = self.session.send(begin).await?;
        if answer.status != StatusCode::ACCEPTED {
            return Err(answer.fault(what));
        }
        let location = answer.header("location").ok_or_else(|| {
            Fault::new(ErrorKind::Protocol, what, "it does not say where to upload to")
        })?;
        let mut url = self.session.visit(what, &start, location).await?;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let upload = Request {
            content: Some((BLOB, bytes)),
            scope,
            again: Again::WhenAsked,
            ..self.request(what, Method::PUT, url)
        };
        let answer = self.session.send(upload).await?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.fault(what)) }
    }

    async fn ask_manifest(
        &self,
        what: &str,
        method: Method,
        reference: &str,
        access: Access,
    ) -> Result<Answer> {
        let accept = [
            OCI_IMAGE_MEDIA_TYPE,
            OCI_IMAGE_INDEX_MEDIA_TYPE,
            IMAGE_MANIFEST_MEDIA_TYPE,
            IMAGE_MANIFEST_LIST_MEDIA_TYPE,
        ]
        .join(", ");
        let url = self.url(what, &["manifests", reference]).await?;
        let request = Request {
            accept: Some(&accept),
            limit: MAX_MANIFEST,
            ..self.request(what, method, url)
        };
        self.session.send(Request { scope: &self.scope(access), ..request }).await
    }

    pub(super) const fn request<'a>(&self, what: &'a str, method: Method, url: Url) -> Request<'a> {
        Request {
            what,
            method,
            url,
            scope: "",
            accept: None,
            content: None,
            again: Again::Freely,
            limit: MAX_RECEIPT,
        }
    }

    pub(super) fn scope(&self, access: Access) -> String {
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        format!("repository:{}:{actions}", self.name.repository())
    }

    pub(super) async fn url(&self, what: &str, path: &[&str]) -> Result<Url> {
        let segments: Vec<&str> = self.name.repository().split('/').collect();
        // Addresses have no such segments: the request would go to another repository.
        if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            let why = format!("{:?} is not the path of a repository", self.name.repository());
            return Err(Fault::new(ErrorKind::InvalidInput, what, why));
        }
        let mut url = self.session.root().await?.clone();
        let internal =
            |()| Fault::new(ErrorKind::Internal, what, "the registry's address has no path");
        url.path_segments_mut()
            .map_err(internal)?
            .pop_if_empty()
            .push("v2")
            .extend(segments)
            .extend(path);
        Ok(url)
    }

    fn named(&self, reference: &str) -> String {
        let separator = if reference.contains(':') { '@' } else { ':' };
        format!("{}{separator}{reference}", self.name)
    }
}

/// The answer, or `None` where what was asked for is not there.
fn found(what: &str, answer: Answer) -> Result<Option<Answer>> {
    match answer.status {
        StatusCode::OK => Ok(Some(answer)),
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(answer.fault(what)),
    }
}

/// The SHA-256 that the registry says its content has.
fn announced(answer: &Answer) -> Option<Digest> {
    let digest: Digest = answer.header(CONTENT_DIGEST)?.parse().ok()?;
    (digest.algorithm() == DigestAlgorithm::Sha256).then_some(digest)
}

fn check_digest(what: &str, actual: &Digest, expected: Option<&Digest>) -> Result<()> {
    match expected {
        Some(expected) if expected != actual => {
            let why = format!("the content has the digest {actual}, not {expected}");
            Err(Fault::new(ErrorKind::Verification, what, why))
        }
        _ => Ok(()),
    }
}
