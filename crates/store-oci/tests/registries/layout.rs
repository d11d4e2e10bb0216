//! What is written: layers, annotations, configs; and what is kept of what was there.

use chains_core::{
    ErrorKind, Outcome, ReadBack as _, ReadQuery, Record, Signed, Store as _, Subject,
};
use chains_store_oci::{OciOptions, OciStore};
use serde_json::{Value, json};

use crate::support::{
    Image, Log, Registry, anonymous, attestation, detached_run, entry, options, push_image,
    signature, store,
};

fn location(outcome: &Outcome) -> (&str, &str) {
    match outcome {
        Outcome::Stored { location } | Outcome::AlreadyStored { location } => {
            (outcome.as_str(), location)
        }
        other => panic!("{other:?}"),
    }
}

async fn put(store: &OciStore, record: &Record) -> Outcome {
    store.put(record).await.unwrap_or_else(|e| panic!("{}", e.report()))
}

fn place(image: &Image, suffix: &str) -> String {
    format!("{}:{}", image.digest.name, image.tag(suffix))
}

/// A layer as someone else would write it.
async fn plant(
    registry: &Registry,
    image: &Image,
    suffix: &str,
    annotations: Value,
    content: &str,
) {
    let repository = image.digest.name.repository();
    let digest = registry.push_blob(repository, content.as_bytes()).await;
    let config = registry.push_blob(repository, b"{}").await;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
        "layers": [{
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "digest": digest,
            "size": content.len(),
            "annotations": annotations,
            "urls": ["https://example.com/kept"],
        }],
        "annotations": {"org.example": "kept"},
    });
    registry.put_manifest(repository, &image.tag(suffix), &manifest.to_string()).await;
}

#[tokio::test]
async fn a_signature_is_a_layer_of_sig() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "team/app", "a").await;
    let record = signature("build", &image);
    let outcome = put(&anonymous(), &record).await;
    assert_eq!(location(&outcome), ("stored", place(&image, "sig").as_str()));

    let manifest = registry.manifest("team/app", &image.tag("sig")).await;
    let payload = &record.payload.bytes;
    let digest = chains_core::Digest::sha256_of(payload).to_string();
    let Some(Signed::Detached(bytes)) = &record.signed else { panic!("detached") };
    let expect = json!([{
        "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
        "digest": digest,
        "size": payload.len(),
        "annotations": {"dev.cosignproject.cosign/signature": base64(bytes)},
    }]);
    assert_eq!(manifest["layers"], expect);
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(registry.blob("team/app", &digest).await, payload.to_vec());

    let config = registry.blob("team/app", manifest["config"]["digest"].as_str().unwrap()).await;
    assert_eq!(manifest["config"]["size"], config.len());
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["rootfs"], json!({"type": "layers", "diff_ids": [digest]}));
    assert_eq!(config["history"], json!([{"created": "0001-01-01T00:00:00Z"}]));
}

#[tokio::test]
async fn an_attestation_is_a_layer_of_att_at_each_image() {
    let registry = Registry::start().await;
    let (one, two) =
        (push_image(&registry, "one", "a").await, push_image(&registry, "two", "b").await);
    let git = Subject { name: "git+https://example.com/a".to_owned(), ..one.subject() };
    let record = attestation("build", vec![one.subject(), git, two.subject(), one.subject()]);
    let outcome = put(&anonymous(), &record).await;
    let places = format!("{}, {}", place(&one, "att"), place(&two, "att"));
    assert_eq!(location(&outcome), ("stored", places.as_str()));

    for (repository, image) in [("one", &one), ("two", &two)] {
        let layer = registry.manifest(repository, &image.tag("att")).await["layers"][0].clone();
        assert_eq!(layer["mediaType"], "application/vnd.dsse.envelope.v1+json");
        let annotations = json!({
            "dev.cosignproject.cosign/signature": "",
            "predicateType": "https://slsa.dev/provenance/v1",
        });
        assert_eq!(layer["annotations"], annotations);
        let blob = registry.blob(repository, layer["digest"].as_str().unwrap()).await;
        let Some(Signed::Dsse(envelope)) = &record.signed else { panic!("an envelope") };
        assert_eq!(blob, envelope.to_json().into_bytes());
    }
}

