//! Certificates: verified, by a custom authority, or not at all where that is said.

use std::io::Write as _;

use chains_core::{ErrorKind, Store as _};
use chains_store_oci::OciOptions;

use crate::support::{Image, Registry, Tls, basic, options, signature, store};

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
    let refused = Err((ErrorKind::Unavailable, "invalid peer certificate"));
    check(options(), &image, refused).await;
    check(OciOptions { ca_files, ..options() }, &image, answered).await;
    check(OciOptions { insecure: true, ..options() }, &image, answered).await;
    let named = vec!["127.0.0.1".to_owned()];
    check(OciOptions { insecure_hosts: named, ..options() }, &image, answered).await;
    let other = vec!["127.0.0.2".to_owned(), format!("{}0", registry.host())];
    check(OciOptions { insecure_hosts: other, ..options() }, &image, refused).await;
}

/// A host that is not on this machine and not named is never spoken to without TLS.
#[tokio::test]
async fn there_is_no_falling_back_to_plain_http() {
    let image = format!("registry.invalid:5000/app@sha256:{}", "ab".repeat(32));
    let image = Image { digest: image.parse().expect("an image") };
    let result = store(options(), None).put(&signature("build", &image)).await;
    assert_eq!(result.expect_err("nowhere").kind(), ErrorKind::Unavailable);
}
