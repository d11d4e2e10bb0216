//! Lists of what refers to an image: kept by others too, broken, hostile, or from registries that stumble.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::Method;
use chains_core::{ErrorKind, ReadBack as _, Store as _};
use serde_json::{Value, json};

use crate::bundles::{BUNDLE, INDEX, Lists, MANIFEST, bundled, put, sha256, tag};
use crate::support::{Act, Image, Log, Registry, attestation, push_image, reply};

/// A manifest that refers to the image, as someone else would write it.
async fn plant(registry: &Registry, image: &Image, manifest: Value, layer: &str) -> String {
    let repository = image.digest.name.repository();
    let digest = registry.push_blob(repository, layer.as_bytes()).await;
    let config = registry.push_blob(repository, b"{}").await;
    let mut whole = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": BUNDLE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": BUNDLE, "digest": digest, "size": layer.len()}],
        "subject": {"mediaType": MANIFEST, "digest": image.digest.digest.to_string(), "size": 1},
    });
    for (name, value) in manifest.as_object().expect("an object") {
        whole[name] = value.clone();
    }
    let whole = whole.to_string();
    registry.put_manifest(repository, &sha256(&whole), &whole).await;
    sha256(whole)
}

#[tokio::test]
async fn what_others_refer_to_the_image_stays_and_does_not_stop_ours() {
    let registry = Lists::Itself.registry().await;
    let lost = registry.push_blob("app", b"gone").await;
    registry.switch(move |seen| match seen.is(&Method::GET, &lost) {
        true => reply(404, &[], ""),
        false => Act::Pass,
    });
    let image = push_image(&registry, "app", "a").await;
    let other = json!({"artifactType": "application/vnd.example.sbom"});
    let huge = json!({"layers": [
        {"mediaType": BUNDLE, "digest": sha256("x"), "size": 33 * 1024 * 1024},
    ]});
    let gone = json!({"layers": [{"mediaType": BUNDLE, "digest": sha256("gone"), "size": 4}]});
    let two = json!({"layers": [
        {"mediaType": BUNDLE, "digest": sha256("{}"), "size": 2},
        {"mediaType": BUNDLE, "digest": sha256("{}"), "size": 2},
    ]});
    let plain = json!({"layers": [{"mediaType": "text/plain", "digest": sha256("{}"), "size": 2}]});
    plant(&registry, &image, other, "sbom").await;
    plant(&registry, &image, two, "x").await;
    plant(&registry, &image, plain, "x").await;
    let message = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial":{"publicKey":{"hint":""}},"messageSignature":{"signature":""}}"#;
    let unreadable = [
        (plant(&registry, &image, json!({}), "{}").await, "reading a Sigstore bundle"),
        (
            plant(&registry, &image, json!({}), message).await,
            "what it signs is not in the registry",
        ),
        (plant(&registry, &image, huge, "x").await, "allowed are 33554432"),
        (plant(&registry, &image, gone, "x").await, "does not have its content"),
    ];
    let record = attestation("build", vec![image.subject()]);
    assert_eq!(put(&bundled(), &record).await.0, "stored");
    assert_eq!(put(&bundled(), &record).await.0, "already stored");
    let all = bundled().bundles(&image.digest).await.expect("it reads");
    assert_eq!(all.found.len(), 1);
    assert_eq!(all.unreadable.len(), unreadable.len(), "{:#?}", all.unreadable);
    for (digest, reason) in unreadable {
        let found = all.unreadable.iter().find(|odd| odd.location.ends_with(&digest));
        let found = found.unwrap_or_else(|| panic!("{reason}"));
        assert!(found.reason.contains(reason), "{found:?}");
    }
    let (log, _guard) = Log::start();
    assert_eq!(bundled().read_back((&record).into()).await.expect("it reads").len(), 1);
    assert_eq!(log.lines().iter().filter(|line| line.contains("unreadable")).count(), 4);
}

#[tokio::test]
async fn a_list_that_others_keep_is_added_to() {
    let registry = Lists::No.registry().await;
    let image = push_image(&registry, "app", "a").await;
    let theirs = plant(&registry, &image, json!({}), "theirs").await;
    // As cosign writes it: the type of the config in place of the artifact's.
    let descriptor = json!({
        "mediaType": MANIFEST, "digest": theirs, "size": 1,
        "artifactType": "application/vnd.oci.empty.v1+json", "org.example": "kept",
    });
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor],
        "annotations": {"org.example": "kept"},
    });
    registry.put_manifest("app", &tag(&image), &index.to_string()).await;
    put(&bundled(), &attestation("build", vec![image.subject()])).await;
    let after = registry.manifest("app", &tag(&image)).await;
    assert_eq!(after["annotations"], index["annotations"]);
    assert_eq!(after["manifests"][0], descriptor);
    assert_eq!(after["manifests"].as_array().map(Vec::len), Some(2));
    let all = bundled().bundles(&image.digest).await.expect("it reads");
    assert_eq!((all.found.len(), all.unreadable.len()), (1, 1), "theirs is looked at too");
}

