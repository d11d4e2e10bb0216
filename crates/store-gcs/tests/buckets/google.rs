//! Google Cloud Storage.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Response};
use chains_core::{ErrorKind, Outcome, ReadBack as _};
use chains_store_gcs::{BucketStore, GcsOptions, Limits, Variables};
use chains_testkit::fixture;

use crate::server::{Asked, Server, answer};
use crate::{put, refused};

fn options(variables: Variables) -> GcsOptions {
    let limits = Limits { request_timeout: Duration::from_secs(20), ..Limits::default() };
    GcsOptions { variables, limits, ..GcsOptions::new("bucket") }
}

fn emulated(server: &Server) -> BucketStore {
    BucketStore::gcs(options(Variables::of([("STORAGE_EMULATOR_HOST", &server.url)]))).unwrap()
}

/// Nothing is there, and whatever is created comes back.
fn empty(asked: &Asked) -> Response<Body> {
    match asked.method {
        Method::POST => answer(200, "{}"),
        _ => answer(404, "Not Found"),
    }
}

#[tokio::test]
async fn objects_are_created_on_condition_and_as_what_they_are() {
    let server = Server::start(empty).await;
    // What it took in it does not give back: somebody else must have written.
    let (error, report) = refused(&emulated(&server)).await;
    assert!(error.kind() == ErrorKind::Conflict && error.is_retryable(), "{report}");

    let created: Vec<Asked> =
        server.asked().into_iter().filter(|asked| asked.method == Method::POST).collect();
    let record = fixture::run_record(&fixture::run("build"));
    let name = format!("taskrun-default-build%2Ftaskrun-{}", record.run.uid);
    for (asked, (extension, media_type)) in created.iter().zip([
        ("payload", "application/vnd.in-toto+json"),
        ("signature", "application/vnd.dsse.envelope.v1+json"),
    ]) {
        let expect = format!(
            "/upload/storage/v1/b/bucket/o?uploadType=media&name={name}.{extension}&ifGenerationMatch=0"
        );
        assert_eq!(asked.path, expect);
        assert_eq!(asked.header("content-type"), Some(media_type));
        assert_eq!(asked.header("authorization"), None, "emulators see no credentials");
    }
    assert_eq!(created.len(), 2);
    assert_eq!(created[0].body, record.payload.bytes);
}

/// A store with a token of Kubernetes, which the server's `/sts` is to exchange.
fn federated(server: &Server, folder: &Path) -> BucketStore {
    let token = folder.join("token");
    std::fs::write(&token, "the-kubernetes-token").unwrap();
    let credentials = serde_json::json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/sts", server.url),
        "credential_source": { "file": token },
    });
    let path = folder.join("credentials.json");
    std::fs::write(&path, credentials.to_string()).unwrap();
    let variables = [
        ("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap()),
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE", &server.url),
    ];
    BucketStore::gcs(options(Variables::of(variables))).unwrap()
}

#[tokio::test]
async fn who_gets_no_token_is_told_why_and_what_to_do() {
    let body = "{\"error\":\"invalid_grant\",\"error_description\":\"not of this pool\"}";
    let server = Server::always(400, body).await;
    let folder = tempfile::tempdir().unwrap();
    let (error, report) = refused(&federated(&server, folder.path())).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!error.is_retryable(), "{report}");
    for word in ["asking for a token of Google Cloud", "invalid_grant", "workload identity"] {
        assert!(report.contains(word), "no {word} in {report}");
    }
    assert!(report.len() < 900, "{report}");
}

