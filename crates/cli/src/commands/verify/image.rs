//! An image in a registry: its signatures and attestations.

use std::sync::Arc;

use chains_backends::Evidence;
use chains_core::{Error, ErrorKind, ImageDigest, Stored};
use chains_store_oci::{Attached, Attachments, Bundled, Bundles, OciStore, Unreadable};
use chains_verify::Statement;

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
    let mut notes = Vec::new();
    let bundles = match store.bundles(&image).await {
        Ok(bundles) => bundles,
        // What stands under tags holds by itself.
        Err(error) if !signatures.found.is_empty() || !attestations.found.is_empty() => {
            notes.push(format!("bundles were not looked at: {}", error.report()));
            Bundles::default()
        }
        Err(error) => return Err(settings::report(error)),
    };
    tracing::debug!(
        %image,
        signatures = signatures.found.len(),
        attestations = attestations.found.len(),
        bundles = bundles.found.len(),
        "read from the registry"
    );
    let mut found = found(&image, signatures, attestations, bundles, trust);
    found.notes.append(&mut notes);
    Ok(found)
}

fn found(
    image: &ImageDigest,
    signatures: Attachments,
    attestations: Attachments,
    bundles: Bundles,
    trust: Trust<'_>,
) -> Found {
    let mut found = Found::default();
    let (of_image, of_runs): (Vec<_>, Vec<_>) =
        bundles.found.iter().partition(|bundled| signs_image(bundled));
    found.items.extend(signatures.found.iter().map(|one| signature(one, image, trust)));
    found.items.extend(of_image.iter().map(|one| bundled_signature(one, image, trust)));
    found.items.extend(signatures.unreadable.into_iter().map(|one| unreadable(one, SIGNATURE)));
    if found.items.is_empty() {
        found.notes.push("no image signature was found".to_owned());
    }
    let mut others: Vec<Item> =
        attestations.found.iter().map(|one| attestation(one, image, trust)).collect();
    others.extend(of_runs.iter().map(|one| bundled_attestation(one, image, trust)));
    others.extend(attestations.unreadable.into_iter().map(|one| unreadable(one, ATTESTATION)));
    others.extend(bundles.unreadable.into_iter().map(|one| unreadable(one, ATTESTATION)));
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
            checks::image_signature(&mut checks, &found.stored.payload, signed, trust, layer(found))
    {
        checks.note(document.check(&image.digest), |()| format!("signs {}", image.digest));
    }
    checks.into_item(SIGNATURE, found.stored.location.clone(), Weight::OneOfKind)
}

/// What is kept in the annotations of a layer.
fn layer(found: &Attached) -> Evidence<'_> {
    Evidence {
        certificate: found.stored.certificate.as_deref(),
        chain: found.stored.chain.as_deref(),
        bundle: None,
        entry: found.bundle.as_deref(),
        timestamp: found.timestamp.as_deref(),
    }
}

fn whole(found: &Bundled) -> Evidence<'_> {
    let certificate = found.stored.certificate.as_deref();
    Evidence { certificate, bundle: Some(&found.bundle), ..Evidence::default() }
}

/// Whether it says of itself that it is a signature of an image and no attestation; what does not hold cannot be
/// believed to be either.
fn signs_image(bundled: &Bundled) -> bool {
    Statement::from_json(&bundled.stored.payload)
        .is_ok_and(|statement| statement.predicate_type == checks::IMAGE_SIGNATURE)
}

fn bundled_signature(found: &Bundled, image: &ImageDigest, trust: Trust<'_>) -> Item {
    let mut checks = Checks::default();
    if let Some(signed) = &found.stored.signed {
        checks::statement(&mut checks, signed, trust, whole(found), Some(&image.digest));
    }
    checks.into_item(SIGNATURE, found.stored.location.clone(), Weight::OneOfKind)
}

fn attestation(found: &Attached, image: &ImageDigest, trust: Trust<'_>) -> Item {
    attested(&found.stored, layer(found), image, trust)
}

fn bundled_attestation(found: &Bundled, image: &ImageDigest, trust: Trust<'_>) -> Item {
    attested(&found.stored, whole(found), image, trust)
}

