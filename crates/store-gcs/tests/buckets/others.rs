//! S3 and Azure.

use chains_core::ErrorKind;
use chains_store_gcs::{AzblobOptions, BucketStore, S3Options, Variables};

use crate::server::{Server, answer};
use crate::{put, refused};

fn s3(server: &Server, extra: &[(&str, &str)]) -> BucketStore {
    let given = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
    let given = if extra.is_empty() { given.to_vec() } else { extra.to_vec() };
    BucketStore::s3(S3Options {
        endpoint: Some(server.url.clone()),
        variables: Variables::of(given),
        ..S3Options::new("bucket")
    })
    .unwrap()
}

fn azblob(server: &Server, variables: &[(&str, &str)]) -> BucketStore {
    BucketStore::azblob(AzblobOptions {
        endpoint: Some(server.url.clone()),
        variables: Variables::of(variables.to_vec()),
        ..AzblobOptions::new("account", "container")
    })
    .unwrap()
}

/// `hunter2` in base64.
const KEY: &[(&str, &str)] = &[("AZURE_STORAGE_KEY", "aHVudGVyMg==")];

#[tokio::test]
async fn refusals_of_s3_say_what_to_do() {
    let check = async |status: u16, body: &'static str, kind: ErrorKind, words: &[&str]| {
        let server = Server::start(move |_| {
            let mut response = answer(status, body);
            response.headers_mut().insert("x-amz-bucket-region", "eu-north-1".parse().unwrap());
            response
        })
        .await;
        let (error, report) = refused(&s3(&server, &[])).await;
        assert_eq!(error.kind(), kind, "{report}");
        assert_eq!(error.is_retryable(), kind.is_retryable(), "{report}");
        for word in words {
            assert!(report.contains(word), "no {word} in {report}");
        }
    };
    let rights = ["AccessDenied", "`s3:PutObject`", "arn:aws:s3:::bucket/*", "`s3:ListBucket`"];
    check(403, "<Error><Code>AccessDenied</Code></Error>", ErrorKind::Unauthorized, &rights).await;
    let wrong = ["ExpiredToken", "AWS_SESSION_TOKEN"];
    check(400, "<Code>ExpiredToken</Code>", ErrorKind::Configuration, &wrong).await;
    let region = ["`storage.s3.region`", "`eu-north-1`"];
    check(301, "<Code>PermanentRedirect</Code>", ErrorKind::Configuration, &region).await;
    check(400, "<Code>AuthorizationHeaderMalformed</Code>", ErrorKind::Configuration, &region)
        .await;
    check(503, "<Code>SlowDown</Code>", ErrorKind::Throttled, &["SlowDown"]).await;
    check(500, "", ErrorKind::Unavailable, &["500"]).await;
}

#[tokio::test]
async fn s3_addresses_have_the_bucket_where_it_is_told() {
    let server = Server::always(404, "").await;
    refused(&s3(&server, &[])).await;
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.path.starts_with("/bucket/taskrun-default-build/")));
    assert!(asked.iter().all(|asked| asked.header("authorization").is_some_and(|value| {
        value.starts_with("AWS4-HMAC-SHA256 Credential=id/") && value.contains("/us-east-1/s3/")
    })));
    let created = asked.iter().find(|asked| asked.method == "PUT").unwrap();
    assert_eq!(created.header("if-none-match"), Some("*"));
}

