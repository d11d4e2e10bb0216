//! Sigstore bundles that refer to an image: in registries that list them, and in those that do not.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::Method;
use chains_core::bundle::Bundle;
use chains_core::{
    Capabilities, Entry, ErrorKind, Outcome, ReadBack as _, Record, Signed, Store as _, Target,
};
use chains_store_oci::{Encoding, OciOptions, OciStore};
use chains_testkit::store as suites;
use serde_json::{Value, json};

use crate::support::{
    Act, Image, Registry, Seen, attestation, detached_run, entry, options, push_image, reply,
    signature, signature_statement, store,
};

pub(crate) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(crate) fn bundled() -> OciStore {
    store(OciOptions { encoding: Encoding::SigstoreBundle, ..options() }, None)
}

/// Whether the registry lists what refers to a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lists {
    Itself,
    /// And does not say so when a manifest is written.
    Silently,
    No,
}

pub(crate) const ALL: [Lists; 3] = [Lists::Itself, Lists::Silently, Lists::No];

impl Lists {
    pub(crate) fn act(self, seen: &Seen) -> Act {
        match self {
            Self::No if seen.path.contains("/referrers/") => reply(404, &[], "404 page not found"),
            Self::No | Self::Silently if seen.is(&Method::PUT, "/manifests/") => {
                Act::Without("oci-subject")
            }
            _ => Act::Pass,
        }
    }

    pub(crate) async fn registry(self) -> Registry {
        let registry = Registry::start().await;
        registry.switch(move |seen| self.act(seen));
        registry
    }

    /// What refers to the image, as readers find it.
    pub(crate) async fn list(
        self,
        registry: &Registry,
        repository: &str,
        image: &Image,
    ) -> Vec<Value> {
        let index = match self {
            Self::No => registry.manifest(repository, &tag(image)).await,
            _ => registry.referrers(repository, &image.digest.digest.to_string()).await,
        };
        index["manifests"].as_array().cloned().unwrap_or_default()
    }
}

pub(crate) fn tag(image: &Image) -> String {
    format!("sha256-{}", image.digest.digest.hex())
}

pub(crate) async fn put(store: &OciStore, record: &Record) -> (&'static str, String) {
    match store.put(record).await.unwrap_or_else(|e| panic!("{}", e.report())) {
        Outcome::Stored { location } => ("stored", location),
        Outcome::AlreadyStored { location } => ("already stored", location),
        other => panic!("{other:?}"),
    }
}

fn bundle_of(record: &Record) -> String {
    Bundle::from_record(record).expect("a bundle").expect("it is signed").to_json()
}

pub(crate) fn sha256(content: impl AsRef<[u8]>) -> String {
    chains_core::Digest::sha256_of(content.as_ref()).to_string()
}

#[tokio::test]
async fn a_bundle_is_a_manifest_that_refers_to_the_image() {
    for lists in ALL {
        let registry = lists.registry().await;
        let image = push_image(&registry, "team/app", "a").await;
        let size = registry.manifest_bytes("team/app", &image.digest.digest.to_string()).await;
        let records =
            [signature_statement("build", &image), attestation("build", vec![image.subject()])];
        for record in &records {
            let (outcome, location) = put(&bundled(), record).await;
            let (name, digest) = location.split_once('@').expect("a digest");
            assert_eq!((outcome, name), ("stored", image.digest.name.to_string().as_str()));
            let manifest = registry.manifest("team/app", digest).await;
            let annotations = json!({
                "dev.sigstore.bundle.content": "dsse-envelope",
                "dev.sigstore.bundle.predicateType": record.payload.predicate_type,
            });
            let bundle = bundle_of(record);
            let expect = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "artifactType": BUNDLE,
                "config": {
                    "mediaType": "application/vnd.oci.empty.v1+json",
                    "digest": sha256("{}"), "size": 2, "artifactType": BUNDLE,
                },
                "layers": [{"mediaType": BUNDLE, "digest": sha256(&bundle), "size": bundle.len()}],
                "subject": {
                    "mediaType": MANIFEST,
                    "digest": image.digest.digest.to_string(),
                    "size": size.len(),
                },
                "annotations": annotations,
            });
            assert_eq!(manifest, expect, "{lists:?}");
            assert_eq!(registry.blob("team/app", &sha256(&bundle)).await, bundle.into_bytes());
            let listed = lists.list(&registry, "team/app", &image).await;
            let listed: Vec<_> = listed.iter().filter(|one| one["digest"] == digest).collect();
            assert_eq!(listed.len(), 1, "{lists:?}");
            assert_eq!(listed[0]["artifactType"], BUNDLE);
            assert_eq!(listed[0]["annotations"], annotations);
            assert_eq!(listed[0]["mediaType"], MANIFEST);
        }
        assert_eq!(lists.list(&registry, "team/app", &image).await.len(), 2);
        let index = registry.manifest("team/app", &tag(&image)).await;
        assert_eq!(
            index.is_null(),
            lists != Lists::No,
            "{lists:?}: no list besides the registry's"
        );
    }
}

