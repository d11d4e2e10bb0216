//! A folder that `chains sign` wrote.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chains_backends::Evidence;
use chains_core::bundle::{Bundle, KeyMaterial};
use chains_core::{ImageDigest, ImageName, Result, Signed, media_type};
use chains_store_local::{Listed, Listing, LocalRecord, LocalStore, RecordKind, Unrecognised};
use chains_verify::{BundleContent, Statement, verify_bundle};
use serde_json::Value;

use super::checks::{self, Checks, Found, Item, Trust, Weight, refusal};
use crate::settings;

/// The provenance that holds, by the folder of its run.
type Provenance = HashMap<PathBuf, Statement>;

pub(crate) async fn verify(folder: &Path, trust: Trust<'_>) -> anyhow::Result<Found> {
    let Listing { records, unrecognised } =
        LocalStore::new(folder).list().await.map_err(settings::report)?;
    // Images are held against the provenance beside them, which comes first therefore.
    let is_provenance = |listed: &&Listed| listed.kind == RecordKind::Provenance;
    let mut provenance = Provenance::new();
    let mut items = Vec::with_capacity(records.len() + unrecognised.len());
    for listed in records.iter().filter(is_provenance) {
        items.push((&listed.path, item(listed, trust, &mut provenance)));
    }
    for listed in records.iter().filter(|listed| !is_provenance(listed)) {
        items.push((&listed.path, item(listed, trust, &mut provenance)));
    }
    items.extend(unrecognised.iter().map(|odd| (&odd.path, not_checked(odd))));
    items.sort_by_key(|(path, _)| *path);
    Ok(Found { items: items.into_iter().map(|(_, item)| item).collect(), notes: Vec::new() })
}

fn not_checked(odd: &Unrecognised) -> Item {
    let error = refusal(format!("not checked: {}", odd.why));
    Item::refused("unrecognised", odd.path.display().to_string(), &error)
}

/// What a record is, is told by the name of its file: what is in it may be made to look like something else.
fn item(listed: &Listed, trust: Trust<'_>, provenance: &mut Provenance) -> Item {
    let mut checks = Checks::default();
    match &listed.record {
        Ok(record) => match &record.stored.signed {
            None => checks.failed(&refusal("signature: it is not signed")),
            Some(signed) => {
                let beside = listed.path.parent().unwrap_or(Path::new("")).to_owned();
                match listed.kind {
                    RecordKind::Provenance => {
                        if let Some(statement) =
                            statement(&mut checks, listed, record, signed, trust)
                        {
                            provenance.insert(beside, statement);
                        }
                    }
                    RecordKind::Status => {
                        status(&mut checks, record, signed, trust);
                    }
                    RecordKind::Image => {
                        let beside = provenance.get(&beside);
                        image(&mut checks, listed, record, signed, trust, beside);
                    }
                }
            }
        },
        Err(error) => checks.failed(error),
    }
    let kind = match listed.kind {
        RecordKind::Provenance => "attestation",
        RecordKind::Status => "signature",
        RecordKind::Image => "image signature",
    };
    checks.into_item(kind, listed.path.display().to_string(), Weight::Required)
}

fn statement(
    checks: &mut Checks,
    listed: &Listed,
    record: &LocalRecord,
    signed: &Signed,
    trust: Trust<'_>,
) -> Option<Statement> {
    let statement = checks::provenance(checks, signed, trust, evidence(record))?;
    let payload = &record.stored.payload;
    let is_same = matches!(signed, Signed::Dsse(envelope) if envelope.payload == *payload);
    let same = if is_same {
        Ok(())
    } else {
        Err(refusal(
            "statement: the readable statement is not the one that is signed: it has been changed",
        ))
    };
    checks.note(same, |()| "the readable statement is the one that is signed".to_owned())?;
    bundle(checks, record, BundleContent::Envelope { payload_type: media_type::IN_TOTO }, trust)?;
    of_folder(checks, listed, payload)?;
    Some(statement)
}

/// What a statement says about which run it is of, against what the run's folder says.
fn of_folder(checks: &mut Checks, listed: &Listed, payload: &[u8]) -> Option<()> {
    let statement: Value = serde_json::from_slice(payload).unwrap_or_default();
    let text = |pointer: &str| statement.pointer(pointer).and_then(Value::as_str);
    if let Some(build_type) = text("/predicate/buildType")
        && let Some(kind) = build_type.strip_prefix("tekton.dev/v1/")
        && let Some(named) = listed.run_kind()
    {
        let same = (kind == named.as_str()).then_some(());
        let same = same.ok_or_else(|| {
            refusal(format!("run: the statement is of a {kind}, the folder is named for a {named}"))
        });
        checks.note(same, |()| format!("speaks of a {named}"))?;
    }
    if let Some(build_type) = text("/predicate/buildDefinition/buildType")
        && build_type.starts_with("https://tekton.dev/chains/v2/")
        && let Some(uid) = text("/predicate/runDetails/metadata/invocationId")
        && let Some(is_same) = listed.is_of_uid(uid)
    {
        let same = is_same.then_some(()).ok_or_else(|| {
            refusal(format!("run: the statement is of the run {uid}, the folder of another one"))
        });
        checks.note(same, |()| format!("speaks of the run {uid}"))?;
    }
    Some(())
}

