//! An image in a registry: its signatures and attestations.

use std::sync::Arc;

use chains_core::{Error, ErrorKind, ImageDigest};
use chains_store_oci::{Attached, Attachments, OciStore, Unreadable};

use super::checks::{self, Checks, Found, Item, Trust, Weight};
use crate::args::VerifyArgs;
use crate::settings;

const SIGNATURE: &str = "image signature";
const ATTESTATION: &str = "attestation";
/// An attestation that holds and is not of a type that counts.
const OTHER: &str = "other attestation";

pub(crate) async fn verify(
    reference: &str,
    trust: Trust<'_>,
    args: &VerifyArgs,
) -> anyhow::Result<Found> {
    let options = settings::oci_options(&args.registry, args.repository.as_deref())?;
    let store = OciStore::new(options, Arc::new(settings::keyring()?)).map_err(settings::report)?;
    let image = store.resolve(reference).await.map_err(settings::report)?;
    let signatures = store.signatures(&image).await.map_err(settings::report)?;
    let attestations = store.attestations(&image).await.map_err(settings::report)?;
    Ok(found(&image, signatures, attestations, trust))
}

fn found(
    image: &ImageDigest,
    signatures: Attachments,
    attestations: Attachments,
    trust: Trust<'_>,
) -> Found {
    let mut found = Found::default();
    found.items.extend(signatures.found.iter().map(|one| signature(one, image, trust)));
    found.items.extend(signatures.unreadable.into_iter().map(|one| unreadable(one, SIGNATURE)));
    if found.items.is_empty() {
        found.notes.push("no image signature was found".to_owned());
    }
    let mut others: Vec<Item> =
        attestations.found.iter().map(|one| attestation(one, image, trust)).collect();
    others.extend(attestations.unreadable.into_iter().map(|one| unreadable(one, ATTESTATION)));
    if !others.iter().any(|item| item.kind == ATTESTATION) {
        let none = match others.as_slice() {
            [] => "no attestation was found".to_owned(),
            _ => format!("no attestation with predicate {} was found", trust.accepted()),
        };
        // Whoever names a type asks for it.
        if !trust.types.is_empty() {
            let error = Error::new(ErrorKind::NotFound, none.clone());
            others.push(Item::refused(ATTESTATION, image.to_string(), &error));
        }
        found.notes.push(none);
    }
    found.items.append(&mut others);
    found
}

fn signature(found: &Attached, image: &ImageDigest, trust: Trust<'_>) -> Item {
    let mut checks = Checks::default();
    if let Some(signed) = &found.stored.signed
        && let Some(document) =
            checks::image_signature(&mut checks, &found.stored.payload, signed, trust)
    {
        checks.note(document.check(&image.digest), |()| format!("signs {}", image.digest));
    }
    checks.into_item(SIGNATURE, found.stored.location.clone(), Weight::OneOfKind)
}

fn attestation(found: &Attached, image: &ImageDigest, trust: Trust<'_>) -> Item {
    let mut checks = Checks::default();
    let signed = found.stored.signed.as_ref();
    let statement = signed
        .and_then(|signed| checks::statement(&mut checks, signed, trust, Some(&image.digest)));
    let location = found.stored.location.clone();
    match statement {
        // What does not hold cannot be believed to be of another type.
        Some(statement) if !trust.accepts(&statement.predicate_type) => {
            checks.into_item(OTHER, location, Weight::Aside)
        }
        _ => checks.into_item(ATTESTATION, location, Weight::OneOfKind),
    }
}

fn unreadable(unreadable: Unreadable, kind: &'static str) -> Item {
    let mut checks = Checks::default();
    checks.failed(&checks::refusal(unreadable.reason));
    checks.into_item(kind, unreadable.location, Weight::OneOfKind)
}
