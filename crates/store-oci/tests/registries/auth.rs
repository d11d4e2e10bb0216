//! Who sees which credential, and what is made of refusals.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::Method;
use chains_core::{ErrorKind, RegistryCredential, Secret, Store as _};
use chains_store_oci::OciOptions;

use crate::support::{
    Act, Image, Registry, Seen, anonymous, basic, options, push_image, reply, signature, store,
};

const PASSWORD: &str = "dXNlcjpzZXNhbWU=";

fn named(registries: &[&Registry]) -> OciOptions {
    OciOptions { insecure_hosts: registries.iter().map(|r| r.host()).collect(), ..options() }
}

fn shown(seen: &[Seen]) -> Vec<&str> {
    seen.iter().filter_map(Seen::authorization).collect()
}

/// A registry that asks for a password.
async fn with_password() -> (Registry, Image) {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    registry.switch(|seen| match seen.authorization() {
        Some(value) if value == format!("Basic {PASSWORD}") => Act::Pass,
        _ => reply(401, &[("www-authenticate", "Basic realm=\"registry\"")], ""),
    });
    (registry, image)
}

/// A registry that asks for tokens, which `endpoint` issues.
async fn with_tokens(endpoint: &Registry) -> (Registry, Image) {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let challenge =
        format!("Bearer realm=\"http://{}/token\",service=\"the registry\"", endpoint.host());
    registry.switch(move |seen| match seen.authorization() {
        Some("Bearer good") => Act::Pass,
        _ => reply(401, &[("www-authenticate", &challenge)], ""),
    });
    (registry, image)
}

