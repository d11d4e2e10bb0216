//! The store itself.

use std::sync::Arc;

use async_trait::async_trait;
use chains_core::{
    Capabilities, Error, ErrorKind, ImageDigest, ImageName, Outcome, ReadBack, ReadQuery, Record,
    RegistryCredentials, Result, RunRef, Store, Stored, Target,
};
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::commit::{Change, Place, Tags};
use crate::fault::Fault;
use crate::layer::{Kind, NewLayer, Odd};
use crate::manifest::Manifest;
use crate::referrers::{self, NewBundle, Referrers};
use crate::registry::{Access, Registries, Repository};
use crate::subjects::{Other, images, told};
use crate::{Attachments, Bundles, Encoding, OciOptions, Unreadable, read};

/// How many subjects of one statement are worked on at once.
const PARALLEL: usize = 8;
/// The predicate type of `cosign`'s signatures of images, where they are statements.
const IMAGE_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// Keeps records in OCI registries, beside the images they are about.
///
/// # Guarantees
/// - What is there stays: layers are only added, also to tags that `cosign` wrote; bundles are added to those that
///   refer to the image.
/// - The same record twice is there once.
/// - Concurrent calls on one store lose nothing. Other stores, processes and programs may write to the same tag, which
///   for bundles is the case where the registry does not list referrers itself:
///   registries have no conditional write, so every write is looked at again after a while
///   ([`OciOptions::settle`]) and done anew if it was undone. What another writer undoes later than
///   that is lost; it must have taken longer than the wait between reading the tag and writing it.
/// - A credential is shown to the registry it was issued for and to the token endpoint that this registry
///   names, and to nobody over plain HTTP or with a certificate that does not verify unless the host is named in
///   [`OciOptions::insecure_hosts`], or is the registry of [`OciOptions::repository`] with
///   [`OciOptions::insecure`].
#[derive(Debug)]
pub struct OciStore {
    options: OciOptions,
    credentials: Arc<dyn RegistryCredentials>,
    registries: Registries,
    tags: Tags<Manifest>,
    referrers: Referrers,
}

/// What can be read of an image's records, and what cannot.
type Found = (Vec<Stored>, Vec<Unreadable>);

/// A record in the form that the store keeps it in.
enum Form {
    Layer(NewLayer),
    Bundle(NewBundle),
}

impl OciStore {
    /// A store with these options, which asks `credentials` for each repository.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where a file of certificates cannot be read, or the repository has a scheme.
    pub fn new(options: OciOptions, credentials: Arc<dyn RegistryCredentials>) -> Result<Self> {
        if let Some(name) = &options.repository {
            check_registry(name).map_err(|why| {
                let what = format!("setting up the oci store for {name}");
                Fault::new(ErrorKind::Configuration, what, why)
            })?;
        }
        let registries = Registries::new(&options)?;
        let (tags, referrers) = (Tags::new(options.settle), Referrers::new(options.settle));
        Ok(Self { options, credentials, registries, tags, referrers })
    }

    /// The digest that `NAME[:TAG]` or `NAME[:TAG]@DIGEST` stands for; `latest` where there is no tag.
    ///
    /// The image's manifest is read, and the digest computed from it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where the reference cannot be read, [`ErrorKind::NotFound`] where there is no
    /// such image, and whatever else the registry answers.
    pub async fn resolve(&self, reference: &str) -> Result<ImageDigest> {
        let (name, identifier) = read::parse_reference(reference)?;
        let repository = self.repository(None, &name).await?;
        let found = repository.manifest(&identifier, Access::Pull).await?;
        let Some(found) = found else {
            return Err(missing(&format!("{name}:{identifier}")));
        };
        Ok(ImageDigest { name, digest: found.digest })
    }

    /// The signatures of an image at its tag `.sig`, as far as they can be read; not verified. None is not an error.
    ///
    /// # Errors
    /// Where the registry does not answer, or not with a manifest.
    pub async fn signatures(&self, image: &ImageDigest) -> Result<Attachments> {
        self.attachments(None, image, Kind::Signature).await
    }

    /// The attestations of an image at its tag `.att`, as far as they can be read; not verified. None is not an error.
    ///
    /// # Errors
    /// As [`OciStore::signatures`].
    pub async fn attestations(&self, image: &ImageDigest) -> Result<Attachments> {
        self.attachments(None, image, Kind::Attestation).await
    }

    /// The Sigstore bundles that refer to an image, as far as they can be read; not verified: signatures and
    /// attestations alike. None is not an error.
    ///
    /// # Errors
    /// Where the registry does not answer, or not with a list of manifests.
    pub async fn bundles(&self, image: &ImageDigest) -> Result<Bundles> {
        self.bundles_of(None, image).await
    }