fn status(
    checks: &mut Checks,
    record: &LocalRecord,
    signed: &Signed,
    trust: Trust<'_>,
) -> Option<()> {
    let payload = &record.stored.payload;
    checks::signature(checks, payload, signed, trust, evidence(record))?;
    let status: Option<Value> = serde_json::from_slice(payload).ok();
    // Every run that is over has them; no other document that is signed does.
    let is_status = status.is_some_and(|status| status["conditions"].is_array());
    let status = is_status.then_some(()).ok_or_else(|| refusal("status: it is none of a run"));
    checks.note(status, |()| "the status of a run".to_owned())?;
    bundle(checks, record, BundleContent::Message(payload), trust)
}

fn image(
    checks: &mut Checks,
    listed: &Listed,
    record: &LocalRecord,
    signed: &Signed,
    trust: Trust<'_>,
    provenance: Option<&Statement>,
) -> Option<()> {
    let payload = &record.stored.payload;
    if matches!(signed, Signed::Dsse(_)) {
        return image_statement(checks, listed, record, signed, trust);
    }
    let document = checks::image_signature(checks, payload, signed, trust, evidence(record))?;
    let named = document.image().and_then(|image| {
        let is_named = listed.is_of_image(&image);
        is_named.then_some(image).ok_or_else(|| {
            refusal("image: the file is named for another image than the one that is signed")
        })
    });
    let image = checks.note(named, |image| format!("signs {image}"))?;
    bundle(checks, record, BundleContent::Message(payload), trust)?;
    let Some(statement) = provenance else { return Some(()) };
    let (name, digest) = (image.name.to_string(), &image.digest);
    let is_subject = statement.subjects.iter().any(|subject| {
        let hex = subject.digest.get(digest.algorithm().as_str());
        subject.name == name && hex.is_some_and(|hex| hex == digest.hex())
    });
    let subject: Result<()> = is_subject
        .then_some(())
        .ok_or_else(|| refusal("run: the provenance beside it does not speak of this image"));
    checks.note(subject, |()| "the provenance beside it speaks of this image".to_owned())
}

/// A signature of an image as a statement, which bundles in registries hold.
fn image_statement(
    checks: &mut Checks,
    listed: &Listed,
    record: &LocalRecord,
    signed: &Signed,
    trust: Trust<'_>,
) -> Option<()> {
    let statement = checks::statement(checks, signed, trust, evidence(record), None)?;
    if statement.predicate_type != checks::IMAGE_SIGNATURE {
        let why = "content: expected is a signature of an image, found a statement of another kind";
        checks.failed(&refusal(why));
        return None;
    }
    let is_named = statement.subjects.iter().any(|subject| {
        let name = subject.name.parse::<ImageName>();
        let digest = subject.digest.get("sha256").map(|hex| format!("sha256:{hex}").parse());
        match (name, digest) {
            (Ok(name), Some(Ok(digest))) => listed.is_of_image(&ImageDigest { name, digest }),
            _ => false,
        }
    });
    let named = is_named.then_some(()).ok_or_else(|| {
        refusal("image: the file is named for another image than the one that is signed")
    });
    checks.note(named, |()| "signs the image that the file is named for".to_owned())
}

/// What lies beside a signature.
fn evidence(record: &LocalRecord) -> Evidence<'_> {
    Evidence {
        certificate: record.stored.certificate.as_deref(),
        chain: record.stored.chain.as_deref(),
        bundle: record.bundle.as_ref(),
        ..Evidence::default()
    }
}

fn bundle(
    checks: &mut Checks,
    record: &LocalRecord,
    content: BundleContent<'_>,
    trust: Trust<'_>,
) -> Option<()> {
    // What is signed keyless was verified with its bundle.
    let keyless =
        |bundle: &&Bundle| matches!(bundle.verification_material.key, KeyMaterial::Certificate(_));
    let Some(bundle) = record.bundle.as_ref().filter(|bundle| !keyless(bundle)) else {
        return Some(());
    };
    checks.note(verify_bundle(bundle, content, trust.keys), |_| {
        "the Sigstore bundle holds the same signature".to_owned()
    })?;
    Some(())
}