#[tokio::test]
async fn storing_twice_adds_nothing() {
    for lists in ALL {
        let registry = lists.registry().await;
        let image = push_image(&registry, "app", "a").await;
        for record in
            [signature_statement("build", &image), attestation("build", vec![image.subject()])]
        {
            let first = put(&bundled(), &record).await;
            registry.take_seen();
            assert_eq!(put(&bundled(), &record).await, ("already stored", first.1));
            let seen = registry.take_seen();
            let writes = seen.iter().filter(|seen| !matches!(seen.method.as_str(), "GET" | "HEAD"));
            assert_eq!(writes.count(), 0, "{lists:?}");
        }
        assert_eq!(lists.list(&registry, "app", &image).await.len(), 2);
    }
}

#[tokio::test]
async fn a_manifest_that_nobody_lists_is_listed() {
    let registry = Lists::No.registry().await;
    let image = push_image(&registry, "app", "a").await;
    let record = attestation("build", vec![image.subject()]);
    // Whoever wrote it did not get as far as the list.
    registry.switch(|seen| match seen.is(&Method::PUT, "/manifests/sha256-") {
        true => reply(403, &[], ""),
        false => Lists::No.act(seen),
    });
    bundled().put(&record).await.expect_err("the list cannot be written");
    registry.switch(|seen| Lists::No.act(seen));
    assert_eq!(put(&bundled(), &record).await.0, "stored");
    assert_eq!(Lists::No.list(&registry, "app", &image).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    for lists in ALL {
        let registry = lists.registry().await;
        let image = push_image(&registry, "app", "a").await;
        let repository = format!("{}/records", registry.host()).parse().ok();
        let encoding = Encoding::SigstoreBundle;
        for repository in [None, repository] {
            let ours = store(OciOptions { repository, encoding, ..options() }, None);
            let records = vec![
                attestation("suite", vec![image.subject()]),
                signature_statement("suite", &image),
                signature("suite", &image),
                detached_run("suite"),
                Record { signed: None, material: None, ..attestation("none", Vec::new()) },
            ];
            // What the suite never stored is asked for in a registry that is not there.
            if ours.bundles(&image.digest).await.is_ok() {
                suites::suite_with(Arc::new(ours), records).await;
            }
        }
    }
}

#[tokio::test]
async fn what_is_stored_is_read_back_by_kind() {
    for lists in ALL {
        let registry = lists.registry().await;
        let image = push_image(&registry, "app", "a").await;
        let store = bundled();
        let mut keyless = attestation("keyless", vec![image.subject()]);
        let mut material = (**keyless.material.as_ref().unwrap()).clone();
        // Any DER will do: 49 bytes.
        let base64 = format!("MDEA{}\n{}", "A".repeat(60), "AAAA");
        let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
        material.certificate = Some(pem.clone());
        keyless.material = Some(material.into());
        keyless.entry = Some(entry());
        let signed = signature_statement("build", &image);
        let attested = attestation("build", vec![image.subject()]);
        for record in [&signed, &attested, &keyless] {
            put(&store, record).await;
        }
        let read = store.read_back((&signed).into()).await.expect("it reads");
        assert_eq!(read.len(), 1, "{lists:?}");
        assert_eq!(read[0].payload, signed.payload.bytes);
        let read = store.read_back((&attested).into()).await.expect("it reads");
        let payloads: BTreeSet<_> = read.iter().map(|stored| stored.payload.clone()).collect();
        let expect = [&attested, &keyless].map(|record| record.payload.bytes.clone());
        assert_eq!((payloads, read.len()), (expect.into(), 2));
        let certificates: Vec<_> =
            read.into_iter().filter_map(|stored| stored.certificate).collect();
        assert_eq!(certificates, [pem]);

        let all = store.bundles(&image.digest).await.expect("it reads");
        assert_eq!((all.found.len(), all.unreadable.len()), (3, 0));
        let entries =
            all.found.iter().map(|found| found.bundle.verification_material.tlog_entries.len());
        assert_eq!(entries.sum::<usize>(), 1);
        assert_eq!(store.attestations(&image.digest).await.expect("it reads").found, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_lose_nothing_and_write_nothing_twice() {
    for lists in ALL {
        for stores in [1, 4] {
            let registry = lists.registry().await;
            let image = push_image(&registry, "app", "a").await;
            let settle = OciOptions::default().settle;
            let one = || OciOptions { settle, encoding: Encoding::SigstoreBundle, ..options() };
            let stores: Vec<_> = (0..stores).map(|_| Arc::new(store(one(), None))).collect();
            let records: Vec<_> = (0..16)
                .map(|i| attestation(&format!("run-{}", i / 2), vec![image.subject()]))
                .collect();
            let tasks: Vec<_> = records
                .iter()
                .enumerate()
                .map(|(i, record)| {
                    // Both of a pair through the same store.
                    let store = Arc::clone(&stores[(i / 2) % stores.len()]);
                    let record = record.clone();
                    tokio::spawn(async move { put(&store, &record).await })
                })
                .collect();
            for task in tasks {
                task.await.expect("no panic");
            }
            let listed = lists.list(&registry, "app", &image).await;
            let digests: BTreeSet<_> = listed.iter().map(|one| one["digest"].to_string()).collect();
            assert_eq!((digests.len(), listed.len()), (8, 8), "{lists:?} {}", stores.len());
        }
    }
}

#[tokio::test]
async fn another_repository_holds_all_and_keeps_it() {
    for lists in ALL {
        let registry = lists.registry().await;
        let image = push_image(&registry, "app", "a").await;
        let other: chains_core::ImageName =
            format!("{}/signatures", registry.host()).parse().unwrap();
        let encoding = Encoding::SigstoreBundle;
        let options = OciOptions { repository: Some(other.clone()), encoding, ..options() };
        let store = store(options, None);
        let record = attestation("build", vec![image.subject()]);
        let (outcome, location) = put(&store, &record).await;
        assert_eq!(
            (outcome, location.split('@').next()),
            ("stored", Some(other.to_string().as_str()))
        );
        assert_eq!(put(&store, &record).await.0, "already stored");
        assert_eq!(lists.list(&registry, "signatures", &image).await.len(), 1, "{lists:?}");
        assert_eq!(lists.list(&registry, "app", &image).await, Vec::<Value>::new());
        assert_eq!(store.bundles(&image.digest).await.expect("it reads").found.len(), 1);
    }
}

#[tokio::test]
async fn an_image_that_is_not_there_is_told_by_name() {
    let registry = Lists::Itself.registry().await;
    let image = push_image(&registry, "app", "a").await;
    let gone = format!("{}/gone@{}", registry.host(), image.digest.digest).parse().unwrap();
    let gone = Image { digest: gone };
    let error = bundled().put(&signature_statement("build", &gone)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.report(), format!("there is no image {} in the registry", gone.digest));
    assert_eq!(bundled().bundles(&gone.digest).await.expect("none").found, []);
}

#[tokio::test]
async fn an_index_of_images_is_a_subject_too() {
    let registry = Lists::Itself.registry().await;
    let image = push_image(&registry, "app", "a").await;
    for (media_type, text) in [
        (INDEX, json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})),
        (
            MANIFEST,
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "config":
            {"mediaType": MANIFEST, "digest": sha256(r#"{"comment":"a"}"#), "size": 15}}),
        ),
    ] {
        let text = text.to_string();
        registry.put_manifest("app", &sha256(&text), &text).await;
        let digest = format!("{}@{}", image.digest.name, sha256(&text)).parse().unwrap();
        let subject = Image { digest };
        let location = put(&bundled(), &signature_statement("build", &subject)).await.1;
        let manifest = registry.manifest("app", location.split('@').nth(1).unwrap()).await;
        let expect = json!({"mediaType": media_type, "digest": sha256(&text), "size": text.len()});
        assert_eq!(manifest["subject"], expect);
    }
}

#[tokio::test]
async fn a_log_entry_that_comes_later_makes_another_bundle() {
    let registry = Lists::Itself.registry().await;
    let image = push_image(&registry, "app", "a").await;
    let record = attestation("build", vec![image.subject()]);
    put(&bundled(), &record).await;
    let logged = Record { entry: Some(entry()), ..record };
    assert_eq!(put(&bundled(), &logged).await.0, "stored");
    assert_eq!(put(&bundled(), &logged).await.0, "already stored");
    assert_eq!(Lists::Itself.list(&registry, "app", &image).await.len(), 2);
}

#[tokio::test]
async fn a_log_entry_that_is_asked_for_again_makes_no_other_bundle() {
    for lists in ALL {
        let registry = lists.registry().await;
        let image = push_image(&registry, "app", "a").await;
        let record = attestation("build", vec![image.subject()]);
        let mut again = (*entry()).clone();
        again.inclusion_promise = Some(b"promised anew".as_slice().into());
        again.timestamps = vec![b"another timestamp".as_slice().into()];
        let mut other = again.clone();
        other.log_index += 1;
        let logged = |entry: Entry| Record { entry: Some(Arc::new(entry)), ..record.clone() };
        let first = put(&bundled(), &logged((*entry()).clone())).await;
        let second = put(&bundled(), &logged(again)).await;
        assert_eq!((second.0, &second.1), ("already stored", &first.1), "{lists:?}");
        assert_eq!(put(&bundled(), &logged(other)).await.0, "stored");
        assert_eq!(lists.list(&registry, "app", &image).await.len(), 2, "{lists:?}");
    }
}

#[tokio::test]
async fn what_no_bundle_can_hold_is_refused() {
    let registry = Lists::Itself.registry().await;
    let image = push_image(&registry, "app", "a").await;
    let expect = Capabilities { dsse: true, detached: false, unsigned: false };
    assert_eq!(bundled().capabilities(), expect);
    let check = async |record: Record, part: &str| {
        let error = bundled().put(&record).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{}", error.report());
        assert!(error.report().contains(part), "{}", error.report());
    };
    check(signature("build", &image), "format `simplesigning` is none").await;
    check(detached_run("build"), "format `tekton` is no attestation").await;
    let unsigned = Record { signed: None, material: None, ..attestation("build", Vec::new()) };
    check(unsigned, "it is not signed").await;
    let mut odd = attestation("build", vec![image.subject()]);
    let mut material = (**odd.material.as_ref().unwrap()).clone();
    material.certificate = Some("no PEM".to_owned());
    odd.material = Some(material.into());
    check(odd, "reading the certificate of a record").await;
    // And in tags, an image's signature in an envelope.
    let tags = store(options(), None);
    let statement = signature_statement("build", &image);
    assert!(matches!(
        (&statement.target, &statement.signed),
        (Target::Image(_), Some(Signed::Dsse(_)))
    ));
    let error = tags.put(&statement).await.unwrap_err();
    assert!(error.report().contains("stand beside their payload"), "{}", error.report());
}
