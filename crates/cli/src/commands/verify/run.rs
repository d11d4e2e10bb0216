//! A run that carries its records as annotations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chains_backends::Evidence;
use chains_core::{
    Error, ErrorKind, ImageDigest, ReadBack as _, ReadQuery, Result, Signed, Stored, Target,
    annotations,
};
use chains_store_tekton::TektonStore;
use chains_tekton::Run;
use chains_verify::SimpleSigning;

use super::checks::{self, Checks, Found, Item, Trust, Weight, refusal};
use super::rebuild;
use crate::runs::{self, Input};

/// What the names of a record's annotations start with.
const PARTS: [&str; 4] = ["payload-", "signature-", "cert-", "chain-"];

pub(crate) async fn verify(path: &Path, trust: Trust<'_>) -> anyhow::Result<Found> {
    let Input { runs, unread } = runs::read(&[path.to_owned()])?;
    let mut found = Found::default();
    for run in &runs {
        of_run(run, trust, &mut found).await;
    }
    for unread in unread {
        let error = Error::new(ErrorKind::InvalidInput, unread.to_string());
        found.items.push(Item::refused("document", path.display().to_string(), &error));
    }
    Ok(found)
}

/// The run's own record, and those of the images that its results name.
async fn of_run(run: &Run, trust: Trust<'_>, found: &mut Found) {
    let mut images: BTreeMap<String, Vec<ImageDigest>> = BTreeMap::new();
    for target in run.targets(true) {
        let short = target.record_key(run.reference()).short;
        if let Target::Image(image) = target {
            images.entry(short).or_default().push(image);
        }
    }
    let own = of_target(run, &Target::Run).await;
    let mut of_images = Found::default();
    for group in images.values() {
        of_image(run, group, trust, &mut of_images).await;
    }
    match own {
        Ok(Some(stored)) => found.items.push(own_item(run, &stored, trust)),
        Ok(None) => found.items.push(none(run, of_images.items.is_empty())),
        Err(error) => {
            found.items.push(Item::refused("record", run.reference().to_string(), &error))
        }
    }
    found.items.append(&mut of_images.items);
    found.notes.append(&mut of_images.notes);
    found.notes.extend(strays(run, &images));
}

async fn of_target(run: &Run, target: &Target) -> Result<Option<Stored>> {
    let reference = run.reference();
    let key = target.record_key(reference);
    let query = ReadQuery { run: reference, target, key: &key, subjects: &[] };
    // The run itself holds one record of each target at most.
    Ok(TektonStore::new().read_back(query).await?.into_iter().next())
}

/// What an image's signature proves, it proves of the image: the run has to be signed itself.
fn none(run: &Run, nothing_else: bool) -> Item {
    let run = run.reference();
    let only = if nothing_else { "" } else { " of its own: those of images say nothing about it" };
    let why = format!("signature: {run} carries none{only} in its annotations");
    Item::refused("run", run.to_string(), &Error::new(ErrorKind::NotFound, why))
}

fn own_item(run: &Run, stored: &Stored, trust: Trust<'_>) -> Item {
    let mut checks = Checks::default();
    let kind = match &stored.signed {
        None => {
            checks.failed(&refusal("signature: it is not signed"));
            "record"
        }
        Some(signed @ Signed::Dsse(envelope)) => {
            if checks::provenance(&mut checks, signed, trust, evidence(stored)).is_some() {
                if envelope.payload != stored.payload {
                    let why = "payload: the annotation beside the envelope is not what is signed";
                    checks.failed(&refusal(why));
                }
                checks.note(rebuild::statement(run, &envelope.payload), Clone::clone);
            }
            "attestation"
        }
        Some(signed) => {
            if checks::signature(&mut checks, &stored.payload, signed, trust, evidence(stored))
                .is_some()
            {
                checks.note(rebuild::status(run, &stored.payload), Clone::clone);
            }
            "signature"
        }
    };
    checks.into_item(kind, stored.location.clone(), Weight::Required)
}

/// What the run holds of a signature beside it: no log entry, and so no time.
fn evidence(stored: &Stored) -> Evidence<'_> {
    Evidence {
        certificate: stored.certificate.as_deref(),
        chain: stored.chain.as_deref(),
        ..Evidence::default()
    }
}

/// The record of images that share a short key, which are one image in several repositories as a rule.
async fn of_image(run: &Run, images: &[ImageDigest], trust: Trust<'_>, found: &mut Found) {
    let Some(first) = images.first() else { return };
    let signed = match of_target(run, &Target::Image(first.clone())).await {
        Ok(None) => None,
        Ok(Some(stored)) => {
            let (item, signed) = image_item(&stored, images, trust);
            let verified = item.verified;
            found.items.push(item);
            if !verified {
                // There is one, of whichever image: where it does not hold, nobody knows.
                return;
            }
            signed
        }
        Err(error) => {
            let location = format!("{first} on {}", run.reference());
            found.items.push(Item::refused("image signature", location, &error));
            return;
        }
    };
    let others = images.iter().filter(|image| signed.as_ref() != Some(*image));
    found.notes.extend(others.map(|image| {
        format!("image {image}: no signature of it on the run: look in its registry")
    }));
}

fn image_item(
    stored: &Stored,
    images: &[ImageDigest],
    trust: Trust<'_>,
) -> (Item, Option<ImageDigest>) {
    let mut checks = Checks::default();
    let mut image = None;
    match &stored.signed {
        None => checks.failed(&refusal("signature: it is not signed")),
        Some(signed) => {
            if let Some(document) = checks::image_signature(
                &mut checks,
                &stored.payload,
                signed,
                trust,
                evidence(stored),
            ) {
                image = checks.note(one_of(&document, images), |image| format!("signs {image}"));
            }
        }
    }
    (checks.into_item("image signature", stored.location.clone(), Weight::Required), image)
}

/// The image that is signed must be one that the run names, in the same repository.
fn one_of(document: &SimpleSigning, images: &[ImageDigest]) -> Result<ImageDigest> {
    let signed = document.image()?;
    if images.contains(&signed) {
        return Ok(signed);
    }
    let wanted: Vec<String> = images.iter().map(ImageDigest::to_string).collect();
    Err(refusal(format!("image: {signed} is signed, the run names {}", wanted.join(", "))))
}

/// Annotations of records of nothing that the run names.
fn strays(run: &Run, images: &BTreeMap<String, Vec<ImageDigest>>) -> Vec<String> {
    let own = run.reference().record_key().short;
    let keys = run.reference().annotations.keys();
    let shorts = keys.filter_map(|key| {
        let name = key.strip_prefix(annotations::PREFIX)?;
        PARTS.iter().find_map(|part| name.strip_prefix(part))
    });
    let strays: BTreeSet<&str> =
        shorts.filter(|short| *short != own && !images.contains_key(*short)).collect();
    let say = |short| format!("annotations for {short}: the run names no such thing: not checked");
    strays.into_iter().map(say).collect()
}
