//! What services answer that no real one can be made to answer here: denied, throttled, expired, broken.

#![cfg(all(feature = "dynamodb", feature = "firestore"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chains_core::{Error, ErrorKind, Outcome, ReadBack as _, Record, Result, Store as _};
use chains_store_docdb::{Collection, DocDbOptions, DocDbStore, Variables};
use chains_testkit::fixture;
use serde_json::{Value, json};

/// A request, as the service got it.
#[derive(Debug, Clone)]
struct Asked {
    line: String,
    headers: HeaderMap,
    body: Value,
}

#[derive(Debug, Default)]
struct Script {
    answers: Mutex<VecDeque<(u16, String)>>,
    asked: Mutex<Vec<Asked>>,
}

/// A service that answers as it is told to, one answer after the other.
struct Service {
    address: String,
    script: Arc<Script>,
}

async fn answer(
    State(script): State<Arc<Script>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    script.asked.lock().unwrap().push(Asked { line: format!("{method} {uri}"), headers, body });
    let Some((status, body)) = script.answers.lock().unwrap().pop_front() else {
        return StatusCode::IM_A_TEAPOT.into_response();
    };
    let status = StatusCode::from_u16(status).unwrap();
    // Only looked at with a status that redirects.
    (status, [(header::LOCATION, "/elsewhere")], body).into_response()
}

impl Service {
    async fn start(answers: &[(u16, Value)]) -> Self {
        let answers = answers.iter().map(|(status, body)| match body {
            Value::String(text) => (*status, text.clone()),
            body => (*status, body.to_string()),
        });
        let script = Script { answers: Mutex::new(answers.collect()), ..Script::default() };
        let script = Arc::new(script);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, script }
    }

    fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().unwrap().clone()
    }

    fn dynamodb(&self) -> DocDbStore {
        let url = format!("dynamodb://signed?partition_key=Name&endpoint=http://{}", self.address);
        let variables = [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_SESSION_TOKEN", "hunter3"),
            ("AWS_REGION", "eu-central-1"),
        ];
        store(&url, Variables::of(variables))
    }

    fn firestore(&self) -> DocDbStore {
        let url = "firestore://projects/p/databases/(default)/documents/signed?name_field=Name";
        store(url, Variables::of([("FIRESTORE_EMULATOR_HOST", self.address.as_str())]))
    }
}

fn store(url: &str, variables: Variables) -> DocDbStore {
    let options = DocDbOptions::new(Collection::parse(url).unwrap());
    DocDbStore::new(DocDbOptions { variables, ..options }).unwrap()
}

fn record() -> Record {
    fixture::run_record(&fixture::run("refused"))
}

fn check(result: Result<Outcome>, kind: ErrorKind, words: &[&str]) {
    let error: Error = result.expect_err("refused");
    let report = error.report();
    assert_eq!(error.kind(), kind, "{report}");
    assert_eq!(error.is_retryable(), kind.is_retryable(), "{report}");
    assert!(report.starts_with("keeping TaskRun default/refused as "), "{report}");
    assert!(words.iter().all(|words| report.contains(words)), "{words:?}: {report}");
    assert!(!report.contains("hunter"), "{report}");
}

fn aws(code: &str, message: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message })
}

#[tokio::test]
async fn what_dynamodb_refuses_is_told() {
    let check = |status,
                 code: &'static str,
                 message: &'static str,
                 kind,
                 words: &'static [&str]| async move {
        let service = Service::start(&[(status, aws(code, message))]).await;
        check(service.dynamodb().put(&record()).await, kind, words);
        assert_eq!(service.asked().len(), 1, "{code} is asked for once");
    };
    let denied = "User is not authorized; hunter2 and hunter3 were sent";
    let grant = ["grant `dynamodb:PutItem` and `dynamodb:GetItem` on the table signed"];
    check(400, "AccessDeniedException", denied, ErrorKind::Unauthorized, const { &["[redacted]"] })
        .await;
    let service =
        Service::start(&[(400, aws("UnrecognizedClientException", "no such user"))]).await;
    self::check(service.dynamodb().put(&record()).await, ErrorKind::Unauthorized, &grant);
    check(
        400,
        "ProvisionedThroughputExceededException",
        "slow down",
        ErrorKind::Throttled,
        &["slow down"],
    )
    .await;
    check(500, "InternalServerError", "", ErrorKind::Unavailable, &["500"]).await;
    check(413, "", "", ErrorKind::TooLarge, &["409600 (400 KiB)"]).await;
    check(307, "", "", ErrorKind::Protocol, &["307"]).await;
}

#[tokio::test]
async fn requests_to_dynamodb_are_signed_and_conditional() {
    let service = Service::start(&[(200, json!({}))]).await;
    let outcome = service.dynamodb().put(&record()).await.unwrap();
    assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome}");
    let [asked] = service.asked().try_into().unwrap();
    let text = |name: &str| asked.headers[name].to_str().unwrap().to_owned();
    assert_eq!(text("x-amz-target"), "DynamoDB_20120810.PutItem");
    assert_eq!(text("x-amz-security-token"), "hunter3");
    let signed = text("authorization");
    assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signed}");
    assert!(signed.contains("/eu-central-1/dynamodb/aws4_request"), "{signed}");
    assert_eq!(asked.body["ConditionExpression"], "attribute_not_exists(#key)");
    assert_eq!(asked.body["Item"]["Name"]["S"], json!(record().key.short));
}

