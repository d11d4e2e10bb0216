//! What becomes of credentials that are refused, or are none.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use google_cloud_auth::credentials::mds;

use super::*;

const ADVICE: &str = "give the pod's service account access";

fn want() -> Want {
    let limit = Duration::from_secs(20);
    Want { scope: "https://example.com/scope", advice: ADVICE, limit, may_be_final: false }
}

/// A metadata server that refuses once, with many words.
async fn metadata() -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let app = Router::new().fallback(move || {
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if first {
                return (StatusCode::FORBIDDEN, format!("no\u{7} rights{}", "!".repeat(9000)));
            }
            let token = r#"{"access_token":"good","expires_in":3600,"token_type":"Bearer"}"#;
            (StatusCode::OK, token.to_owned())
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Puts credentials of this server in the place of those that would be looked for.
fn put(tokens: &Tokens, address: &str) -> Arc<AccessTokenCredentials> {
    let builder = mds::Builder::default().with_endpoint(address);
    let found = Arc::new(builder.build_access_token_credentials().unwrap());
    *tokens.lock() = Some(Arc::clone(&found));
    found
}

fn is_kept(tokens: &Tokens, found: &Arc<AccessTokenCredentials>) -> bool {
    tokens.lock().as_ref().is_some_and(|kept| Arc::ptr_eq(kept, found))
}

#[tokio::test]
async fn who_was_refused_asks_again() {
    let address = metadata().await;
    let tokens = Tokens::new(&Variables::of_process(), want());
    let refused = put(&tokens, &address);
    let error = tokens.token().await.unwrap_err();
    let report = error.report();
    assert!(error.kind() == ErrorKind::Unauthorized && error.is_retryable(), "{report}");
    assert!(report.ends_with(ADVICE) && report.len() < 1000, "{report}");
    assert!(!report.contains('\u{7}'), "{report}");
    assert!(tokens.lock().is_none(), "the library would never ask again");
    let next = put(&tokens, &address);
    assert_eq!(tokens.token().await.unwrap().expose(), "good");
    let shown = tokens.shown().await.unwrap();
    assert_eq!(
        (&shown.headers[AUTHORIZATION], shown.token.expose()),
        (&"Bearer good".parse().unwrap(), "good")
    );
    assert!(!format!("{shown:?} {tokens:?}").contains("good"));
    assert!(is_kept(&tokens, &next));
    // Another one's failure is none of this one.
    tokens.forget(&refused);
    assert!(is_kept(&tokens, &next));
}

#[tokio::test]
async fn what_is_named_may_be_refused_for_good() {
    let address = metadata().await;
    let named = Variables::of([(FILE, "/credentials.json")]);
    let tokens = Tokens::new(&named, Want { may_be_final: true, advice: "", ..want() });
    put(&tokens, &address);
    let error = tokens.shown().await.unwrap_err();
    assert!(!error.is_retryable() && tokens.lock().is_none(), "{}", error.report());
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let limit = Duration::from_millis(50);
    let tokens = Tokens::new(&Variables::of_process(), Want { limit, ..want() });
    let found = put(&tokens, &address);
    let error = tokens.token().await.unwrap_err();
    let words = format!("{WHAT}: no answer within 50ms: {ADVICE}");
    assert_eq!((error.kind(), error.report()), (ErrorKind::Timeout, words));
    assert!(is_kept(&tokens, &found));
}

#[tokio::test]
async fn credentials_that_are_none_are_told_without_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let file = path.to_str().unwrap();
    let check = async |variables: Variables, part: &str| {
        let error = Tokens::new(&variables, want()).token().await.unwrap_err();
        let report = error.report();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{report}");
        assert!(report.contains(part) && report.ends_with(ADVICE), "{report}");
        assert!(!report.contains("hunter2"), "{report}");
    };
    check(Variables::of::<&str, &str>([]), "GOOGLE_APPLICATION_CREDENTIALS is not set").await;
    check(Variables::of([(FILE, file)]), "key.json: No such file").await;
    for (content, part) in [
        ("{\"private_key\": hunter2}", "key.json is not JSON"),
        ("{\"type\": \"hunter2\"}", "key.json has credentials of another kind"),
        ("{\"type\": \"service_account\"}", "looking for credentials"),
    ] {
        std::fs::write(&path, content).unwrap();
        check(Variables::of([(FILE, file)]), part).await;
    }
}

#[tokio::test]
async fn the_domain_is_the_one_of_the_variables_first() {
    let variables = Variables::of([(UNIVERSE, "example.com")]);
    assert_eq!(Tokens::new(&variables, want()).domain().await.unwrap(), "example.com");
    let none = Tokens::new(&Variables::of::<&str, &str>([]), want());
    assert_eq!(none.domain().await.unwrap_err().kind(), ErrorKind::Configuration);
}
