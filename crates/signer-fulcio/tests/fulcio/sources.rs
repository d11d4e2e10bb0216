//! Where tokens come from, each against a server that answers as the real one is documented to.

use std::path::Path;
use std::sync::Arc;

use chains_core::{Error, ErrorKind};
use chains_signer_fulcio::{
    Buildkite, Environment, Filesystem, FirstPresent, GitHub, Google, IdentitySource, Provider,
    SourceOptions, Variables, identity_source,
};

use crate::support::{Answers, direct, given, token, token_text};

const FLAVOR: Option<(&str, &str)> = Some(("metadata-flavor", "Google"));

async fn subject(source: &dyn IdentitySource) -> Result<String, Error> {
    assert!(source.is_present().await, "{source:?}");
    source.token("sigstore").await.map(|token| token.subject().to_owned())
}

fn gives(found: Result<String, Error>) {
    assert_eq!(found.expect("a token"), "the subject");
}

fn fails(found: Result<String, Error>, kind: ErrorKind, part: &str) {
    let error = found.expect_err("no token");
    assert_eq!(error.kind(), kind, "{}", error.report());
    assert!(error.report().contains(part), "{}", error.report());
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().copied().collect()
}

#[tokio::test]
async fn a_file_is_read_each_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let source = Filesystem::new(&path);
    assert!(!source.is_present().await);
    let missing = source.token("sigstore").await.map(|_| String::new());
    fails(missing, ErrorKind::Unauthorized, "it is not there: project a ServiceAccount token");
    let check = async |content: &[u8], expect: Result<(), &str>| {
        // As Kubernetes replaces them: another file under the same name.
        let new = folder.path().join("new");
        std::fs::write(&new, content).expect("written");
        std::fs::rename(&new, &path).expect("renamed");
        match expect {
            Ok(()) => gives(subject(&source).await),
            Err(part) => fails(subject(&source).await, ErrorKind::Unauthorized, part),
        }
    };
    check(token().as_bytes(), Ok(())).await;
    check(format!("{}\n", token()).as_bytes(), Ok(())).await;
    check(b"", Err("it is empty")).await;
    check(b"\xff\xfe", Err("valid UTF-8")).await;
    check(&vec![b'a'; 70_000], Err("more than 65536 bytes")).await;
    check(token_text(r#""aud":"other""#).as_bytes(), Ok(())).await;
    fails(subject(&Filesystem::new(folder.path())).await, ErrorKind::Unauthorized, "directory");
}

#[tokio::test]
async fn github_is_asked_for_the_audience() {
    let answers = Answers::start(vec![
        ("GET /token?v=2&audience=sigstore", 200, None, format!(r#"{{"value":"{}"}}"#, token())),
        ("GET /empty?audience=sigstore", 200, None, r#"{"value":""}"#.to_owned()),
        ("GET /text?audience=sigstore", 200, None, "text".to_owned()),
        ("GET /refused?audience=sigstore", 401, None, String::new()),
    ])
    .await;
    let source = |path: &str| {
        let url = format!("{}{path}", answers.address);
        let pairs = [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"),
        ];
        GitHub::new(&variables(&pairs), &direct())
    };
    gives(subject(&source("/token?v=2")).await);
    assert_eq!(answers.asked(), ["GET /token?v=2&audience=sigstore authorization=bearer t "]);
    fails(subject(&source("/empty")).await, ErrorKind::Unauthorized, "the answer has no `value`");
    fails(subject(&source("/text")).await, ErrorKind::Unauthorized, "not JSON");
    fails(subject(&source("/refused")).await, ErrorKind::Unauthorized, "401");
    fails(subject(&source("/nothing")).await, ErrorKind::NotFound, "404");
    let absent = GitHub::new(&variables(&[("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")]), &direct());
    assert!(!absent.is_present().await);
    let error = absent.token("sigstore").await.map(|_| String::new());
    fails(error, ErrorKind::Unauthorized, "`id-token: write`");
}

#[tokio::test]
async fn buildkite_is_asked_for_the_job() {
    let answer = format!(r#"{{"token":"{}"}}"#, token());
    let answers =
        Answers::start(vec![("POST /v3/jobs/job%2F1/oidc/tokens", 201, None, answer)]).await;
    let endpoint = format!("{}/v3/", answers.address);
    let pairs = [
        ("BUILDKITE_AGENT_ACCESS_TOKEN", "t"),
        ("BUILDKITE_AGENT_ENDPOINT", endpoint.as_str()),
        ("BUILDKITE_JOB_ID", "job/1"),
    ];
    let source = Buildkite::new(&variables(&pairs), &direct());
    gives(subject(&source).await);
    assert_eq!(
        answers.asked(),
        [r#"POST /v3/jobs/job%2F1/oidc/tokens authorization=Token t {"audience":"sigstore"}"#]
    );
    let nobody = Buildkite::new(&variables(&pairs[..1]), &direct());
    fails(subject(&nobody).await, ErrorKind::Unauthorized, "BUILDKITE_JOB_ID");
    assert!(!Buildkite::new(&variables(&[]), &direct()).is_present().await);
}

const IDENTITY: &str = "GET /computeMetadata/v1/instance/service-accounts/default/identity\
                        ?audience=sigstore&format=full";
const ACCESS: &str = "GET /computeMetadata/v1/instance/service-accounts/default/token";
const ACT_AS: &str = "POST /v1/projects/-/serviceAccounts/chains@p.iam:generateIdToken";

#[tokio::test]
async fn googles_metadata_server_gives_tokens_of_the_machine() {
    let answers = Answers::start(vec![(IDENTITY, 200, FLAVOR, token())]).await;
    let host = answers.address.trim_start_matches("http://").to_owned();
    let source = Google::new(&variables(&[("GCE_METADATA_HOST", &host)]), &direct());
    gives(subject(&source).await);
    assert_eq!(answers.asked(), [format!("{IDENTITY} metadata-flavor=Google ")]);
    let denied = Answers::start(vec![(IDENTITY, 403, FLAVOR, String::new())]).await;
    let other = Answers::start(vec![(IDENTITY, 200, None, token())]).await;
    for (answers, part) in [(denied, "403"), (other, "not a metadata server of Google")] {
        let host = answers.address.trim_start_matches("http://").to_owned();
        let source = Google::new(&variables(&[("GCE_METADATA_HOST", &host)]), &direct());
        fails(subject(&source).await, ErrorKind::Unauthorized, part);
    }
}

#[tokio::test]
async fn google_gives_tokens_of_an_account_to_act_as() {
    let answers = Answers::start(vec![
        (ACCESS, 200, FLAVOR, r#"{"access_token":"ya29","expires_in":3599}"#.to_owned()),
        (ACT_AS, 200, None, format!(r#"{{"token":"{}"}}"#, token())),
    ])
    .await;
    let host = answers.address.trim_start_matches("http://").to_owned();
    let pairs =
        [("GCE_METADATA_HOST", host.as_str()), ("GOOGLE_SERVICE_ACCOUNT_NAME", "chains@p.iam")];
    let source = Google::new(&variables(&pairs), &direct())
        .with_places(Path::new("/nowhere"), &answers.address);
    gives(subject(&source).await);
    assert_eq!(
        answers.asked(),
        [
            format!("{ACCESS} metadata-flavor=Google "),
            format!(
                r#"{ACT_AS} authorization=Bearer ya29 {{"audience":"sigstore","includeEmail":true}}"#
            ),
        ]
    );
}

#[tokio::test]
async fn machines_of_google_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("product_name");
    let check = async |content: Option<&str>, expect: bool| {
        if let Some(content) = content {
            std::fs::write(&path, content).expect("written");
        }
        let source = Google::new(&Variables::default(), &direct()).with_places(&path, "x");
        assert_eq!(source.is_present().await, expect, "{content:?}");
    };
    check(None, false).await;
    check(Some("Google Compute Engine\n"), true).await;
    check(Some("Google"), true).await;
    check(Some("Standard PC"), false).await;
}

#[tokio::test]
async fn the_environment_may_hold_a_token() {
    let source = |text: &str| Environment::new(&variables(&[("SIGSTORE_ID_TOKEN", text)]));
    gives(subject(&source(&token())).await);
    fails(subject(&source("secret")).await, ErrorKind::Unauthorized, "SIGSTORE_ID_TOKEN: reading");
    assert!(!source("").is_present().await);
    let none = source("").token("sigstore").await.map(|_| String::new());
    fails(none, ErrorKind::Unauthorized, "there is no SIGSTORE_ID_TOKEN");
}

#[tokio::test]
async fn the_first_source_with_a_token_that_fits_is_taken() {
    let first = |sources: Vec<Arc<dyn IdentitySource>>| FirstPresent::new(sources);
    let absent = || -> Arc<dyn IdentitySource> { Arc::new(Filesystem::new("/nowhere/token")) };
    let other = || -> Arc<dyn IdentitySource> { given(&token_text(r#""aud":"other""#)) };
    gives(subject(&first(vec![absent(), other(), given(&token()), other()])).await);
    let none = first(vec![absent(), absent()]);
    assert!(!none.is_present().await);
    let error = none.token("sigstore").await.map(|_| String::new());
    fails(error, ErrorKind::Unauthorized, "none is present of filesystem, filesystem");
    let part = r#"`given`: using an identity token: it is for the audience ["other"]"#;
    fails(subject(&first(vec![absent(), other()])).await, ErrorKind::Unauthorized, part);
}

#[tokio::test]
async fn the_configuration_names_sources() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    std::fs::write(&path, token()).expect("written");
    let check = async |provider, file: bool, name: &str| {
        let token_file = file.then(|| path.clone());
        let options = SourceOptions { provider, token_file, connection: direct() };
        let source = identity_source(&options, &Variables::default()).expect("a source");
        assert_eq!(source.name(), name);
        if file && name == "filesystem" {
            gives(subject(&*source).await);
        }
    };
    check(None, false, "any").await;
    check(None, true, "filesystem").await;
    check(Some(Provider::Filesystem), false, "filesystem").await;
    check(Some(Provider::Filesystem), true, "filesystem").await;
    check(Some(Provider::GitHub), true, "github").await;
    check(Some(Provider::Google), false, "google").await;
    check(Some(Provider::Buildkite), false, "buildkite").await;
    check(Some(Provider::Environment), false, "environment").await;
    let spiffe = SourceOptions { provider: Some(Provider::Spiffe), ..SourceOptions::default() };
    match identity_source(&spiffe, &Variables::default()) {
        Ok(source) if cfg!(feature = "spiffe") => assert_eq!(source.name(), "spiffe"),
        Err(error) if !cfg!(feature = "spiffe") => {
            assert_eq!(error.kind(), ErrorKind::Configuration, "{}", error.report());
        }
        found => panic!("{found:?}"),
    }
    assert_eq!(
        Provider::ALL.map(Provider::as_str),
        ["buildkite", "environment", "filesystem", "github", "google", "spiffe"]
    );
}

#[cfg(feature = "spiffe")]
#[tokio::test]
async fn an_agent_of_spiffe_that_is_not_there_is_told() {
    use chains_signer_fulcio::Spiffe;
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("agent.sock");
    let check = async |name: &str, present: bool, part: &str| {
        let source = Spiffe::new(&variables(&[("SPIFFE_ENDPOINT_SOCKET", name)]));
        assert_eq!(source.is_present().await, present, "{name}");
        let error = source.token("sigstore").await.map(|_| String::new());
        fails(error, ErrorKind::Unavailable, part);
    };
    let path = socket.to_str().expect("text");
    check(path, false, &format!("agent at unix://{path}")).await;
    check("http://agent", true, "scheme must be unix: or tcp:").await;
    std::fs::write(&socket, "").expect("written");
    check(&format!("unix://{path}"), true, "asking the SPIFFE agent").await;
}