#[tokio::test]
async fn a_tag_that_holds_something_else_is_left_alone() {
    let registry = Lists::No.registry().await;
    let image = push_image(&registry, "app", "a").await;
    let config = registry.push_blob("app", b"{}").await;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
        "config": {"mediaType": MANIFEST, "digest": config, "size": 2},
    });
    registry.put_manifest("app", &tag(&image), &manifest.to_string()).await;
    let error = bundled().put(&attestation("build", vec![image.subject()])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{}", error.report());
    assert!(error.report().contains("not an index of manifests"), "{}", error.report());
    assert_eq!(registry.manifest("app", &tag(&image)).await, manifest);
}

#[tokio::test]
async fn lists_of_many_pages_are_read_to_the_end() {
    let registry = Lists::Itself.registry().await;
    let image = push_image(&registry, "app", "a").await;
    let mut listed = Vec::new();
    for run in ["one", "two", "three"] {
        put(&bundled(), &attestation(run, vec![image.subject()])).await;
    }
    listed.extend(Lists::Itself.list(&registry, "app", &image).await);
    registry.switch(move |seen| {
        if !seen.path.contains("/referrers/") {
            return Act::Pass;
        }
        let at = seen.path.split_once("last=").map_or(0, |(_, at)| at.parse().expect("a number"));
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [listed[at]]});
        let path = seen.path.split('?').next().expect("a path");
        let link = format!("<{path}?n=1&last={}>; rel=\"next\"", at + 1);
        let mut headers = vec![("content-type", INDEX)];
        if at + 1 < listed.len() {
            headers.push(("link", &link));
        }
        reply(200, &headers, index.to_string())
    });
    assert_eq!(bundled().bundles(&image.digest).await.expect("it reads").found.len(), 3);
    for run in ["one", "two", "three"] {
        let record = attestation(run, vec![image.subject()]);
        assert_eq!(put(&bundled(), &record).await.0, "already stored");
    }
}

#[tokio::test]
async fn lists_that_lie_are_not_believed() {
    let check = async |headers: Vec<(&'static str, &'static str)>, body: &'static str, expect| {
        let registry = Lists::Itself.registry().await;
        let image = push_image(&registry, "app", "a").await;
        registry.switch(move |seen| match seen.path.contains("/referrers/") {
            true => reply(200, &headers, body),
            false => Act::Pass,
        });
        let found = bundled().bundles(&image.digest).await;
        match (found, expect) {
            (Ok(found), Ok(())) => assert_eq!(found.found, []),
            (Err(error), Err(part)) => {
                let part: &str = part;
                assert!(error.report().contains(part), "{}", error.report());
            }
            (found, _) => panic!("{body}: {found:?}"),
        }
    };
    let index = vec![("content-type", INDEX)];
    let none = r#"{"schemaVersion":2,"manifests":[]}"#;
    check(index.clone(), none, Ok(())).await;
    check(index.clone(), r#"{"schemaVersion":2,"manifests":null}"#, Ok(())).await;
    check(vec![("content-type", "text/html")], "<html>", Ok(())).await;
    check(index.clone(), "{}", Err("not an index of manifests")).await;
    check(index.clone(), r#"{"schemaVersion":1,"manifests":[]}"#, Err("schema version")).await;
    let with = |link| vec![("content-type", INDEX), ("link", link)];
    check(with("next"), none, Err("its link cannot be read")).await;
    check(with("<https://10.0.0.1/v2/>; rel=next"), none, Err("an internal address")).await;
    check(with("</v2/app/x>; rel=\"prev\""), none, Ok(())).await;
    check(with("<?again>; rel=next"), none, Err("more than 100 pages")).await;
}

#[tokio::test]
async fn failures_are_told() {
    let check = async |path: &'static str, method: Method, status, kind| {
        let registry = Lists::Itself.registry().await;
        let image = push_image(&registry, "app", "a").await;
        registry.switch(move |seen| match seen.is(&method, path) {
            true => reply(status, &[], ""),
            false => Act::Pass,
        });
        let error = bundled().put(&attestation("build", vec![image.subject()])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}", error.report());
    };
    check("/referrers/", Method::GET, 401, ErrorKind::Unauthorized).await;
    check("/referrers/", Method::GET, 403, ErrorKind::Unauthorized).await;
    check("/manifests/", Method::PUT, 403, ErrorKind::Unauthorized).await;
    check("/blobs/uploads/", Method::POST, 403, ErrorKind::Unauthorized).await;
    check("/manifests/", Method::PUT, 413, ErrorKind::TooLarge).await;
}

#[tokio::test]
async fn a_registry_that_stumbles_gets_another_chance() {
    let missing = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"once more"}]}"#;
    for (status, body) in [(500, ""), (429, ""), (400, missing)] {
        let registry = Lists::Itself.registry().await;
        let image = push_image(&registry, "app", "a").await;
        let count = AtomicUsize::new(0);
        registry.switch(move |seen| {
            let put = seen.is(&Method::PUT, "/manifests/");
            if put && count.fetch_add(1, Ordering::Relaxed) < 2 {
                return reply(status, &[("retry-after", "0")], body);
            }
            Act::Pass
        });
        let record = attestation("build", vec![image.subject()]);
        assert_eq!(put(&bundled(), &record).await.0, "stored", "{status}");
    }
}