    async fn bundles_of(&self, run: Option<&RunRef>, image: &ImageDigest) -> Result<Bundles> {
        let name = self.options.repository.as_ref().unwrap_or(&image.name);
        let repository = self.repository(run, name).await?;
        Ok(referrers::bundles(&repository, name, &image.digest).await?)
    }

    /// Those bundles that are of this kind, by what their statements say.
    async fn bundles_of_kind(
        &self,
        run: &RunRef,
        image: &ImageDigest,
        kind: Kind,
    ) -> Result<Found> {
        let bundles = self.bundles_of(Some(run), image).await?;
        let is_of_kind = |stored: &Stored| {
            let predicate_type = referrers::predicate_type(&stored.payload);
            let signs_image = predicate_type.as_deref() == Some(IMAGE_SIGNATURE);
            signs_image == (kind == Kind::Signature)
        };
        let found = bundles.found.into_iter().map(|bundled| bundled.stored).filter(is_of_kind);
        Ok((found.collect(), bundles.unreadable))
    }

    async fn layers_of_kind(&self, run: &RunRef, image: &ImageDigest, kind: Kind) -> Result<Found> {
        let layers = self.attachments(Some(run), image, kind).await?;
        let found = layers.found.into_iter().map(|attached| attached.stored);
        Ok((found.collect(), layers.unreadable))
    }

    async fn attachments(
        &self,
        run: Option<&RunRef>,
        image: &ImageDigest,
        kind: Kind,
    ) -> Result<Attachments> {
        let place = self.place(run, image, kind).await?;
        Ok(read::attachments(&place, kind).await?)
    }

    /// The repository with the credential for it.
    async fn repository(&self, run: Option<&RunRef>, name: &ImageName) -> Result<Repository> {
        check_registry(name).map_err(|why| {
            Fault::new(ErrorKind::InvalidInput, format!("reaching the repository {name}"), why)
        })?;
        let credential =
            self.credentials.credential(run, name.registry(), name.repository()).await?;
        Ok(self.registries.repository(name, credential))
    }

    /// Where an image's records are.
    async fn place(&self, run: Option<&RunRef>, image: &ImageDigest, kind: Kind) -> Result<Place> {
        let name = self.options.repository.as_ref().unwrap_or(&image.name);
        let tag = kind.tag(&image.digest);
        let location = format!("{name}:{tag}");
        Ok(Place { repository: self.repository(run, name).await?, location, tag })
    }

    async fn put_at(&self, run: &RunRef, image: &ImageDigest, form: &Form) -> Result<Outcome> {
        let (change, location) = match form {
            Form::Layer(layer) => self.put_layer(run, image, layer).await?,
            Form::Bundle(bundle) => self.put_bundle(run, image, bundle).await?,
        };
        Ok(match change {
            Change::Added => Outcome::Stored { location },
            Change::None => Outcome::AlreadyStored { location },
        })
    }

    async fn put_layer(
        &self,
        run: &RunRef,
        image: &ImageDigest,
        layer: &NewLayer,
    ) -> Result<(Change, String)> {
        let place = self.place(Some(run), image, layer.kind).await?;
        // Elsewhere than beside the image, nothing says that we may ask for the image.
        if self.is_beside(image) {
            let digest = image.digest.to_string();
            if place.repository.manifest_digest(&digest, Access::Push).await?.is_none() {
                return Err(missing(&image.to_string()));
            }
        }
        Ok((self.tags.add(&place, layer).await?, place.location))
    }

    async fn put_bundle(
        &self,
        run: &RunRef,
        image: &ImageDigest,
        bundle: &NewBundle,
    ) -> Result<(Change, String)> {
        let name = self.options.repository.as_ref().unwrap_or(&image.name);
        let repository = self.repository(Some(run), name).await?;
        let digest = image.digest.to_string();
        // What refers to a manifest tells its size and type: we have to ask for it, wherever it is.
        let found = if self.is_beside(image) {
            repository.manifest(&digest, Access::Push).await?
        } else {
            let own = self.repository(Some(run), &image.name).await?;
            own.manifest(&digest, Access::Pull).await?
        };
        let found = found.ok_or_else(|| missing(&image.to_string()))?;
        let subject = referrers::Subject::of(found.digest, &found.bytes);
        let (change, digest) = self.referrers.add(&repository, name, &subject, bundle).await?;
        Ok((change, format!("{name}@{digest}")))
    }

    /// Whether records of the image are in its own repository.
    fn is_beside(&self, image: &ImageDigest) -> bool {
        self.options.repository.as_ref().is_none_or(|name| *name == image.name)
    }

    fn form(&self, record: &Record) -> Result<Form, Odd> {
        match self.options.encoding {
            Encoding::Dsse => NewLayer::of(record).map(Form::Layer),
            Encoding::SigstoreBundle => NewBundle::of(record).map(Form::Bundle),
        }
    }

