//! Registries that are broken, overloaded, or hostile, and content that others put there.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::Method;
use chains_core::{ErrorKind, Store as _};
use serde_json::{Value, json};

use crate::support::{
    Act, Image, Registry, Seen, anonymous, attestation, push_image, reply, signature,
};

const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

async fn registry_with_image() -> (Registry, Image) {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    (registry, image)
}

/// Puts a signature where requests of one kind are answered like this.
async fn check(
    matches: impl Fn(&Seen) -> bool + Send + 'static,
    act: impl Fn(usize) -> Act + Send + 'static,
    expect: Result<(), (ErrorKind, &str)>,
) {
    let (registry, image) = registry_with_image().await;
    let count = AtomicUsize::new(0);
    registry.switch(move |seen| {
        if matches(seen) { act(count.fetch_add(1, Ordering::Relaxed)) } else { Act::Pass }
    });
    let result = anonymous().put(&signature("build", &image)).await;
    match (result, expect) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err((kind, part))) => {
            assert_eq!(error.kind(), kind, "{}", error.report());
            assert!(error.report().contains(part), "{}", error.report());
        }
        (result, expect) => panic!("{result:?}, not {expect:?}"),
    }
}

fn any(seen: &Seen) -> bool {
    seen.path != "/v2/"
}

fn manifest_put(seen: &Seen) -> bool {
    seen.is(&Method::PUT, "/manifests/")
}

fn upload_start(seen: &Seen) -> bool {
    seen.is(&Method::POST, "/uploads/")
}

#[tokio::test]
async fn a_registry_that_asks_to_slow_down_is_asked_again() {
    let once = |status| {
        move |count| match count {
            0 => reply(status, &[("retry-after", "0")], ""),
            _ => Act::Pass,
        }
    };
    check(any, once(429), Ok(())).await;
    check(any, once(503), Ok(())).await;
    check(manifest_put, once(429), Ok(())).await;
    let always = |_| reply(429, &[("retry-after", "0")], "");
    check(any, always, Err((ErrorKind::Throttled, "it answered 429 Too Many Requests"))).await;
    check(manifest_put, always, Err((ErrorKind::Throttled, "it answered 429 Too Many Requests")))
        .await;
    let long = |_| reply(429, &[("retry-after", "3600")], "");
    check(any, long, Err((ErrorKind::Throttled, "asks to wait 3600s"))).await;
}

/// Answers `first` as often as this, then passes.
fn at_first(times: usize, first: fn() -> Act) -> impl Fn(usize) -> Act + Send + 'static {
    move |count| if count < times { first() } else { Act::Pass }
}