#[tokio::test]
async fn what_follows_from_the_rest_is_not_read_from_dynamodb() {
    let service = Service::start(&[(200, json!({}))]).await;
    service.dynamodb().read_back((&record()).into()).await.unwrap();
    let [asked] = service.asked().try_into().unwrap();
    let names = asked.body["ExpressionAttributeNames"].as_object().unwrap();
    let asked_for = asked.body["ProjectionExpression"].as_str().unwrap().split(", ");
    let asked_for: Vec<_> = asked_for.map(|name| names[name].as_str().unwrap()).collect();
    assert_eq!(asked_for, ["Signed", "Signature", "Cert", "Chain"]);
}

#[tokio::test]
async fn expired_credentials_are_looked_for_once_more() {
    let expired = (400, aws("ExpiredTokenException", "the token has expired"));
    let service = Service::start(&[expired.clone(), (200, json!({}))]).await;
    let outcome = service.dynamodb().put(&record()).await.unwrap();
    assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome}");
    let service = Service::start(&[expired.clone(), expired]).await;
    check(service.dynamodb().put(&record()).await, ErrorKind::Unauthorized, &["has expired"]);
    assert_eq!(service.asked().len(), 2);
}

#[tokio::test]
async fn answers_that_are_none_are_told() {
    let read = |answer: (u16, Value)| async {
        let service = Service::start(&[answer]).await;
        service.dynamodb().read_back((&record()).into()).await.unwrap_err()
    };
    let error = read((200, json!("<html>"))).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{}", error.report());
    let error = read((200, json!("x".repeat(5 << 20)))).await;
    assert_eq!(error.kind(), ErrorKind::Protocol, "{}", error.report());
    let error = read((200, json!({ "Item": { "Signed": { "S": "text" } } }))).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}", error.report());
}

fn google(status: &str, message: &str) -> Value {
    json!({ "error": { "code": 0, "status": status, "message": message } })
}

#[tokio::test]
async fn what_firestore_refuses_is_told() {
    let check = |status,
                 code: &'static str,
                 message: &'static str,
                 kind,
                 words: &'static [&str]| async move {
        let service = Service::start(&[(status, google(code, message))]).await;
        check(service.firestore().put(&record()).await, kind, words);
        assert_eq!(service.asked().len(), 1, "{code} is asked for once");
    };
    let role = &["roles/datastore.user", "projects/p/databases/(default)"];
    check(403, "PERMISSION_DENIED", "Missing permissions", ErrorKind::Unauthorized, role).await;
    let missing = "The database (default) does not exist for project p";
    check(
        404,
        "NOT_FOUND",
        missing,
        ErrorKind::NotFound,
        &["create projects/p/databases/(default)"],
    )
    .await;
    check(400, "FAILED_PRECONDITION", "Datastore Mode", ErrorKind::Configuration, &["native mode"])
        .await;
    let long = "its size exceeds the maximum allowed size of 1,048,576 bytes";
    check(400, "INVALID_ARGUMENT", long, ErrorKind::TooLarge, &["1048576 (1 MiB)"]).await;
    let indexes = "too many index entries for entity";
    check(
        400,
        "INVALID_ARGUMENT",
        indexes,
        ErrorKind::InvalidInput,
        &["exempt the field `Object`"],
    )
    .await;
    check(429, "RESOURCE_EXHAUSTED", "quota", ErrorKind::Throttled, &["quota"]).await;
    check(503, "UNAVAILABLE", "", ErrorKind::Unavailable, &["503"]).await;
}

#[tokio::test]
async fn a_document_with_another_signature_is_replaced() {
    let other = json!({ "fields": { "Signed": { "bytesValue": "e30=" }, "Signature": { "stringValue": "" } } });
    let exists = (409, google("ALREADY_EXISTS", "Document already exists"));
    let service = Service::start(&[exists, (200, other), (200, json!({}))]).await;
    let outcome = service.firestore().put(&record()).await.unwrap();
    assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome}");
    let asked = service.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    let documents = "/v1/projects/p/databases/(default)/documents";
    let fields = ["Signed", "Signature", "Cert", "Chain"].map(|it| format!("mask.fieldPaths={it}"));
    let get = format!("GET {documents}/signed/{}?{}", record().key.short, fields.join("&"));
    let commit = format!("POST {documents}:commit");
    assert_eq!(lines, [commit.as_str(), get.as_str(), commit.as_str()]);
    let conditions: Vec<_> =
        asked.iter().map(|asked| &asked.body["writes"][0]["currentDocument"]).collect();
    assert_eq!(conditions, [&json!({ "exists": false }), &Value::Null, &Value::Null]);
}