#[tokio::test]
async fn credentials_that_cannot_be_had_are_told_apart() {
    let server = Server::always(404, "").await;
    let metadata = Server::always(404, "").await;
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url.as_str())];
    let (_, report) = refused(&s3(&server, &variables)).await;
    assert!(report.contains("asking for credentials"), "{report}");
    assert!(report.contains("set AWS_ACCESS_KEY_ID"), "{report}");
    assert!(!metadata.asked().is_empty(), "{report}");
    assert!(server.asked().is_empty(), "nothing is asked without credentials");

    let store = azblob(&server, &[("IDENTITY_ENDPOINT", &metadata.url)]);
    let (error, report) = refused(&store).await;
    assert!(error.is_retryable(), "it knows a new machine late: {report}");
    assert!(report.contains("asking for credentials"), "{report}");
    assert!(report.contains("AZURE_STORAGE_SAS_TOKEN"), "{report}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn refusals_of_azure_say_what_to_do() {
    let check = async |status: u16, body: &'static str, kind: ErrorKind, words: &[&str]| {
        let server = Server::always(status, body).await;
        let (error, report) = refused(&azblob(&server, KEY)).await;
        assert_eq!(error.kind(), kind, "{report}");
        for word in words {
            assert!(report.contains(word), "no {word} in {report}");
        }
    };
    let rights = ["`Storage Blob Data Contributor`", "blobs/add/action", "`container`"];
    let body = "<Error><Code>AuthorizationPermissionMismatch</Code></Error>";
    check(403, body, ErrorKind::Unauthorized, &rights).await;
    let wrong = ["AuthenticationFailed", "AZURE_STORAGE_KEY"];
    check(403, "<Code>AuthenticationFailed</Code>", ErrorKind::Unauthorized, &wrong).await;
    check(503, "<Code>ServerBusy</Code>", ErrorKind::Unavailable, &["ServerBusy"]).await;
    check(
        404,
        "<Code>ContainerNotFound</Code>",
        ErrorKind::NotFound,
        &["az storage container create"],
    )
    .await;
}

#[test]
fn endpoints_that_are_none_are_refused_at_once() {
    for bad in ["minio", "ftp://minio", "http://"] {
        let options = S3Options { endpoint: Some(bad.to_owned()), ..S3Options::new("bucket") };
        let error = BucketStore::s3(options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{bad}");
        assert!(error.report().contains("`storage.s3.endpoint`"), "{}", error.report());
    }
    let key = Variables::of([("AZURE_STORAGE_KEY", "not base64!")]);
    let options = AzblobOptions { variables: key, ..AzblobOptions::new("account", "container") };
    assert_eq!(BucketStore::azblob(options).unwrap_err().kind(), ErrorKind::Configuration);
}

/// They would show in errors, in logs and in the locations of records.
#[test]
fn addresses_with_credentials_are_refused_and_not_told() {
    for bad in [
        "https://u:hunter2@example.com",
        "https://hunter2@example.com",
        "https://example.com/?sv=1&sig=hunter2",
        "https://example.com/#hunter2",
        "ftp://example.com/?sig=hunter2",
    ] {
        let endpoint = Some(bad.to_owned());
        let options = S3Options { endpoint: endpoint.clone(), ..S3Options::new("bucket") };
        let s3 = BucketStore::s3(options).unwrap_err();
        let variables = Variables::of(KEY.to_vec());
        let options = AzblobOptions { endpoint, variables, ..AzblobOptions::new("account", "c") };
        let azblob = BucketStore::azblob(options).unwrap_err();
        for error in [s3, azblob] {
            let report = error.report();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{report}");
            assert!(!report.contains("hunter2"), "{report}");
            let told = report.contains("AWS_ACCESS_KEY_ID") || report.contains("_SAS_TOKEN");
            assert!(told || bad.starts_with("ftp"), "{report}");
        }
    }
}

#[tokio::test]
async fn no_secret_shows_in_what_developers_print() {
    let server = Server::always(404, "").await;
    let application = [
        ("AZURE_CLIENT_ID", "id"),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_SECRET", "hunter2"),
    ];
    let signature = [("AZURE_STORAGE_SAS_TOKEN", "sv=2024&sp=rcl&sig=hunter2")];
    let stores = [
        (azblob(&server, KEY), "container"),
        (azblob(&server, &signature), "container"),
        (azblob(&server, &application), "container"),
        (s3(&server, &[]), "s3://bucket"),
    ];
    for (store, place) in stores {
        let shown = format!("{store:?} {store:#?}");
        // The last is how bytes print.
        for secret in ["hunter2", "aHVudGVyMg", "104, 117, 110"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains(place), "{shown}");
    }
}

#[test]
fn tokens_go_over_tls() {
    let azblob = |endpoint: Option<&str>, variables: &[(&str, &str)]| {
        BucketStore::azblob(AzblobOptions {
            endpoint: endpoint.map(str::to_owned),
            variables: Variables::of(variables.to_vec()),
            ..AzblobOptions::new("account", "container")
        })
    };
    let s3 = |name, url| {
        let variables = Variables::of([(name, url)]);
        BucketStore::s3(S3Options { variables, ..S3Options::new("bucket") })
    };
    let far = "http://storage.example.com";
    let signature: &[_] = &[("AZURE_STORAGE_SAS_TOKEN", "sig=hunter2")];
    for refused in [
        azblob(Some(far), signature),
        azblob(Some(far), &[]),
        azblob(None, &[("AZURE_AUTHORITY_HOST", far)]),
        s3("AWS_ENDPOINT_URL_STS", far),
        s3("AWS_CONTAINER_CREDENTIALS_FULL_URI", far),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.report().contains("plain HTTP"), "{}", error.report());
    }
    // A key signs, and is not sent; on this machine nobody listens.
    assert!(azblob(Some(far), KEY).is_ok());
    assert!(azblob(Some("http://127.0.0.1:10000/account"), signature).is_ok());
    assert!(azblob(None, &[("AZURE_AUTHORITY_HOST", "https://login.example.com")]).is_ok());
    assert!(s3("AWS_ENDPOINT_URL_STS", "https://sts.example.com").is_ok());
}

