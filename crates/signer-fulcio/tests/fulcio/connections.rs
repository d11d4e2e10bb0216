//! Certificate authorities, proxies, and addresses with a path.

use std::time::Duration;

use chains_core::{ErrorKind, Secret, Signer as _};
use chains_signer_fulcio::{Connection, FulcioOptions, FulcioSigner, Proxy};

use crate::support::{Behaviour, Fulcio, Tls, direct, given, options, token};

const LONG: Behaviour = Behaviour::Issue(Duration::from_secs(600));

fn signer(address: &str, connection: Connection) -> FulcioSigner {
    let options = FulcioOptions { connection, ..options(address) };
    FulcioSigner::new(options, given(&token()), None).expect("a signer")
}

#[tokio::test]
async fn a_server_must_have_a_certificate_of_an_authority_that_is_trusted() {
    let tls = Tls::new();
    let fulcio = Fulcio::start_tls(LONG, &tls).await;
    let stranger = signer(&fulcio.address, direct());
    let error = stranger.sign(b"message").await.expect_err("nobody knows the authority");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.report());
    assert!(error.report().contains("certificate"), "{}", error.report());
    assert_eq!(fulcio.asked(), 0);

    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &tls.authority).expect("written");
    let connection = Connection { ca_files: vec![file.path().to_owned()], ..direct() };
    signer(&fulcio.address, connection).sign(b"message").await.expect("a signature");
}

#[tokio::test]
async fn a_proxy_is_asked_in_place_of_the_server() {
    let fulcio = Fulcio::start(LONG).await;
    let proxy = Proxy::Address(Secret::new(fulcio.address.clone()));
    let through = Connection { proxy, ..direct() };
    signer("http://fulcio.invalid", through).sign(b"message").await.expect("a signature");
    let error = signer("http://fulcio.invalid", direct()).sign(b"message").await;
    assert_eq!(error.expect_err("nobody is there").kind(), ErrorKind::Unavailable);
    assert_eq!(fulcio.asked(), 1);
}