#[tokio::test]
async fn a_registry_that_stumbles_gets_another_chance() {
    let stumble = || reply(500, &[], "");
    check(any, at_first(3, stumble), Ok(())).await;
    check(manifest_put, at_first(2, stumble), Ok(())).await;
    check(upload_start, at_first(3, stumble), Ok(())).await;
    check(|seen| seen.is(&Method::PUT, "/uploads/"), at_first(1, stumble), Ok(())).await;
    let missing = || reply(400, &[], r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#);
    check(manifest_put, at_first(2, missing), Ok(())).await;
    let expect = "it answered 400 Bad Request: MANIFEST_BLOB_UNKNOWN";
    check(manifest_put, move |_| missing(), Err((ErrorKind::Conflict, expect))).await;
}

/// What was asked to wait with a manifest looks at the tag again: another writer was there meanwhile.
#[tokio::test]
async fn a_manifest_that_had_to_wait_is_made_anew() {
    let (registry, image) = registry_with_image().await;
    let ours = attestation("ours", vec![image.subject()]);
    let other = attestation("other", vec![image.subject()]);
    anonymous().put(&other).await.expect("stored");
    let tag = image.tag("att");
    let looked = AtomicUsize::new(0);
    registry.switch(move |seen| {
        // Until the first write is turned away, the tag of the other one is not there yet.
        let at_tag = seen.path.ends_with(&tag);
        let written = looked.load(Ordering::Relaxed) > 0;
        match at_tag && !written {
            true if seen.method == Method::PUT => {
                looked.fetch_add(1, Ordering::Relaxed);
                reply(429, &[("retry-after", "0")], "")
            }
            true => reply(404, &[], ""),
            false => Act::Pass,
        }
    });
    anonymous().put(&ours).await.unwrap_or_else(|e| panic!("{}", e.report()));
    let manifest = registry.manifest("app", &image.tag("att")).await;
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn failures_are_told_with_what_the_registry_says() {
    let envelope =
        r#"{"errors":[{"code":"DENIED","message":"quota\u001b[31m is  used up"},{"code":"ODD"}]}"#;
    let denied = "it answered 403 Forbidden: DENIED (quota[31m is used up), ODD";
    check(manifest_put, move |_| reply(403, &[], envelope), Err((ErrorKind::Unauthorized, denied)))
        .await;
    check(any, |_| reply(503, &[], ""), Err((ErrorKind::Unavailable, "503"))).await;
    check(any, |_| reply(504, &[], ""), Err((ErrorKind::Timeout, "504"))).await;
    check(any, |_| reply(400, &[], ""), Err((ErrorKind::Protocol, "400"))).await;
    check(any, |_| reply(418, &[], "\u{7}"), Err((ErrorKind::Protocol, "418"))).await;
    check(manifest_put, |_| reply(413, &[], ""), Err((ErrorKind::TooLarge, "413"))).await;
    check(manifest_put, |_| reply(405, &[], ""), Err((ErrorKind::Unsupported, "405"))).await;
    check(
        upload_start,
        |_| reply(401, &[], ""),
        Err((ErrorKind::Unauthorized, "it does not say how")),
    )
    .await;
    let what = "writing the manifest 127.0.0.1:";
    check(manifest_put, |_| reply(500, &[], ""), Err((ErrorKind::Unavailable, what))).await;
}

/// What answers may be no registry at all, and errors are shown to whoever named it.
#[tokio::test]
async fn bodies_that_are_no_error_of_a_registry_are_not_told() {
    let (registry, image) = registry_with_image().await;
    for body in [
        "the inside of another service",
        r#"{"secret":"inside"}"#,
        r#"["inside"]"#,
        r#"{"errors":"inside"}"#,
        r#"{"errors":[],"secret":"inside"}"#,
        r#"{"errors":[{"secret":"inside"}]}"#,
        r#"{"errors":[{"code":"DENIED","message":"no","detail":"inside"}]}"#,
    ] {
        registry.switch(move |seen| match seen.method {
            // Answers to it have no body.
            Method::HEAD => Act::Pass,
            _ => reply(400, &[], body),
        });
        let error = anonymous().put(&signature("build", &image)).await.expect_err("refused");
        assert!(!error.report().contains("inside"), "{}", error.report());
        assert!(error.report().contains("it answered 400 Bad Request"), "{}", error.report());
    }
}

#[tokio::test]
async fn headers_that_are_missing_are_missed_only_where_needed() {
    check(manifest_put, |_| Act::Without("location"), Ok(())).await;
    check(manifest_put, |_| Act::Without("docker-content-digest"), Ok(())).await;
    check(|seen| seen.method == Method::HEAD, |_| Act::Without("docker-content-digest"), Ok(()))
        .await;
    check(|seen| seen.is(&Method::PUT, "/uploads/"), |_| Act::Without("location"), Ok(())).await;
    let nowhere = "it does not say where to upload to";
    check(upload_start, |_| Act::Without("location"), Err((ErrorKind::Protocol, nowhere))).await;
}

#[tokio::test]
async fn redirects_are_followed_only_where_they_may_lead() {
    let read = |seen: &Seen| seen.is(&Method::GET, "/manifests/");
    let to = |target: &'static str| move |_| reply(307, &[("location", target)], "");
    let check_to = async |target, expect| {
        check(read, to(target), Err((ErrorKind::Protocol, expect))).await;
        let upload = move |_| reply(202, &[("location", target)], "");
        check(upload_start, upload, Err((ErrorKind::Protocol, expect))).await;
    };
    check_to("http://example.com/", "example.com is to be reached over plain HTTP").await;
    check_to("https://10.0.0.1/", "10.0.0.1 is an internal address").await;
    check_to("http://127.0.0.1:1/", "127.0.0.1:1 is to be reached over plain HTTP").await;
    check_to("gopher://example.com/", "by \"gopher\"").await;
    check_to("https://", "it names \"https://\"").await;
    check(read, |_| reply(302, &[], ""), Err((ErrorKind::Protocol, "without saying where to")))
        .await;
    check(read, to("/v2/app/manifests/again"), Err((ErrorKind::Protocol, "redirects without end")))
        .await;
    check(
        manifest_put,
        |_| reply(302, &[("location", "/x")], ""),
        Err((ErrorKind::Protocol, "it redirects a request that writes")),
    )
    .await;
    check(
        manifest_put,
        |_| reply(308, &[("location", "https://example.com/x")], ""),
        Err((ErrorKind::Protocol, "it redirects a request that writes")),
    )
    .await;
}

#[tokio::test]
async fn manifests_that_lie_are_not_believed() {
    let read = |seen: &Seen| seen.is(&Method::GET, "/manifests/");
    let digest = format!("sha256:{}", "ab".repeat(32));
    let wrong = move |_| reply(200, &[("docker-content-digest", &digest)], "{}");
    check(
        read,
        wrong,
        Err((ErrorKind::Verification, "the content has the digest sha256:44136fa3")),
    )
    .await;
    let other = format!("sha256:{}", "cd".repeat(32));
    let other = move |_| reply(201, &[("docker-content-digest", &other)], "");
    check(manifest_put, other, Err((ErrorKind::Verification, "the content has the digest"))).await;

    let body = |body: &'static str| move |_| reply(200, &[], body);
    for (manifest, expect) in [
        ("", "it is not the manifest of an image"),
        ("[]", "it is not the manifest of an image"),
        ("{\"schemaVersion\":2}", "missing field `config`"),
        ("{\"schemaVersion\":1,\"config\":{},\"layers\":[]}", "its schema version is 1, not 2"),
        (
            "{\"schemaVersion\":2,\"config\":{},\"layers\":[{\"digest\":7}]}",
            "it is not the manifest of an image: a field is of another type at line 1",
        ),
        (
            "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"config\":{},\"layers\":[]}",
            "it is a \"application/vnd.oci.image.index.v1+json\", not the manifest of an image",
        ),
    ] {
        check(read, body(manifest), Err((ErrorKind::Protocol, expect))).await;
    }
    let endless = |_| reply(200, &[], vec![b' '; 4 * 1024 * 1024 + 1]);
    check(read, endless, Err((ErrorKind::TooLarge, "the answer has more than 4194304 bytes")))
        .await;
}

/// An answer without a length that goes on is cut off too.
#[tokio::test]
async fn a_body_without_length_is_bounded() {
    let read = |seen: &Seen| seen.is(&Method::GET, "/manifests/");
    let endless = |_| {
        let chunks = (0..100).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]));
        reply(200, &[], axum::body::Body::from_stream(futures_util::stream::iter(chunks)))
    };
    check(read, endless, Err((ErrorKind::TooLarge, "the answer has more than 4194304 bytes")))
        .await;
}