    async fn put_at_subjects(&self, record: &Record, form: &Form) -> Result<Outcome> {
        let (images, others) = images(&record.payload.subjects);
        if images.is_empty() {
            let why = if others.is_empty() { "there is none".to_owned() } else { told(&others) };
            return Ok(Outcome::Skipped(format!("no subject is an image in a registry: {why}")));
        }
        // The outcome tells where the attestation is, and has no place for where it is not.
        for Other { subject, why } in &others {
            tracing::info!(
                run = %record.run,
                subject,
                why,
                "the subject is not an image in a registry: it gets no attestation there"
            );
        }
        let mut puts = Vec::new();
        for image in &images {
            puts.push(self.put_at(&record.run, image, form));
        }
        let results: Vec<_> = stream::iter(puts).buffered(PARALLEL).collect().await;
        combine(&record.run, images.iter().zip(results).collect())
    }
}

#[async_trait]
impl Store for OciStore {
    fn name(&self) -> &str {
        "oci"
    }

    fn capabilities(&self) -> Capabilities {
        // A signature beside its payload fits into a bundle, but its payload does not.
        let detached = self.options.encoding == Encoding::Dsse;
        Capabilities { dsse: true, detached, unsigned: false }
    }

    async fn put(&self, record: &Record) -> Result<Outcome> {
        let form = self
            .form(record)
            .map_err(|odd| unsupported(record, &odd.reason(record.payload.format)))?;
        match &record.target {
            Target::Image(image) => self.put_at(&record.run, image, &form).await,
            Target::Run => self.put_at_subjects(record, &form).await,
        }
    }
}

#[async_trait]
impl ReadBack for OciStore {
    /// For a run: every attestation of each of its images, of other runs too, because a registry keeps them by
    /// image. Layers that cannot be read are left out.
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        let (images, kind) = match query.target {
            Target::Image(image) => (vec![image.clone()], Kind::Signature),
            Target::Run => (images(query.subjects).0, Kind::Attestation),
        };
        let mut all = Vec::new();
        for image in &images {
            let (found, unreadable) = match self.options.encoding {
                Encoding::Dsse => self.layers_of_kind(query.run, image, kind).await?,
                Encoding::SigstoreBundle => self.bundles_of_kind(query.run, image, kind).await?,
            };
            for odd in &unreadable {
                tracing::warn!(location = odd.location, reason = odd.reason, "unreadable");
            }
            all.extend(found);
        }
        Ok(all)
    }
}

/// Why a name leads nowhere whose registry ends with a colon: a scheme is read as such a registry, as the registries'
/// own tools do.
fn check_registry(name: &ImageName) -> Result<(), String> {
    match name.registry().strip_suffix(':') {
        Some(scheme) if name.repository().starts_with('/') => {
            Err(format!("the name has a scheme: write it without `{scheme}://`"))
        }
        Some(_) => Err("there is no port after the colon of its registry".to_owned()),
        None => Ok(()),
    }
}

/// One outcome of several: the places, or what failed where.
fn combine(run: &RunRef, results: Vec<(&ImageDigest, Result<Outcome>)>) -> Result<Outcome> {
    let total = results.len();
    let mut locations = Vec::new();
    let mut added = false;
    let mut failed: Vec<(&ImageDigest, Error)> = Vec::new();
    for (image, result) in results {
        match result {
            Ok(Outcome::Stored { location }) => {
                added = true;
                locations.push(location);
            }
            Ok(Outcome::AlreadyStored { location }) => locations.push(location),
            Ok(_) => {}
            Err(error) => failed.push((image, error)),
        }
    }
    if !failed.is_empty() {
        return Err(failure(run, total, failed));
    }
    let location = locations.join(", ");
    Ok(if added { Outcome::Stored { location } } else { Outcome::AlreadyStored { location } })
}

/// Retryable where one of the failures is: another attempt does what it can, and nothing twice.
fn failure(run: &RunRef, total: usize, mut failed: Vec<(&ImageDigest, Error)>) -> Error {
    failed.sort_by_key(|(_, error)| !error.is_retryable());
    let told: Vec<String> =
        failed.iter().map(|(image, error)| format!("{image}: {}", error.report())).collect();
    let kind = failed.first().map_or(ErrorKind::Internal, |(_, error)| error.kind());
    let retryable = failed.first().is_some_and(|(_, error)| error.is_retryable());
    let what = format!("storing the attestation of {run} at {} of {total} images", failed.len());
    Error::new(kind, what).with_retryable(retryable).with_source(told.join("; "))
}

fn missing(image: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no image {image} in the registry"))
}

fn unsupported(record: &Record, why: &str) -> Error {
    let what = format!("storing {} of {} in a registry", record.target, record.run);
    Error::new(ErrorKind::Unsupported, what).with_source(why)
}
