//! Servers that refuse, and answers that must not be believed.

use std::sync::Arc;
use std::time::Duration;

use chains_core::{Error, ErrorKind, Signer as _};
use chains_signer_fulcio::{
    Connection, CtLog, FulcioOptions, FulcioSigner, Status, Trust, TrustSource, Window,
};

use crate::support::{
    Authority, Behaviour, Fulcio, given, options, signer, token, token_of, token_text,
};

async fn failure(signer: &FulcioSigner) -> Error {
    let error = signer.sign(b"message").await.expect_err("no signature");
    assert!(error.is_retryable(), "the service may be mended: {}", error.report());
    let status = signer.status();
    let Status::Failing { error: told, until: None } = &*status.borrow() else {
        panic!("the status tells it: {status:?}");
    };
    assert_eq!(*told, error.report());
    error
}

fn is(error: &Error, kind: ErrorKind, part: &str) {
    assert_eq!(error.kind(), kind, "{}", error.report());
    assert!(error.report().contains(part), "{}", error.report());
}

#[tokio::test]
async fn refusals_are_told() {
    let check = async |status, message, kind, part: &str| {
        let fulcio = Fulcio::start(Behaviour::Refuse(status, message)).await;
        is(&failure(&signer(&fulcio, &token(), None)).await, kind, part);
    };
    let refused = "There was an error processing the identity token";
    check(400, refused, ErrorKind::Unauthorized, "400 Bad Request: There was an error").await;
    check(403, "", ErrorKind::Unauthorized, "it answered 403 Forbidden").await;
    check(404, "Not Found", ErrorKind::Configuration, "is it Fulcio's address?").await;
    check(429, "slowly", ErrorKind::Throttled, "slowly").await;
    check(500, "error in the CA", ErrorKind::Unavailable, "error in the CA").await;
    check(504, "", ErrorKind::Timeout, "504").await;
    check(418, "tea\r\n\u{1b}[2J", ErrorKind::Protocol, "teapot: tea [2J").await;
}