/// An endpoint that gives good tokens to those who show this.
async fn endpoint(expect: &'static str) -> Registry {
    let endpoint = Registry::start().await;
    endpoint.switch(move |seen| {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        match seen.authorization().unwrap_or(&body) {
            got if got == expect => reply(200, &[], r#"{"token":"good","expires_in":300}"#),
            got => reply(401, &[], format!("no: {got}")),
        }
    });
    endpoint
}

async fn check_error(
    options: OciOptions,
    credential: Option<RegistryCredential>,
    image: &Image,
    expect: (ErrorKind, &str),
) {
    let error = store(options, credential).put(&signature("build", image)).await.unwrap_err();
    assert_eq!(error.kind(), expect.0, "{}", error.report());
    assert!(error.report().contains(expect.1), "{}", error.report());
    assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
}

#[tokio::test]
async fn a_password_is_shown_when_asked_for() {
    let (registry, image) = with_password().await;
    let store = store(named(&[&registry]), Some(basic("user", "sesame")));
    store.put(&signature("build", &image)).await.unwrap_or_else(|e| panic!("{}", e.report()));
    let seen = registry.take_seen();
    let asked = seen.iter().filter(|seen| seen.authorization().is_none()).count();
    assert!(asked <= 3, "the challenge is remembered: {asked}");
}

#[tokio::test]
async fn refusals_say_what_is_wrong() {
    let (registry, image) = with_password().await;
    let named = named(&[&registry]);
    let check = check_error;
    let none = "it asks for user and password, and no credential was found";
    check(named.clone(), None, &image, (ErrorKind::Unauthorized, none)).await;
    let wrong = "it refuses the credential that was found for the repository";
    check(named.clone(), Some(basic("user", "wrong")), &image, (ErrorKind::Unauthorized, wrong))
        .await;
    let token = Some(RegistryCredential::IdentityToken(Secret::new("t")));
    let kind = "it asks for user and password, and there is an identity token";
    check(named, token, &image, (ErrorKind::Unauthorized, kind)).await;
}

#[tokio::test]
async fn a_password_does_not_go_over_plain_http_to_hosts_that_are_not_named() {
    let (registry, image) = with_password().await;
    let insecure = OciOptions { insecure: true, ..options() };
    for options in [options(), insecure] {
        let expect = "over plain HTTP: name 127.0.0.1:";
        let credential = Some(basic("user", "sesame"));
        check_error(options, credential, &image, (ErrorKind::Unauthorized, expect)).await;
    }
    assert_eq!(shown(&registry.take_seen()), Vec::<&str>::new());
    // `insecure` names the repository that records go to.
    let repository = format!("{}/signatures", registry.host()).parse().ok();
    let options = OciOptions { insecure: true, repository, ..options() };
    let store = store(options, Some(basic("user", "sesame")));
    store.put(&signature("build", &image)).await.unwrap_or_else(|e| panic!("{}", e.report()));
}

#[tokio::test]
async fn a_password_is_exchanged_for_a_token() {
    let endpoint = endpoint("Basic dXNlcjpzZXNhbWU=").await;
    let (registry, image) = with_tokens(&endpoint).await;
    let store = store(named(&[&registry, &endpoint]), Some(basic("user", "sesame")));
    store.put(&signature("build", &image)).await.unwrap_or_else(|e| panic!("{}", e.report()));
    store.put(&signature("build", &image)).await.unwrap_or_else(|e| panic!("{}", e.report()));
    let asked: Vec<_> = endpoint.take_seen().into_iter().filter(|s| s.path != "/v2/").collect();
    let paths: Vec<_> = asked.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["/token?service=the+registry&scope=repository%3Aapp%3Apull%2Cpush"]);
    assert!(shown(&registry.take_seen()).iter().all(|value| *value == "Bearer good"));
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_a_form() {
    let form = "grant_type=refresh_token&client_id=chains&scope=repository%3Aapp%3Apull%2Cpush\
                &refresh_token=the+identity&service=the+registry";
    let endpoint = endpoint(form).await;
    let (registry, image) = with_tokens(&endpoint).await;
    let token = RegistryCredential::IdentityToken(Secret::new("the identity"));
    let store = store(named(&[&registry, &endpoint]), Some(token));
    store.put(&signature("build", &image)).await.unwrap_or_else(|e| panic!("{}", e.report()));
    assert!(shown(&endpoint.take_seen()).is_empty());
}

#[tokio::test]
async fn a_bearer_token_is_sent_as_it_is() {
    let endpoint = endpoint("nobody").await;
    let (registry, image) = with_tokens(&endpoint).await;
    let token = RegistryCredential::Bearer(Secret::new("good"));
    let store = store(named(&[&registry]), Some(token));
    store.put(&signature("build", &image)).await.unwrap_or_else(|e| panic!("{}", e.report()));
    assert!(endpoint.take_seen().is_empty());
}

#[tokio::test]
async fn nobody_gets_tokens_too() {
    let endpoint = endpoint("").await;
    let (registry, image) = with_tokens(&endpoint).await;
    let store = store(named(&[&endpoint]), None);
    store.put(&signature("build", &image)).await.unwrap_or_else(|e| panic!("{}", e.report()));
    assert!(!registry.take_seen().is_empty());
}

#[tokio::test]
async fn a_token_that_ends_early_is_renewed() {
    let endpoint = endpoint("").await;
    let (registry, image) = with_tokens(&endpoint).await;
    let challenge = format!("Bearer realm=\"http://{}/token\"", endpoint.host());
    let requests = AtomicUsize::new(0);
    registry.switch(move |seen| {
        let ended = requests.fetch_add(1, Ordering::Relaxed) % 5 == 4;
        match seen.authorization() {
            Some("Bearer good") if !ended => Act::Pass,
            _ => reply(401, &[("www-authenticate", &challenge)], ""),
        }
    });
    let store = store(named(&[&endpoint]), None);
    store.put(&signature("build", &image)).await.unwrap_or_else(|e| panic!("{}", e.report()));
}

#[tokio::test]
async fn a_failing_token_endpoint_is_an_error() {
    let check = async |answer: (u16, &'static str), expect: (ErrorKind, &str)| {
        let endpoint = Registry::start().await;
        let (registry, image) = with_tokens(&endpoint).await;
        endpoint.switch(move |_| reply(answer.0, &[("retry-after", "3600")], answer.1));
        let options = named(&[&registry, &endpoint]);
        check_error(options, Some(basic("user", "sesame")), &image, expect).await;
        assert!(shown(&registry.take_seen()).is_empty());
    };
    check((500, "boom"), (ErrorKind::Unavailable, "it answered 500 Internal Server Error")).await;
    check((403, ""), (ErrorKind::Unauthorized, "it answered 403 Forbidden")).await;
    check((404, ""), (ErrorKind::Unauthorized, "it answered 404 Not Found")).await;
    check((302, ""), (ErrorKind::Protocol, "it answered 302 Found")).await;
    check((429, ""), (ErrorKind::Throttled, "asks to wait 3600s")).await;
    check((200, "{}"), (ErrorKind::Protocol, "its answer holds no token")).await;
    check((200, "\"sesame\""), (ErrorKind::Protocol, "its answer is not of the protocol")).await;
    check(
        (200, "{\"token\":\"a\\nb\"}"),
        (ErrorKind::Unauthorized, "characters that no token has"),
    )
    .await;
    let long = Box::leak(" ".repeat(100_000).into_boxed_str());
    check((200, long), (ErrorKind::TooLarge, "more than 65536 bytes")).await;
}

#[tokio::test]
async fn tokens_are_not_fetched_from_anywhere() {
    let check = async |realm: &'static str, expect: &str| {
        let registry = Registry::start().await;
        let image = push_image(&registry, "app", "a").await;
        let challenge = format!("Bearer realm=\"{realm}\"");
        registry.switch(move |_| reply(401, &[("www-authenticate", &challenge)], ""));
        for credential in [None, Some(basic("user", "sesame"))] {
            let options = named(&[&registry]);
            check_error(options, credential, &image, (ErrorKind::Unauthorized, expect)).await;
        }
    };
    check("http://auth.example.com/token", "auth.example.com is to be reached over plain HTTP")
        .await;
    check("http://169.254.169.254/token", "is to be reached over plain HTTP").await;
    check("https://169.254.169.254/token", "169.254.169.254 is an internal address").await;
    check("https://[fd00:ec2::254]/token", "[fd00:ec2::254] is an internal address").await;
    check("https://[::ffff:10.0.0.1]/token", "is an internal address").await;
    check("https://2130706433/token", "127.0.0.1 is an internal address").await;
    check("https://localhost/token", "localhost is an internal address").await;
    check("file:///etc/passwd", "is to be spoken to by \"file\"").await;
}

