//! S3 and Azure.

use chains_core::ErrorKind;
use chains_store_gcs::{AzblobOptions, BucketStore, S3Options, Variables};

use crate::refused;
use crate::server::{Server, answer};

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
    assert!(server.asked().is_empty(), "nothing is asked without credentials");

    let (_, report) = refused(&azblob(&server, &[("IDENTITY_ENDPOINT", &metadata.url)])).await;
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
