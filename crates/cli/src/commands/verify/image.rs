//! An image in a registry: its signatures and attestations.

use std::sync::Arc;

use chains_core::{Error, ErrorKind, ImageDigest, PublicKey};
use chains_store_oci::{Attached, Attachments, OciStore};

use super::checks::{self, Checks, Item};
use crate::args::VerifyArgs;
use crate::settings;

const SIGNATURE: &str = "image signature";
const ATTESTATION: &str = "attestation";

pub(crate) async fn verify(
    reference: &str,
    keys: &[PublicKey],
    args: &VerifyArgs,
) -> anyhow::Result<Vec<Item>> {
    let options = settings::oci_options(&args.registry, args.repository.as_deref())?;
    let store = OciStore::new(options, Arc::new(settings::keyring()?)).map_err(settings::report)?;
    let image = store.resolve(reference).await.map_err(settings::report)?;
    let signatures = store.signatures(&image).await.map_err(settings::report)?;
    let attestations = store.attestations(&image).await.map_err(settings::report)?;
    let mut items = items(signatures, SIGNATURE, &image, |checks, found, image| {
        if let Some(signed) = &found.stored.signed {
            checks::image_signature(
                checks,
                &found.stored.payload,
                signed,
                keys,
                Some(&image.digest),
            );
        }
    });
    items.extend(self::items(attestations, ATTESTATION, &image, |checks, found, image| {
        if let Some(signed) = &found.stored.signed {
            checks::statement(checks, signed, keys, Some(&image.digest));
        }
    }));
    Ok(items)
}

fn items(
    attachments: Attachments,
    kind: &'static str,
    image: &ImageDigest,
    check: impl Fn(&mut Checks, &Attached, &ImageDigest),
) -> Vec<Item> {
    let found = attachments.found.into_iter().map(|found| {
        let mut checks = Checks::default();
        check(&mut checks, &found, image);
        checks.into_item(kind, found.stored.location, false)
    });
    let unreadable = attachments.unreadable.into_iter().map(|unreadable| {
        let mut checks = Checks::default();
        checks.failed(&Error::new(ErrorKind::Verification, unreadable.reason));
        checks.into_item(kind, unreadable.location, false)
    });
    found.chain(unreadable).collect()
}
