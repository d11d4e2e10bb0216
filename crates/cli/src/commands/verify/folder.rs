//! A folder that `chains sign` wrote.

use std::path::Path;

use chains_core::{Error, ErrorKind, PublicKey, Result, Signed, media_type};
use chains_store_local::{Listed, LocalRecord, LocalStore};
use chains_verify::{BundleContent, verify_bundle};

use super::checks::{self, Checks, Item};
use crate::settings;

pub(crate) async fn verify(folder: &Path, keys: &[PublicKey]) -> anyhow::Result<Vec<Item>> {
    let listed = LocalStore::new(folder).list().await.map_err(settings::report)?;
    Ok(listed.into_iter().map(|listed| item(listed, keys)).collect())
}

fn item(Listed { path, record }: Listed, keys: &[PublicKey]) -> Item {
    let location = path.display().to_string();
    let mut checks = Checks::default();
    let kind = match record {
        Ok(record) => check(&mut checks, &record, keys),
        Err(error) => {
            checks.failed(&error);
            "record"
        }
    };
    checks.into_item(kind, location, true)
}

fn check(checks: &mut Checks, record: &LocalRecord, keys: &[PublicKey]) -> &'static str {
    let payload = &record.stored.payload;
    match &record.stored.signed {
        None => {
            checks.failed(&Error::new(ErrorKind::Verification, "signature: it is not signed"));
            "record"
        }
        Some(signed @ Signed::Dsse(envelope)) => {
            if checks::statement(checks, signed, keys, None).is_some() {
                checks.note(same(payload, &envelope.payload), |()| {
                    "the readable statement is the one that is signed".to_owned()
                });
                let payload_type = media_type::IN_TOTO;
                bundle(checks, record, BundleContent::Envelope { payload_type }, keys);
            }
            "attestation"
        }
        Some(signed) => {
            let is_image = chains_verify::SimpleSigning::from_json(payload).is_ok();
            let held = if is_image {
                checks::image_signature(checks, payload, signed, keys, None).map(|_| ())
            } else {
                checks::signature(checks, payload, signed, keys)
            };
            if held.is_some() {
                bundle(checks, record, BundleContent::Message(payload), keys);
            }
            if is_image { "image signature" } else { "signature" }
        }
    }
}

fn bundle(
    checks: &mut Checks,
    record: &LocalRecord,
    content: BundleContent<'_>,
    keys: &[PublicKey],
) {
    if let Some(bundle) = &record.bundle {
        checks.note(verify_bundle(bundle, content, keys), |_| {
            "the Sigstore bundle holds the same signature".to_owned()
        });
    }
}

fn same(readable: &[u8], signed: &[u8]) -> Result<()> {
    if readable == signed {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Verification,
        "statement: the readable statement is not the one that is signed: it has been changed",
    ))
}