#[tokio::test]
async fn signing_twice_adds_nothing() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    for record in [signature("build", &image), attestation("build", vec![image.subject()])] {
        assert_eq!(location(&put(&anonymous(), &record).await).0, "stored");
        registry.take_seen();
        assert_eq!(location(&put(&anonymous(), &record).await).0, "already stored");
        let writes = registry
            .take_seen()
            .into_iter()
            .filter(|seen| seen.method != "GET" && seen.method != "HEAD");
        assert_eq!(writes.count(), 0);
    }
    for suffix in ["sig", "att"] {
        let manifest = registry.manifest("app", &image.tag(suffix)).await;
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_others_put_there_stays_and_does_not_stop_ours() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let record = signature("build", &image);
    let payload = std::str::from_utf8(&record.payload.bytes).unwrap();
    let planted = [
        ("bogus, same payload", json!({"dev.cosignproject.cosign/signature": "Ym9ndXM="}), payload),
        ("no signature at all", json!({}), payload),
        ("null annotations", Value::Null, payload),
        ("other payload", json!({"dev.cosignproject.cosign/signature": "YQ=="}), "{}"),
    ];
    for (name, annotations, content) in planted {
        plant(&registry, &image, "sig", annotations.clone(), content).await;
        assert_eq!(location(&put(&anonymous(), &record).await).0, "stored", "{name}");
        let manifest = registry.manifest("app", &image.tag("sig")).await;
        let layers = manifest["layers"].as_array().unwrap();
        let expect =
            if name == "no signature at all" || name == "null annotations" { 1 } else { 2 };
        assert_eq!(layers.len(), expect, "{name}");
        assert_eq!(layers[0]["urls"], json!(["https://example.com/kept"]), "{name}");
        assert_eq!(manifest["annotations"], json!({"org.example": "kept"}), "{name}");
        let config = registry.blob("app", manifest["config"]["digest"].as_str().unwrap()).await;
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), expect, "{name}");
        assert_eq!(location(&put(&anonymous(), &record).await).0, "already stored", "{name}");
    }
}

#[tokio::test]
async fn our_signature_with_a_bogus_log_entry_is_not_ours() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let record = signature("build", &image);
    let Some(Signed::Detached(bytes)) = &record.signed else { panic!("detached") };
    let annotations = json!({
        "dev.cosignproject.cosign/signature": base64(bytes),
        "dev.sigstore.cosign/bundle": "bogus",
    });
    let payload = std::str::from_utf8(&record.payload.bytes).unwrap();
    plant(&registry, &image, "sig", annotations, payload).await;
    assert_eq!(location(&put(&anonymous(), &record).await).0, "stored");
    assert_eq!(
        registry.manifest("app", &image.tag("sig")).await["layers"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn a_log_entry_that_comes_later_completes_the_layer() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    for record in [signature("build", &image), attestation("build", vec![image.subject()])] {
        put(&anonymous(), &record).await;
        let logged = Record { entry: Some(entry()), ..record };
        assert_eq!(location(&put(&anonymous(), &logged).await).0, "stored");
        assert_eq!(location(&put(&anonymous(), &logged).await).0, "already stored");
    }
    for suffix in ["sig", "att"] {
        let manifest = registry.manifest("app", &image.tag(suffix)).await;
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
        let annotations = &manifest["layers"][0]["annotations"];
        let bundle = annotations["dev.sigstore.cosign/bundle"].as_str().unwrap();
        let expect = json!({
            "SignedEntryTimestamp": base64(b"promise"),
            "Payload": {
                "body": base64(b"{\"body\":1}"),
                "integratedTime": 1_700_000_000,
                "logIndex": 7,
                "logID": "ab".repeat(32),
            },
        });
        assert_eq!(serde_json::from_str::<Value>(bundle).unwrap(), expect);
        let timestamp = annotations["dev.sigstore.cosign/rfc3161timestamp"].as_str().unwrap();
        assert_eq!(
            timestamp,
            format!("{{\"SignedRFC3161Timestamp\":\"{}\"}}", base64(b"timestamp"))
        );
    }
}

#[tokio::test]
async fn a_log_entry_that_is_asked_for_again_is_no_other() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let record = signature("build", &image);
    let first = Record { entry: Some(entry()), ..record.clone() };
    let mut again = (*entry()).clone();
    again.inclusion_promise = Some(b"promised anew".as_slice().into());
    again.timestamps = vec![b"another timestamp".as_slice().into()];
    let mut other = again.clone();
    other.log_index += 1;
    for (record, layers) in [(first, 1), (logged(&record, again), 1), (logged(&record, other), 2)] {
        assert_eq!(location(&put(&anonymous(), &record).await).0, "stored");
        let manifest = registry.manifest("app", &image.tag("sig")).await;
        assert_eq!(manifest["layers"].as_array().unwrap().len(), layers);
    }
}

fn logged(record: &Record, entry: chains_core::Entry) -> Record {
    Record { entry: Some(entry.into()), ..record.clone() }
}

