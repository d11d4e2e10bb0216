//! A run that carries its records as annotations.

use std::path::Path;

use chains_core::{
    Error, ErrorKind, PublicKey, ReadBack as _, ReadQuery, RecordKey, Stored, Target,
};
use chains_core::{ImageDigest, Signed};
use chains_store_tekton::TektonStore;
use chains_tekton::Run;

use super::checks::{self, Checks, Item};
use crate::runs::{self, Input};
use crate::settings;

pub(crate) async fn verify(path: &Path, keys: &[PublicKey]) -> anyhow::Result<Vec<Item>> {
    let Input { runs, unread } = runs::read(&[path.to_owned()])?;
    let mut items = Vec::new();
    for run in &runs {
        items.extend(of_run(run, keys).await?);
    }
    for unread in unread {
        let mut checks = Checks::default();
        checks.failed(&Error::new(ErrorKind::InvalidInput, unread.to_string()));
        items.push(checks.into_item("document", path.display().to_string(), true));
    }
    Ok(items)
}

/// The run's own record, and those of every image that its results name.
async fn of_run(run: &Run, keys: &[PublicKey]) -> anyhow::Result<Vec<Item>> {
    let mut items = Vec::new();
    for target in run.targets(true) {
        let key = target.record_key(run.reference());
        for stored in read(run, &target, &key).await? {
            items.push(item(&stored, &target, keys));
        }
    }
    if items.is_empty() {
        let mut checks = Checks::default();
        checks.failed(&Error::new(
            ErrorKind::NotFound,
            format!("signature: {} carries none in its annotations", run.reference()),
        ));
        items.push(checks.into_item("run", run.reference().to_string(), true));
    }
    Ok(items)
}

async fn read(run: &Run, target: &Target, key: &RecordKey) -> anyhow::Result<Vec<Stored>> {
    let query = ReadQuery { run: run.reference(), target, key, subjects: &[] };
    TektonStore::new().read_back(query).await.map_err(settings::report)
}

fn item(stored: &Stored, target: &Target, keys: &[PublicKey]) -> Item {
    let mut checks = Checks::default();
    let kind = match (&stored.signed, target) {
        (None, _) => {
            checks.failed(&Error::new(ErrorKind::Verification, "signature: it is not signed"));
            "record"
        }
        (Some(signed @ Signed::Dsse(envelope)), Target::Run) => {
            if checks::statement(&mut checks, signed, keys, None).is_some()
                && envelope.payload != stored.payload
            {
                checks.failed(&Error::new(
                    ErrorKind::Verification,
                    "payload: the annotation beside the envelope is not what is signed",
                ));
            }
            "attestation"
        }
        (Some(signed), Target::Run) => {
            checks::signature(&mut checks, &stored.payload, signed, keys);
            "signature"
        }
        (Some(signed), Target::Image(ImageDigest { digest, .. })) => {
            checks::image_signature(&mut checks, &stored.payload, signed, keys, Some(digest));
            "image signature"
        }
    };
    checks.into_item(kind, stored.location.clone(), true)
}