fn attested(
    stored: &Stored,
    evidence: Evidence<'_>,
    image: &ImageDigest,
    trust: Trust<'_>,
) -> Item {
    let mut checks = Checks::default();
    let statement = stored.signed.as_ref().and_then(|signed| {
        checks::statement(&mut checks, signed, trust, evidence, Some(&image.digest))
    });
    let location = stored.location.clone();
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

#[cfg(test)]
mod tests {
    use chains_backends::{Environment, Keyless};
    use chains_config::Config;
    use chains_core::{Payload, Signed, Stored, Target};
    use chains_store_oci::{Attached, Attachments, Bundles, Unreadable};
    use chains_testkit::fake::FakeSigner;
    use chains_testkit::fixture;
    use chains_testkit::sigstore::Sigstore;

    use super::super::checks::Trust;
    use super::super::missing;

    const SPDX: &str = "https://spdx.dev/Document";

    fn attached(payload: Payload, signer: &FakeSigner) -> Attached {
        let record = fixture::signed(&fixture::run("build"), Target::Run, payload, signer);
        let location = "registry.example.com/team/app:tag".to_owned();
        let (payload, signed): (_, Option<Signed>) = (record.payload.bytes, record.signed);
        let stored = Stored { location, payload, signed, certificate: None, chain: None };
        Attached { stored, bundle: None, timestamp: None }
    }

    fn signature() -> Attached {
        attached(fixture::simple_signing(&fixture::image("app")), &FakeSigner::new(1))
    }

    fn attestation(predicate_type: &str) -> Attached {
        attached(statement(predicate_type), &FakeSigner::new(1))
    }

    fn statement(predicate_type: &str) -> Payload {
        let payload = fixture::statement(&fixture::run("build"), &fixture::image("app"));
        let json = String::from_utf8(payload.bytes.to_vec()).unwrap();
        let json = json.replace(fixture::PREDICATE_TYPE, predicate_type);
        Payload { bytes: json.into(), ..payload }
    }

    /// What is attached, the types that are asked for, what is missing, and what is noted.
    fn check(
        [signatures, attestations]: [Vec<Attached>; 2],
        types: &[&str],
        error: Option<&str>,
        notes: &[&str],
    ) {
        let keys = [FakeSigner::new(1).public_key().clone()];
        let types: Vec<String> = types.iter().map(|&text| text.to_owned()).collect();
        let attachments = |found| Attachments { found, unreadable: Vec::new() };
        let trust =
            Trust { keys: &keys, identity: None, roots: None, logged: false, types: &types };
        let image = fixture::image("app");
        let found = super::found(
            &image,
            attachments(signatures),
            attachments(attestations),
            Bundles::default(),
            trust,
        );
        assert_eq!(missing(&found.items).as_deref(), error, "{:?}", found.items);
        assert_eq!(found.notes, notes);
    }

    const NO_SIGNATURE: &str = "no image signature was found";
    const NO_ATTESTATION: &str = "no attestation was found";
    const NO_PROVENANCE: &str = "no attestation with predicate https://slsa.dev/provenance/v0.2 or \
                                 https://slsa.dev/provenance/v1 was found";
    const NO_SPDX: &str = "no attestation with predicate https://spdx.dev/Document was found";

    #[test]
    fn what_is_not_there_is_noted() {
        let provenance = || attestation(fixture::PREDICATE_TYPE);
        check([vec![signature()], vec![provenance()]], &[], None, &[]);
        check([vec![signature()], vec![]], &[], None, &[NO_ATTESTATION]);
        check([vec![], vec![provenance()]], &[], None, &[NO_SIGNATURE]);
        let nothing = Some("nothing signed was found");
        check([vec![], vec![]], &[], nothing, &[NO_SIGNATURE, NO_ATTESTATION]);
    }

    #[test]
    fn other_attestations_prove_nothing_by_themselves() {
        let neither = Some("neither an image signature nor provenance was found");
        check([vec![], vec![attestation(SPDX)]], &[], neither, &[NO_SIGNATURE, NO_PROVENANCE]);
        check([vec![signature()], vec![attestation(SPDX)]], &[], None, &[NO_PROVENANCE]);
        let both = || vec![attestation(SPDX), attestation(fixture::PREDICATE_TYPE)];
        check([vec![], both()], &[], None, &[NO_SIGNATURE]);
        // What is signed by someone else is not believed to be of another type.
        let theirs = attached(statement(SPDX), &FakeSigner::new(2));
        let refused = Some("no attestation verified, of 1 found");
        check([vec![signature()], vec![theirs]], &[], refused, &[]);
    }

    #[test]
    fn a_type_that_is_asked_for_must_be_there() {
        let provenance = || attestation(fixture::PREDICATE_TYPE);
        check([vec![], vec![attestation(SPDX)]], &[SPDX], None, &[NO_SIGNATURE]);
        let failed = |of: &str| Some(format!("1 of {of} did not verify"));
        check([vec![signature()], vec![provenance()]], &[SPDX], failed("3").as_deref(), &[NO_SPDX]);
        check([vec![signature()], vec![]], &[SPDX], failed("2").as_deref(), &[NO_ATTESTATION]);
        let either = [SPDX, fixture::PREDICATE_TYPE];
        check([vec![signature()], vec![provenance()]], &either, None, &[]);
    }

    #[test]
    fn what_cannot_be_read_counts_as_refused() {
        let keys = [FakeSigner::new(1).public_key().clone()];
        let trust = Trust { keys: &keys, identity: None, roots: None, logged: false, types: &[] };
        let odd = Unreadable { location: "here".to_owned(), reason: "it is odd".to_owned() };
        let unreadable = Attachments { found: Vec::new(), unreadable: vec![odd] };
        let found = super::found(
            &fixture::image("app"),
            unreadable,
            Attachments::default(),
            Bundles::default(),
            trust,
        );
        assert_eq!(
            missing(&found.items).as_deref(),
            Some("no image signature verified, of 1 found")
        );
    }

    #[tokio::test]
    async fn a_layer_without_a_log_entry_is_refused_where_it_must_be_logged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.json");
        std::fs::write(&path, Sigstore::start().trusted_root()).unwrap();
        let pair = ("sigstore.trusted-root".to_owned(), path.display().to_string());
        let config = Config::from_pairs([pair]).unwrap();
        let roots = Keyless::load(&config, &Environment::anonymous()).await.unwrap();
        let keys = [FakeSigner::new(1).public_key().clone()];
        let said = |logged, bundle: Option<&str>| {
            let roots = Some(&roots);
            let trust = Trust { keys: &keys, identity: None, roots, logged, types: &[] };
            let layer = Attached { bundle: bundle.map(str::to_owned), ..signature() };
            let item = super::signature(&layer, &fixture::image("app"), trust);
            let details: Vec<_> = item.checks.iter().map(|check| check.detail.as_str()).collect();
            (item.verified, details.join("\n"))
        };
        let (verified, told) = said(false, None);
        assert!(verified && told.contains("nothing shows that it is in a trusted log"), "{told}");
        let (verified, told) = said(true, None);
        assert!(!verified && told.contains("log entry: the signature came with none"), "{told}");
        let (verified, told) = said(true, Some("{}"));
        assert!(!verified && told.contains("reading the log entry in an annotation"), "{told}");
    }
}