#[tokio::test]
async fn a_certificate_stands_with_an_entry_that_tags_have_a_place_for() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let mut record = signature("build", &image);
    let mut material = (**record.material.as_ref().unwrap()).clone();
    material.certificate = Some("leaf".to_owned());
    record.material = Some(material.into());
    let mut without = (*entry()).clone();
    without.inclusion_promise = None;
    let refused = anonymous().put(&logged(&record, without.clone())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.report().contains("`sigstore-bundle`"), "{}", refused.report());

    // Of several logs one is enough.
    without.others = vec![(*entry()).clone()];
    assert_eq!(location(&put(&anonymous(), &logged(&record, without)).await).0, "stored");
    let manifest = registry.manifest("app", &image.tag("sig")).await;
    let annotations = &manifest["layers"][0]["annotations"];
    assert!(
        annotations["dev.sigstore.cosign/bundle"]
            .as_str()
            .unwrap()
            .contains("SignedEntryTimestamp")
    );
}

#[tokio::test]
async fn certificates_are_annotations() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let mut record = signature("build", &image);
    let mut material = (**record.material.as_ref().unwrap()).clone();
    material.certificate = Some("leaf".to_owned());
    material.chain = Some("chain".to_owned());
    record.material = Some(material.into());
    put(&anonymous(), &record).await;
    let annotations =
        registry.manifest("app", &image.tag("sig")).await["layers"][0]["annotations"].clone();
    assert_eq!(annotations["dev.sigstore.cosign/certificate"], "leaf");
    assert_eq!(annotations["dev.sigstore.cosign/chain"], "chain");
    let stored = anonymous().signatures(&image.digest).await.unwrap().found.remove(0).stored;
    assert_eq!(
        (stored.certificate.as_deref(), stored.chain.as_deref()),
        (Some("leaf"), Some("chain"))
    );
}

#[tokio::test]
async fn another_repository_holds_all_and_keeps_it() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let other: chains_core::ImageName = format!("{}/signatures", registry.host()).parse().unwrap();
    let store = store(OciOptions { repository: Some(other.clone()), ..options() }, None);
    for run in ["one", "two", "two"] {
        let record = attestation(run, vec![image.subject()]);
        let outcome = put(&store, &record).await;
        assert_eq!(location(&outcome).1, format!("{other}:{}", image.tag("att")));
        put(&store, &signature(run, &image)).await;
    }
    assert_eq!(registry.manifest("app", &image.tag("att")).await, Value::Null);
    let layers = |suffix| {
        let (registry, tag) = (registry.clone(), image.tag(suffix));
        async move { registry.manifest("signatures", &tag).await["layers"].as_array().unwrap().len() }
    };
    assert_eq!((layers("att").await, layers("sig").await), (2, 1));
    assert_eq!(store.attestations(&image.digest).await.unwrap().found.len(), 2);

    // The image itself is not asked for: the credential may not reach it.
    registry.take_seen();
    let missing = format!("{}/nowhere@{}", registry.host(), image.digest.digest).parse().unwrap();
    put(&store, &signature("one", &Image { digest: missing })).await;
    assert!(registry.take_seen().iter().all(|seen| !seen.path.contains("nowhere")));
}

#[tokio::test]
async fn an_image_that_is_not_there_is_told_by_name() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let gone: chains_core::ImageDigest =
        format!("{}/gone@{}", registry.host(), image.digest.digest).parse().unwrap();
    let gone = Image { digest: gone };
    let error = anonymous().put(&signature("build", &gone)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.report(), format!("there is no image {} in the registry", gone.digest));

    // The other subjects have theirs, and a second attempt does nothing twice.
    let record = attestation("build", vec![gone.subject(), image.subject()]);
    for _ in 0..2 {
        let error = anonymous().put(&record).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let expect = format!(
            "storing the attestation of TaskRun default/build at 1 of 2 images: \
             {0}: there is no image {0} in the registry",
            gone.digest
        );
        assert_eq!(error.report(), expect);
        let layers =
            registry.manifest("app", &image.tag("att")).await["layers"].as_array().unwrap().len();
        assert_eq!(layers, 1);
    }
}

#[tokio::test]
async fn what_has_no_place_in_a_registry_is_skipped_or_refused() {
    let check = async |record: &Record, expect: Result<&str, ErrorKind>| match anonymous()
        .put(record)
        .await
    {
        Ok(outcome) => assert_eq!(Ok(outcome.to_string().as_str()), expect),
        Err(error) => assert_eq!(Err(error.kind()), expect, "{}", error.report()),
    };
    let none = "skipped: no subject is an image in a registry: there is none";
    check(&attestation("build", Vec::new()), Ok(none)).await;
    let subject = |name: &str| Subject { name: name.to_owned(), digest: Default::default() };
    let others = "skipped: no subject is an image in a registry: \
                  \"git+https://a/b\" is an address of another kind, \"a.jar\" has no sha256 digest";
    check(&attestation("build", vec![subject("git+https://a/b"), subject("a.jar")]), Ok(others))
        .await;
    check(&detached_run("build"), Err(ErrorKind::Unsupported)).await;
    let report = anonymous().put(&detached_run("build")).await.unwrap_err().report();
    assert_eq!(
        report,
        "storing run of TaskRun default/build in a registry: \
         the payload of the format `tekton` is no attestation, and registries hold only those",
    );
    let unsigned = Record { signed: None, material: None, ..attestation("build", Vec::new()) };
    check(&unsigned, Err(ErrorKind::Unsupported)).await;
}