#[tokio::test]
async fn passing_refusals_are_tried_again_whatever_their_status() {
    for (code, kind) in [
        ("RequestTimeout", ErrorKind::Timeout),
        ("Throttling", ErrorKind::Throttled),
        ("IDPCommunicationError", ErrorKind::Unavailable),
    ] {
        let body = format!("<Error><Code>{code}</Code></Error>");
        let server = Server::start(move |_| answer(400, body.clone())).await;
        let (error, report) = refused(&s3(&server, &[])).await;
        assert_eq!((error.kind(), error.is_retryable()), (kind, true), "{report}");
    }
}

/// Statuses that mean something of an object mean nothing elsewhere, and what comes with them is told in short.
#[tokio::test]
async fn odd_answers_are_refusals_and_stay_short() {
    let long = || "x".repeat(1 << 20);
    for status in [304, 409, 412] {
        let server = Server::start(move |_| answer(status, long())).await;
        for store in [s3(&server, &[]), azblob(&server, KEY)] {
            let report = put(&store).await.unwrap_err().report();
            assert!(report.contains(&format!("it answered {status}")), "{report:.900}");
            assert!(report.len() < 900, "{report:.900}");
        }
    }
    let server = Server::always(404, "").await;
    for status in [400, 404, 409, 412] {
        let metadata = Server::start(move |_| answer(status, long())).await;
        let instance = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url.as_str())];
        let machine = [("IDENTITY_ENDPOINT", metadata.url.as_str())];
        for store in [s3(&server, &instance), azblob(&server, &machine)] {
            let (_, report) = refused(&store).await;
            assert!(report.contains("asking for credentials"), "{report:.900}");
            assert!(report.len() < 1200, "{report:.1200}");
        }
    }
}

/// In a process of its own, whose proxy is nobody: the services that hand out credentials are asked without it.
#[test]
fn metadata_is_asked_without_a_proxy() {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, "http://127.0.0.1:1");
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let test = "others::credentials_that_cannot_be_had_are_told_apart";
    let done = child.args(["--exact", test, "--nocapture"]).output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && told.contains("1 passed"), "{told}");
}