#[tokio::test]
async fn why_a_token_is_refused_is_told() {
    let fulcio = Fulcio::start(Behaviour::Refuse(400, "error processing the token")).await;
    let check = async |text: String, audience: &str, part: &str| {
        let options = FulcioOptions { audience: audience.to_owned(), ..options(&fulcio.address) };
        let signer = FulcioSigner::new(options, given(&text), None).expect("a signer");
        is(&failure(&signer).await, ErrorKind::Unauthorized, part);
    };
    check(
        token_text(r#""aud":["other"]"#),
        "other",
        r#"error processing the token: it expects the audience "sigstore", and the token is for ["other"]"#,
    )
    .await;
    let foreign = token_of("https://foreign.example.com", r#""aud":"sigstore""#);
    check(foreign, "sigstore", r#"it takes no tokens of the issuer "https://foreign.example.com""#)
        .await;
}

#[tokio::test]
async fn tokens_for_something_else_are_not_shown() {
    let fulcio = Fulcio::start(Behaviour::Issue(Duration::from_secs(600))).await;
    let check = async |claims: &str, issuer: Option<&str>, part: &str| {
        let issuer = issuer.map(str::to_owned);
        let options = FulcioOptions { issuer, ..options(&fulcio.address) };
        let signer = FulcioSigner::new(options, given(&token_text(claims)), None);
        is(&failure(&signer.expect("a signer")).await, ErrorKind::Unauthorized, part);
    };
    check(r#""aud":"kubernetes""#, None, r#"["kubernetes"], not for "sigstore""#).await;
    check(r#""aud":"sigstore","exp":1"#, None, "it ended").await;
    check(r#""aud":"sigstore""#, Some("https://other"), r#"not "https://other""#).await;
    assert_eq!(fulcio.asked(), 0);
}

#[tokio::test]
async fn answers_that_are_none_are_refused() {
    let fulcio = Fulcio::start(Behaviour::Hang).await;
    let check = async |body: &str, kind, part: &str| {
        fulcio.set(Behaviour::Body(body.to_owned()));
        is(&failure(&signer(&fulcio, &token(), None)).await, kind, part);
    };
    check("", ErrorKind::Protocol, "not of the protocol").await;
    check("{}", ErrorKind::Protocol, "holds no certificate").await;
    let chain = r#"{"chain":{"certificates":[]}"#;
    let with = |name: &str, more: &str| format!(r#"{{"{name}":{chain}{more}}}}}"#);
    let embedded = "signedCertificateEmbeddedSct";
    check(&with(embedded, ""), ErrorKind::Verification, "there is no certificate").await;
    let beside = with("signedCertificateDetachedSct", r#","signedCertificateTimestamp":"%""#);
    check(&beside, ErrorKind::Protocol, "is not base64").await;
    let long = "x".repeat(1024 * 1024 + 1);
    check(&long, ErrorKind::Protocol, "more than 1048576 bytes").await;
    fulcio.set(Behaviour::Redirect("https://elsewhere.example.com".to_owned()));
    is(&failure(&signer(&fulcio, &token(), None)).await, ErrorKind::Protocol, "307");
}

#[tokio::test]
async fn certificates_that_do_not_hold_are_refused() {
    let fulcio = Fulcio::start(Behaviour::OtherKey).await;
    let check = async |behaviour, trust: Option<Arc<dyn TrustSource>>, part: &str| {
        fulcio.set(behaviour);
        is(&failure(&signer(&fulcio, &token(), trust)).await, ErrorKind::Verification, part);
    };
    let (ours, other) = (|| fulcio.authority.trust(), Authority::new());
    check(Behaviour::OtherKey, None, "for another key than ours").await;
    check(Behaviour::OtherKey, Some(ours()), "for another key than ours").await;
    check(Behaviour::Chain(other.chain.to_vec()), None, "its chain does not hold").await;
    let long = Behaviour::Issue(Duration::from_secs(600));
    check(long.clone(), Some(other.trust()), "no trusted authority").await;
    check(Behaviour::Issue(Duration::ZERO), Some(ours()), "it is never valid").await;
    let key = chains_core::PublicKey::from_pem(include_str!("../fixtures/public-ct.pub"));
    let log = CtLog { key: key.expect("a key"), valid: Window::default() };
    let logged = || -> Arc<dyn TrustSource> {
        let authorities = vec![fulcio.authority.authority()];
        Arc::new(Trust { authorities, ct_logs: vec![log.clone()] })
    };
    check(long, Some(logged()), "no certificate transparency log has promised to show it").await;
    check(Behaviour::Promise("{}".to_owned()), Some(logged()), "cannot be read").await;
}

#[tokio::test]
async fn a_chain_need_not_come_with_the_certificate() {
    let fulcio = Fulcio::start(Behaviour::Chain(Vec::new())).await;
    let signer = signer(&fulcio, &token(), Some(fulcio.authority.trust()));
    let signature = signer.sign(b"message").await.expect("a signature");
    assert_eq!(signature.material.chain, None);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let fulcio = Fulcio::start(Behaviour::Hang).await;
    let connection = Connection {
        request_timeout: Duration::from_millis(50),
        ..options(&fulcio.address).connection
    };
    let options = FulcioOptions { connection, ..options(&fulcio.address) };
    let signer = FulcioSigner::new(options, given(&token()), None).expect("a signer");
    let error = failure(&signer).await;
    is(&error, ErrorKind::Timeout, "http://127.0.0.1");
}

#[tokio::test]
async fn nobody_there_is_told() {
    let options = options("http://127.0.0.1:1");
    let signer = FulcioSigner::new(options, given(&token()), None).expect("a signer");
    is(&failure(&signer).await, ErrorKind::Unavailable, "http://127.0.0.1:1/");
}

#[tokio::test]
async fn a_server_that_comes_back_is_used() {
    let fulcio = Fulcio::start(Behaviour::Refuse(503, "not yet")).await;
    let signer = signer(&fulcio, &token(), None);
    failure(&signer).await;
    fulcio.set(Behaviour::Issue(Duration::from_secs(600)));
    let mut status = signer.status();
    let ready = status.wait_for(|status| matches!(status, Status::Ready { .. })).await;
    ready.expect("the signer asks again by itself");
    signer.sign(b"message").await.expect("a signature");
    assert_eq!(fulcio.asked(), 2);
}

#[test]
fn an_address_that_is_none_is_refused_at_once() {
    let error = FulcioSigner::new(options("fulcio"), given(&token()), None).expect_err("refused");
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Configuration, false));
}