#[tokio::test]
async fn a_credential_does_not_follow_a_redirect() {
    let other = Registry::start().await;
    let (registry, image) = with_password().await;
    let stored = store(named(&[&registry]), Some(basic("user", "sesame")));
    stored.put(&signature("build", &image)).await.expect("stored");
    let layer = registry.manifest("app", &image.tag("sig")).await["layers"][0].clone();
    let content = registry.blob("app", layer["digest"].as_str().expect("a digest")).await;

    let target = format!("http://{}/elsewhere", other.host());
    registry.switch(move |seen| match seen.authorization() {
        Some(_) if seen.path.contains("/blobs/sha256") => reply(307, &[("location", &target)], ""),
        Some(_) => Act::Pass,
        None => reply(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
    });
    other.switch(move |_| reply(200, &[], content.clone()));
    let reader = store(named(&[&registry, &other]), Some(basic("user", "sesame")));
    assert_eq!(reader.signatures(&image.digest).await.expect("signatures").found.len(), 1);
    let seen = other.take_seen();
    assert!(seen.iter().any(|seen| seen.path == "/elsewhere"));
    assert_eq!(shown(&seen), Vec::<&str>::new());
}

#[tokio::test]
async fn an_upload_goes_elsewhere_without_credential() {
    let other = Registry::start().await;
    let (registry, image) = with_password().await;
    let target = format!("http://{}/upload?part=1", other.host());
    registry.switch(move |seen| match seen.authorization() {
        Some(_) if seen.is(&Method::POST, "/uploads/") => reply(202, &[("location", &target)], ""),
        Some(_) if seen.is(&Method::PUT, "/manifests/") => reply(201, &[], ""),
        Some(_) => Act::Pass,
        None => reply(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
    });
    other.switch(|_| reply(201, &[], ""));
    let options = OciOptions { settle: std::time::Duration::ZERO, ..named(&[&registry, &other]) };
    let error = store(options, Some(basic("user", "sesame")))
        .put(&signature("build", &image))
        .await
        .expect_err("nothing was written");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let seen = other.take_seen();
    assert!(seen.iter().any(|seen| seen.path.starts_with("/upload?part=1&digest=sha256%3A")));
    assert_eq!(shown(&seen), Vec::<&str>::new());
}

/// Two credentials for one registry do not get mixed up.
#[tokio::test]
async fn each_run_shows_its_own_credential() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let seen_by = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen_by);
    registry.switch(move |seen| match seen.authorization() {
        Some("Basic YTpi") => Act::Pass,
        Some(_) => {
            counted.fetch_add(1, Ordering::Relaxed);
            reply(403, &[], "")
        }
        None => reply(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
    });
    let named = named(&[&registry]);
    let (good, bad) =
        (store(named.clone(), Some(basic("a", "b"))), store(named, Some(basic("c", "d"))));
    good.put(&signature("build", &image)).await.expect("stored");
    let error = bad.put(&signature("build", &image)).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    good.put(&signature("build", &image)).await.expect("stored");
    assert_eq!(seen_by.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn nothing_is_shown_to_a_registry_that_does_not_ask() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let stored = store(named(&[&registry]), Some(basic("user", "sesame")));
    stored.put(&signature("build", &image)).await.expect("stored");
    anonymous().put(&signature("build", &image)).await.expect("stored");
    assert_eq!(shown(&registry.take_seen()), Vec::<&str>::new());
}