#[tokio::test]
async fn a_tag_that_is_full_is_told() {
    let (registry, image) = registry_with_image().await;
    let blob = registry.push_blob("app", b"{}").await;
    let layer = json!({"mediaType": "text/plain", "digest": blob, "size": 2});
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": blob, "size": 2},
        "layers": vec![layer; 1000],
    });
    registry.put_manifest("app", &image.tag("sig"), &manifest.to_string()).await;
    let error = anonymous().put(&signature("build", &image)).await.expect_err("full");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.report().contains("it has 1000 layers, and cosign reads no more than 1000"));
}

/// What anybody may push does not keep the rest from being read.
#[tokio::test]
async fn layers_that_cannot_be_read_are_told_apart() {
    let (registry, image) = registry_with_image().await;
    let record = attestation("build", vec![image.subject()]);
    anonymous().put(&record).await.expect("stored");
    let mut manifest = registry.manifest("app", &image.tag("att")).await;
    let good = manifest["layers"][0].clone();
    let garbage = registry.push_blob("app", b"garbage").await;
    let dsse = "application/vnd.dsse.envelope.v1+json";
    let gone = format!("sha256:{}", "ab".repeat(32));
    let layer = |media_type: &str, digest: &str, size: u64| json!({"mediaType": media_type, "digest": digest, "size": size});
    let odd = [
        (layer("text/plain", &garbage, 7), "it is a \"text/plain\", not a"),
        (layer(dsse, &garbage, 7), "reading a DSSE envelope"),
        (layer(dsse, &garbage, 3), "the answer has more than 3 bytes"),
        (layer(dsse, &garbage, 100_000_000), "it has 100000000 bytes, allowed are 33554432"),
        (layer(dsse, &gone, 7), "the registry does not have its content"),
        (layer(dsse, "sha256:../../x", 7), "is not a digest"),
    ];
    let mut layers: Vec<Value> = odd.iter().map(|(layer, _)| layer.clone()).collect();
    layers.insert(3, good);
    manifest["layers"] = layers.into();
    // The registry would not take such a manifest.
    let tag = image.tag("att");
    let path = format!("/manifests/{tag}");
    let answer = manifest.to_string();
    registry.switch(move |seen| {
        if seen.path.ends_with(&path) { reply(200, &[], answer.clone()) } else { Act::Pass }
    });
    let read =
        anonymous().attestations(&image.digest).await.unwrap_or_else(|e| panic!("{}", e.report()));
    assert_eq!(read.found.len(), 1);
    assert_eq!(read.found[0].stored.signed, record.signed);
    let reasons: Vec<_> = read.unreadable.iter().map(|odd| odd.reason.as_str()).collect();
    assert_eq!(reasons.len(), odd.len());
    for (reason, (_, expect)) in reasons.iter().zip(&odd) {
        assert!(reason.contains(expect), "{reason}");
    }
}

#[tokio::test]
async fn a_layer_with_other_content_is_told() {
    let (registry, image) = registry_with_image().await;
    let record = signature("build", &image);
    anonymous().put(&record).await.expect("stored");
    let length = record.payload.bytes.len();
    registry.switch(move |seen| match seen.path.contains("/blobs/") {
        true => reply(200, &[], vec![b'x'; length]),
        false => Act::Pass,
    });
    let read = anonymous().signatures(&image.digest).await.expect("an answer");
    assert!(read.found.is_empty());
    assert!(
        read.unreadable[0].reason.contains("the content has the digest"),
        "{:?}",
        read.unreadable
    );
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = listener.local_addr().expect("an address");
    let image: chains_core::ImageDigest =
        format!("{host}/app@sha256:{}", "ab".repeat(32)).parse().expect("an image");
    let options = chains_store_oci::OciOptions {
        request_timeout: std::time::Duration::from_millis(200),
        ..crate::support::options()
    };
    let store = crate::support::store(options, None);
    let error =
        store.put(&signature("build", &Image { digest: image })).await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.report());
    assert!(error.is_retryable());
}
