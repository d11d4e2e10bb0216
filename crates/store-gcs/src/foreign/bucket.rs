//! A bucket of `object_store`, with its errors in our words.

use std::error::Error as StdError;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result, chain};
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
};
use reqwest::StatusCode;

use crate::fault::{Refused, told};
use crate::objects::{Creation, MAX_LISTED, Objects};

/// How many names are passed over that are in the folder and not of the record.
const MAX_PASSED: usize = 100_000;

/// What the two services differ in.
#[async_trait]
pub(super) trait Service: Send + Sync + 'static {
    /// Where an object is, as the service's tools write it.
    fn url(&self, name: &str) -> String;

    /// What to do about a bucket that is not there.
    fn missing(&self) -> String;

    /// What to do about a refusal, if anything is known.
    fn advice(&self, refused: &Refused) -> Option<String>;

    /// What to do where credentials cannot be had.
    fn no_credentials(&self) -> String;

    /// Whether who does not hand out credentials may do so later.
    fn may_come(&self, _: &Refused) -> bool {
        false
    }

    /// Sees to it that there are credentials: told apart from what is done with them.
    async fn credentials(&self) -> object_store::Result<()>;
}

/// A bucket.
pub(super) struct Bucket<S, O> {
    pub(super) service: S,
    pub(super) objects: O,
    pub(super) holds_to_preconditions: bool,
}

/// Where it is, and no more: what the library would tell of itself has keys in it.
impl<S: Service, O> fmt::Debug for Bucket<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.service.url("")).finish()
    }
}

impl<S: Service, O: ObjectStore> Bucket<S, O> {
    /// The path of an object.
    fn path(&self, what: &str, name: &str) -> Result<Path> {
        Path::parse(name).map_err(|e| Error::new(ErrorKind::InvalidInput, what).with_source(e))
    }

    async fn ready(&self, what: &str) -> Result<()> {
        self.service.credentials().await.map_err(|error| {
            let context = format!("{what}: asking for credentials");
            let advice = self.service.no_credentials();
            match cause::<Refused>(&error) {
                // Who does not hand out credentials to us refuses for good, unless it is broken.
                Some(refused) => {
                    let error = refused.error(&context, Some(advice));
                    let retryable = error.is_retryable() || self.service.may_come(refused);
                    error.with_retryable(retryable)
                }
                None => self.unanswered(&context, &error, Some(advice)),
            }
        })
    }

    fn failed(&self, what: &str, error: &object_store::Error) -> Error {
        if let Some(refused) = cause::<Refused>(error) {
            let missing = refused.status == StatusCode::NOT_FOUND;
            let advice = if missing { Some(self.service.missing()) } else { None };
            return refused.error(what, advice.or_else(|| self.service.advice(refused)));
        }
        self.unanswered(what, error, None)
    }

    fn unanswered(&self, what: &str, error: &object_store::Error, advice: Option<String>) -> Error {
        let advice = advice.map(|advice| format!(": {advice}")).unwrap_or_default();
        match cause::<Error>(error) {
            Some(ours) => Error::new(ours.kind(), what)
                .with_source(format!("{}{advice}", ours.report()))
                .with_retryable(ours.is_retryable()),
            None => Error::new(ErrorKind::Protocol, what)
                .with_source(format!("{}{advice}", told(&chain(error)))),
        }
    }
}

/// The cause of this type, however deep the library wrapped it.
fn cause<T: StdError + 'static>(error: &object_store::Error) -> Option<&T> {
    let mut cause = StdError::source(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[async_trait]
impl<S: Service, O: ObjectStore> Objects for Bucket<S, O> {
    fn holds_to_preconditions(&self) -> bool {
        self.holds_to_preconditions
    }

    fn url(&self, name: &str) -> String {
        self.service.url(name)
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let what = format!("reading {}", self.url(name));
        let path = self.path(&what, name)?;
        self.ready(&what).await?;
        let got = match self.objects.get(&path).await {
            Ok(got) => got.bytes().await,
            Err(error) => Err(error),
        };
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&what, &error)),
        }
    }

    async fn create(
        &self,
        name: &str,
        media_type: &'static str,
        content: Bytes,
    ) -> Result<Creation> {
        let what = format!("creating {}", self.url(name));
        let path = self.path(&what, name)?;
        self.ready(&what).await?;
        let attributes = Attributes::from_iter([(Attribute::ContentType, media_type)]);
        let options = PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() };
        match self.objects.put_opts(&path, PutPayload::from(content), options).await {
            Ok(_) => Ok(Creation::Created),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Creation::Exists),
            Err(error) => Err(self.failed(&what, &error)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let what = format!("listing {}*", self.url(prefix));
        let (folder, _) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        let folder = self.path(&what, folder)?;
        let offset = self.path(&what, prefix)?;
        self.ready(&what).await?;
        let mut listed = self.objects.list_with_offset(Some(&folder), &offset);
        let mut names = Vec::new();
        for _ in 0..MAX_PASSED {
            let next = listed.try_next().await.map_err(|e| self.failed(&what, &e))?;
            let Some(object) = next else { break };
            let name = object.location.as_ref();
            if name.starts_with(prefix) && names.len() < MAX_LISTED {
                names.push(name.to_owned());
            } else if name > prefix && !name.starts_with(prefix) {
                // They come in their order: none follows.
                break;
            }
        }
        Ok(names)
    }
}
