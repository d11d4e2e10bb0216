//! Certificates: verified, by a custom authority, or not at all where that is said.

use std::io::Write as _;

use axum::http::Method;
use chains_core::{ErrorKind, Store as _};
use chains_store_oci::OciOptions;

use crate::support::{
    Act, Image, Registry, Tls, anonymous, basic, options, reply, signature, store,
};

async fn check(options: OciOptions, image: &Image, expect: Result<(), (ErrorKind, &str)>) {
    let result = store(options, Some(basic("u", "p"))).put(&signature("build", image)).await;
    match (result, expect) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err((kind, part))) => {
            assert_eq!(error.kind(), kind, "{}", error.report());
            assert!(error.report().contains(part), "{}", error.report());
        }
        (result, expect) => panic!("{result:?}, not {expect:?}"),
    }
}

#[tokio::test]
async fn a_certificate_must_verify() {
    let tls = Tls::new();
    let registry = Registry::start_tls(&tls).await;
    let name = format!("{}/app@sha256:{}", registry.host(), "ab".repeat(32));
    let image = Image { digest: name.parse().expect("an image") };
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(tls.authority.as_bytes()).expect("written");
    let ca_files = vec![file.path().to_path_buf()];

    // It is not there: whoever is told so has spoken to the registry.
    let answered = Err((ErrorKind::NotFound, "there is no image"));
    let refused = Err((ErrorKind::Verification, "invalid peer certificate"));
    check(options(), &image, refused).await;
    check(OciOptions { ca_files, ..options() }, &image, answered).await;
    let named = vec!["127.0.0.1".to_owned()];
    check(OciOptions { insecure_hosts: named, ..options() }, &image, answered).await;
    let other = vec!["127.0.0.2".to_owned(), format!("{}0", registry.host())];
    check(OciOptions { insecure_hosts: other, ..options() }, &image, refused).await;
}

/// Whoever is in between could ask for it, and would have it.
#[tokio::test]
async fn a_credential_goes_to_no_certificate_that_does_not_verify() {
    let registry = Registry::start_tls(&Tls::new()).await;
    registry.switch(|seen| match seen.authorization() {
        None => reply(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        Some(_) => Act::Pass,
    });
    let name = format!("{}/app@sha256:{}", registry.host(), "ab".repeat(32));
    let image = Image { digest: name.parse().expect("an image") };
    let refused =
        Err((ErrorKind::Verification, "there is a credential for it, so its certificate"));
    let insecure = OciOptions { insecure: true, ..options() };
    check(insecure.clone(), &image, refused).await;
    // With a repository, that is the one which is insecure.
    let elsewhere = "registry.invalid/signatures".parse().ok();
    let elsewhere = OciOptions { repository: elsewhere, ..insecure.clone() };
    let read = store(elsewhere.clone(), Some(basic("u", "p"))).resolve(&name).await;
    assert_eq!(read.expect_err("refused").kind(), ErrorKind::Verification);
    let read = store(elsewhere, None).resolve(&name).await;
    assert_eq!(read.expect_err("refused").kind(), ErrorKind::Verification);
    assert!(registry.take_seen().is_empty());

    // Whoever named the host has consented, and whoever has no credential has none to lose.
    let named = OciOptions { insecure_hosts: vec![registry.host()], ..insecure.clone() };
    let answered = Err((ErrorKind::NotFound, "there is no image"));
    check(named, &image, answered).await;
    registry.switch(|_| Act::Pass);
    let error = store(insecure, None).put(&signature("build", &image)).await.expect_err("no image");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.report());
    let error = anonymous().put(&signature("build", &image)).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Verification, "{}", error.report());
}

/// A run names what images it likes, and other programs listen on this machine.
#[tokio::test]
async fn plain_http_on_this_machine_must_be_allowed() {
    let registry = Registry::start().await;
    let name = format!("{}/app@sha256:{}", registry.host(), "ab".repeat(32));
    let image = Image { digest: name.parse().expect("an image") };
    for allow_loopback_http in [false, true] {
        let options = OciOptions { allow_loopback_http, ..options() };
        let error =
            store(options, None).put(&signature("build", &image)).await.expect_err("no image");
        let seen = registry.take_seen();
        if allow_loopback_http {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.report());
            assert!(!seen.is_empty());
        } else {
            let expect = "plain HTTP is not used on this machine unless that is allowed";
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.report());
            assert!(error.report().contains(expect), "{}", error.report());
            assert!(seen.is_empty(), "{seen:?}");
        }
    }
}

/// A host that is not on this machine and not named is never spoken to without TLS.
#[tokio::test]
async fn there_is_no_falling_back_to_plain_http() {
    let image = format!("registry.invalid:5000/app@sha256:{}", "ab".repeat(32));
    let image = Image { digest: image.parse().expect("an image") };
    let result = store(options(), None).put(&signature("build", &image)).await;
    assert_eq!(result.expect_err("nowhere").kind(), ErrorKind::Unavailable);
}

/// Registries behind a proxy that ends TLS often name addresses as if there were none.
#[tokio::test]
async fn an_address_of_the_same_host_stays_with_tls() {
    let registry = Registry::start_tls(&Tls::new()).await;
    let target = format!("http://{}/upload", registry.host());
    registry.switch(move |seen| match seen.authorization() {
        None => reply(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        Some(_) if seen.is(&Method::POST, "/uploads/") => reply(202, &[("location", &target)], ""),
        Some(_) if seen.method == Method::PUT => reply(201, &[], ""),
        Some(_) => Act::Pass,
    });
    let image = format!("registry.invalid/app@sha256:{}", "ab".repeat(32));
    let image = Image { digest: image.parse().expect("an image") };
    let options = OciOptions {
        repository: format!("{}/signatures", registry.host()).parse().ok(),
        insecure: true,
        settle: std::time::Duration::ZERO,
        ..options()
    };
    // Nothing is kept there, but the upload has come.
    check(options, &image, Err((ErrorKind::Conflict, "other writers undid it"))).await;
    let seen = registry.take_seen();
    let upload = seen.iter().find(|seen| seen.path.starts_with("/upload?")).expect("an upload");
    assert_eq!(upload.authorization(), Some("Basic dTpw"));
}