/// Workload identity federation: a token of another issuer is exchanged for one of Google's.
#[tokio::test]
async fn credentials_of_workload_identity_federation_are_used() {
    let server = Server::start(|asked| {
        if asked.path == "/sts" {
            let body = String::from_utf8_lossy(&asked.body).into_owned();
            assert!(body.contains("the-kubernetes-token"), "{body}");
            let token = "{\"access_token\":\"hunter2\",\"expires_in\":3600,\"token_type\":\"Bearer\",\
                 \"issued_token_type\":\"urn:ietf:params:oauth:token-type:access_token\"}";
            let mut response = answer(200, token);
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            return response;
        }
        match asked.header("authorization") {
            Some("Bearer hunter2") => answer(403, "{\"error\":{\"message\":\"hands off\"}}"),
            _ => answer(401, ""),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let store = federated(&server, folder.path());
    let (error, report) = refused(&store).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    for word in ["hands off", "roles/storage.objectCreator", "storage.objects.list", "gs://bucket"]
    {
        assert!(report.contains(word), "no {word} in {report}");
    }
    refused(&store).await;
    let exchanges = server.asked().iter().filter(|asked| asked.path == "/sts").count();
    assert_eq!(exchanges, 1, "the token is kept");
}

/// A role that is granted later, a pool that is mended: the library asks nobody again after a refusal.
#[tokio::test]
async fn who_was_refused_a_token_is_given_one_later() {
    let exchanges = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |asked| {
        if asked.path != "/sts" {
            return empty(asked);
        }
        if exchanges.fetch_add(1, Ordering::SeqCst) == 0 {
            return answer(403, "{\"error\":\"access_denied\"}");
        }
        let token = "{\"access_token\":\"hunter2\",\"expires_in\":3600,\"token_type\":\"Bearer\",\
             \"issued_token_type\":\"urn:ietf:params:oauth:token-type:access_token\"}";
        answer(200, token)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let store = federated(&server, folder.path());
    let (error, report) = refused(&store).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{report}");
    assert!(
        server.asked().iter().all(|asked| asked.path == "/sts"),
        "nothing goes without a token"
    );
    // What it takes in it does not give back, but it takes it: there is a token.
    let (error, report) = refused(&store).await;
    assert_eq!(error.kind(), ErrorKind::Conflict, "{report}");
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|asked| asked.path == "/sts").count(), 2);
    let token = Some("Bearer hunter2");
    assert!(asked.iter().any(|asked| asked.header("authorization") == token));
    assert!(!format!("{store:?}").contains("hunter2"), "{store:?}");
}

/// Who may create and not delete is refused where there is an object, and not told that there is one.
#[tokio::test]
async fn a_refused_creation_looks_whether_it_is_there() {
    let record = fixture::unsigned_record(&fixture::run("build"));
    let (payload, posted) = (record.payload.bytes.clone(), Arc::new(AtomicBool::new(false)));
    let server = Server::start(move |asked| match asked.method {
        Method::POST => {
            posted.store(true, Ordering::SeqCst);
            answer(403, "")
        }
        _ if asked.path.contains(".payload") && posted.load(Ordering::SeqCst) => {
            answer(200, payload.clone())
        }
        _ => answer(404, ""),
    })
    .await;
    chains_core::Store::put(&emulated(&server), &record).await.unwrap();
    assert_eq!(server.asked().iter().filter(|asked| asked.method == Method::POST).count(), 1);
}

#[tokio::test]
async fn credentials_that_are_no_use_say_what_would_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    let with = |path: &str| {
        BucketStore::gcs(options(Variables::of([("GOOGLE_APPLICATION_CREDENTIALS", path)])))
            .unwrap()
    };
    let (error, report) = refused(&with("/nowhere")).await;
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(report.contains("/nowhere") && report.contains("workload identity"), "{report}");
    for text in ["hunter2", "{\"type\":\"hunter2\"}", "{\"type\":\"service_account\"}"] {
        std::fs::write(&path, text).unwrap();
        let (error, report) = refused(&with(path.to_str().unwrap())).await;
        assert_eq!(error.kind(), ErrorKind::Configuration, "{report}");
        assert!(report.contains("GOOGLE_APPLICATION_CREDENTIALS"), "{report}");
    }
}

#[tokio::test]
async fn refusals_tell_whether_to_try_again() {
    let check = async |status: u16, kind: ErrorKind, words: &str| {
        let server = Server::always(status, "{\"error\":{\"message\":\"told\"}}").await;
        let (error, report) = refused(&emulated(&server)).await;
        assert_eq!(error.kind(), kind, "{report}");
        assert_eq!(error.is_retryable(), kind.is_retryable(), "{report}");
        assert!(report.contains(words) && report.contains("told"), "no {words} in {report}");
    };
    check(401, ErrorKind::Unauthorized, "GOOGLE_APPLICATION_CREDENTIALS").await;
    check(403, ErrorKind::Unauthorized, "roles/storage.objectViewer").await;
    check(429, ErrorKind::Throttled, "429").await;
    check(500, ErrorKind::Unavailable, "500").await;
    check(503, ErrorKind::Unavailable, "503").await;
    check(504, ErrorKind::Timeout, "504").await;
    check(400, ErrorKind::Configuration, "400").await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Server::always(200, "").await;
    let location = format!("{}/stolen", other.url);
    let server = Server::start(move |_| {
        let mut response = answer(307, "");
        response.headers_mut().insert("location", location.parse().unwrap());
        response
    })
    .await;
    let (error, report) = refused(&emulated(&server)).await;
    assert_eq!(error.kind(), ErrorKind::Configuration, "{report}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let server = Server::start(|_| answer(200, vec![b'x'; 40 << 20])).await;
    let (error, report) = refused(&emulated(&server)).await;
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{report}");
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let limits = Limits { request_timeout: Duration::from_millis(50), ..Limits::default() };
    let variables = Variables::of([("STORAGE_EMULATOR_HOST", host)]);
    let store = BucketStore::gcs(GcsOptions { limits, ..options(variables) }).unwrap();
    let (error, report) = refused(&store).await;
    assert!(error.kind() == ErrorKind::Timeout && error.is_retryable(), "{report}");
    drop(listener);
    let (error, report) = refused(&store).await;
    assert!(error.kind() == ErrorKind::Unavailable && error.is_retryable(), "{report}");
}

#[tokio::test]
async fn listings_are_paged_and_hostile_ones_are_errors() {
    let record = fixture::run_record(&fixture::run("build"));
    let uid = record.run.uid.to_string();
    let server = Server::start(move |asked| {
        let name = format!("taskrun-default-build/taskrun-{uid}");
        if asked.path.contains("alt=media") {
            return answer(200, "{}");
        }
        match asked.path.contains("pageToken=more") {
            true => answer(200, format!("{{\"items\":[{{\"name\":\"{name}.payload\"}}]}}")),
            false => answer(200, "{\"items\":[{\"name\":\"other\"}],\"nextPageToken\":\"more\"}"),
        }
    })
    .await;
    let found = emulated(&server).read_back((&record).into()).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].payload, "{}");

    let endless = Server::always(200, "{\"nextPageToken\":\"again\"}").await;
    assert!(emulated(&endless).read_back((&record).into()).await.unwrap().is_empty());
    assert!(endless.asked().len() < 10, "{}", endless.asked().len());
    let garbage = Server::always(200, "<html>").await;
    let error = emulated(&garbage).read_back((&record).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let missing = Server::always(404, "").await;
    let error = emulated(&missing).read_back((&record).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.report().contains("gcloud storage buckets create"), "{}", error.report());
}

/// Somebody else writes between the look and the creation, on a server that holds to preconditions.
#[tokio::test]
async fn what_appears_meanwhile_is_left_alone() {
    let server = Server::start(|asked| match asked.method {
        Method::POST if asked.path.contains("payload") => answer(412, ""),
        Method::POST => answer(200, "{}"),
        _ => answer(404, ""),
    })
    .await;
    let (error, report) = refused(&emulated(&server)).await;
    assert!(error.kind() == ErrorKind::Conflict && error.is_retryable(), "{report}");
    let posts = server.asked().iter().filter(|asked| asked.method == Method::POST).count();
    assert_eq!(posts, 1, "nothing is put beside what is not understood");
}

#[tokio::test]
async fn many_at_once_take_turns() {
    let server = Server::start(|asked| match asked.method {
        Method::POST => answer(412, ""),
        _ => answer(200, fixture::run_record(&fixture::run("build")).payload.bytes),
    })
    .await;
    let limits = Limits { concurrency: 1, ..Limits::default() };
    let variables = Variables::of([("STORAGE_EMULATOR_HOST", &server.url)]);
    let store = BucketStore::gcs(GcsOptions { limits, ..options(variables) }).unwrap();
    let unsigned = fixture::unsigned_record(&fixture::run("build"));
    let (one, two) = tokio::join!(
        chains_core::Store::put(&store, &unsigned),
        chains_core::Store::put(&store, &unsigned)
    );
    // Signature and certificates are there too, so it is not this record: both say so, and none hangs.
    assert!(one.is_err() && two.is_err());
    assert!(!matches!(put(&store).await, Ok(Outcome::Stored { .. })));
}