/// No reader of the outcome learns of them: it names the places where something is kept.
#[tokio::test]
async fn subjects_that_are_no_images_are_told_in_the_log() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let git = Subject { name: "git+https://example.com/a".to_owned(), ..image.subject() };
    let (log, _guard) = Log::start();
    put(&anonymous(), &attestation("build", vec![image.subject(), git])).await;
    let told = log.lines();
    let expect = "INFO message=the subject is not an image in a registry: it gets no attestation there \
                  run=TaskRun default/build subject=\"git+https://example.com/a\" \
                  why=\"is an address of another kind\"";
    assert!(told.iter().any(|line| line == expect), "{told:#?}");
}

/// `https://registry/app` is read as a registry `https:`, by the registries' own tools too.
#[tokio::test]
async fn a_name_with_a_scheme_is_told() {
    let check = async |name: &str, expect: &str| {
        let image = format!("{name}@sha256:{}", "ab".repeat(32)).parse().unwrap();
        let error = anonymous().put(&signature("build", &Image { digest: image })).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}", error.report());
        assert!(!error.is_retryable());
        assert_eq!(error.report(), format!("reaching the repository {name}: {expect}"));
        let options = OciOptions { repository: name.parse().ok(), ..options() };
        let credentials = std::sync::Arc::new(chains_store_oci::Keyring::default());
        let error = OciStore::new(options, credentials).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{}", error.report());
        assert!(error.report().ends_with(expect), "{}", error.report());
    };
    check("https://registry.example.com/app", "the name has a scheme: write it without `https://`")
        .await;
    check("oci://registry.example.com/app", "the name has a scheme: write it without `oci://`")
        .await;
    check("registry.example.com:/app", "there is no port after the colon of its registry").await;
}

#[tokio::test]
async fn what_was_written_is_read_back() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let store = anonymous();
    let records = [signature("build", &image), attestation("build", vec![image.subject()])];
    for record in &records {
        assert_eq!(store.read_back(ReadQuery::from(record)).await.unwrap(), Vec::new());
        put(&store, record).await;
        let stored = store.read_back(ReadQuery::from(record)).await.unwrap();
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0].payload, record.payload.bytes);
        assert_eq!(stored[0].signed, record.signed);
        assert_eq!(stored[0].certificate, None);
    }
    assert_eq!(store.resolve(&image.digest.to_string()).await.unwrap(), image.digest);
}

#[tokio::test]
async fn a_tag_is_resolved_by_the_manifest_itself() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let manifest = registry.manifest("app", &image.digest.digest.to_string()).await;
    // The registry in memory keeps bytes: the same JSON in another order is another image.
    registry.put_manifest("app", "v1", &manifest.to_string()).await;
    registry.put_manifest("app", "latest", &manifest.to_string()).await;
    let digest = chains_core::Digest::sha256_of(manifest.to_string().as_bytes());
    let host = registry.host();
    for reference in
        [format!("{host}/app:v1"), format!("{host}/app"), format!("{host}/app:x@{digest}")]
    {
        let resolved =
            anonymous().resolve(&reference).await.unwrap_or_else(|e| panic!("{}", e.report()));
        assert_eq!((resolved.name, resolved.digest), (image.digest.name.clone(), digest.clone()));
    }
    for (reference, kind) in [
        (format!("{host}/app:v2"), ErrorKind::NotFound),
        (format!("{host}/APP:v2"), ErrorKind::InvalidInput),
        (format!("{host}/app@sha512:{}", "ab".repeat(64)), ErrorKind::InvalidInput),
        (format!("{host}/a/../app"), ErrorKind::InvalidInput),
        (String::new(), ErrorKind::InvalidInput),
    ] {
        assert_eq!(anonymous().resolve(&reference).await.unwrap_err().kind(), kind, "{reference}");
    }
}

#[test]
fn options_that_cannot_be_used_are_told() {
    let check = |options: OciOptions, expect: &str| {
        let credentials = std::sync::Arc::new(chains_store_oci::Keyring::default());
        let error = OciStore::new(options, credentials).unwrap_err().report();
        assert!(error.starts_with(expect), "{error}");
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_path_buf();
    let expect =
        format!("reading certificate authorities from {}: it holds no certificate", path.display());
    check(OciOptions { ca_files: vec![path], ..options() }, &expect);
    check(
        OciOptions { ca_files: vec!["/nowhere.pem".into()], ..options() },
        "reading certificate authorities from /nowhere.pem: No such file",
    );
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
