//! Statements and simple signing documents: what they must say, and hostile ones.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use chains_core::{Digest, ErrorKind};
use chains_testkit::fixture;
use chains_verify::{SimpleSigning, Statement, check_subject};
use proptest::prelude::*;

fn digest(of: &str) -> Digest {
    Digest::sha256_of(of.as_bytes())
}

#[test]
fn a_statement_tells_its_subjects() {
    for version in ["v0.1", "v1"] {
        let json = format!(
            r#"{{"_type":"https://in-toto.io/Statement/{version}","predicateType":"p","predicate":{{}},
            "subject":[{{"uri":"x"}},{{"name":"a","digest":{{"sha256":"{}","sha1":"x"}}}}]}}"#,
            digest("a").hex()
        );
        let statement = Statement::from_json(json.as_bytes()).unwrap();
        assert_eq!(check_subject(&statement, &digest("a")).unwrap().name, "a");
        let error = check_subject(&statement, &digest("b")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Verification);
        assert!(error.report().starts_with("subject: "), "{}", error.report());
        assert!(error.report().contains("\"a@sha1:x\""), "{}", error.report());
        statement.check_predicate_type("p").unwrap();
        let error = statement.check_predicate_type("q").unwrap_err();
        assert!(error.report().starts_with("predicate type: "), "{}", error.report());
    }
}

#[test]
fn a_digest_counts_only_under_its_algorithm() {
    let json = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","predicateType":"p","subject":[{{"name":"a","digest":{{"sha512":"{}"}}}}]}}"#,
        digest("a").hex()
    );
    let statement = Statement::from_json(json.as_bytes()).unwrap();
    check_subject(&statement, &digest("a")).unwrap_err();
}

fn check_statement(json: &str, kind: ErrorKind) {
    let error = Statement::from_json(json.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), kind, "{json}: {}", error.report());
}

#[test]
fn odd_statements_are_refused() {
    check_statement("", ErrorKind::InvalidInput);
    check_statement("[]", ErrorKind::InvalidInput);
    check_statement(r#"{"_type":"https://in-toto.io/Statement/v1"}"#, ErrorKind::InvalidInput);
    check_statement(r#"{"_type":"x","_type":"y","predicateType":"p"}"#, ErrorKind::InvalidInput);
    check_statement(r#"{"_type":"x","predicateType":"p"}"#, ErrorKind::Verification);
    check_statement(&"[".repeat(100_000), ErrorKind::InvalidInput);
    let null = r#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"p","subject":null}"#;
    assert!(Statement::from_json(null.as_bytes()).unwrap().subjects.is_empty());
}

#[test]
fn a_simple_signing_document_is_for_one_digest() {
    let image = fixture::image("app");
    let json = fixture::simple_signing(&image).bytes;
    let document = SimpleSigning::from_json(&json).unwrap();
    assert_eq!(document.docker_reference, fixture::IMAGE);
    document.check(&image.digest).unwrap();
    let error = document.check(&digest("other")).unwrap_err();
    assert!(error.report().starts_with("image digest: "), "{}", error.report());
    let other = String::from_utf8(json.to_vec()).unwrap().replace("cosign container", "other");
    let error =
        SimpleSigning::from_json(other.as_bytes()).unwrap().check(&image.digest).unwrap_err();
    assert!(error.report().starts_with("document type: "), "{}", error.report());
    SimpleSigning::from_json(b"{}").unwrap_err();
}

#[test]
fn a_simple_signing_document_names_its_image() {
    let image = fixture::image("app");
    let json = String::from_utf8(fixture::simple_signing(&image).bytes.to_vec()).unwrap();
    let read = |json: &str| SimpleSigning::from_json(json.as_bytes()).unwrap().image();
    assert_eq!(read(&json).unwrap(), image);
    let check = |from: &str, to: &str, why: &str| {
        let error = read(&json.replace(from, to)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Verification);
        assert!(error.report().starts_with(why), "{}", error.report());
    };
    check("cosign container", "other", "document type: ");
    check(fixture::IMAGE, "", "image name: ");
    check("sha256:", "", "image digest: ");
}

/// The status of a run, signed with the same key, must not pass for an image signature.
#[test]
fn a_document_with_more_in_it_is_no_simple_signing_document() {
    let json = fixture::simple_signing(&fixture::image("app")).bytes;
    let json = String::from_utf8(json.to_vec()).unwrap();
    let status = json.replace("\"optional\"", "\"conditions\":[],\"optional\"");
    let error = SimpleSigning::from_json(status.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.report().contains("conditions"), "{}", error.report());
    SimpleSigning::from_json(json.replace(",\"optional\":null", "").as_bytes()).unwrap();
    SimpleSigning::from_json(json.replace("null", "{\"creator\":\"x\"}").as_bytes()).unwrap();
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text: String) {
        for input in [&bytes, text.as_bytes()] {
            let _ = Statement::from_json(input);
            let _ = SimpleSigning::from_json(input);
        }
    }
}
