//! Which credential is found for which repository.

use std::io::Write as _;
use std::path::Path;

use super::*;

fn keyring(auths: serde_json::Value) -> Keyring {
    let json = serde_json::json!({ "auths": auths }).to_string();
    Keyring::from_docker_config_json(json.as_bytes()).expect("a keyring")
}

/// Names of the users whose credentials are found, best first.
async fn users(keyring: &Keyring, registry: &str, repository: &str) -> Result<Vec<String>, String> {
    let found = keyring.lookup(registry, repository).await.map_err(|e| e.report())?;
    let first = keyring.credential(None, registry, repository).await.map_err(|e| e.report())?;
    assert_eq!(found.first(), first.as_ref());
    let name = |credential| match credential {
        RegistryCredential::Basic { username, .. } => username,
        RegistryCredential::IdentityToken(token) => format!("identity {}", token.expose()),
        RegistryCredential::Bearer(token) => format!("bearer {}", token.expose()),
    };
    Ok(found.into_iter().map(name).collect())
}

/// A keyring with an entry for each key, whose user is called like the key.
async fn check(keys: &[&str], image: &str, expect: &[&str]) {
    let auths = keys
        .iter()
        .map(|key| ((*key).to_owned(), serde_json::json!({"username": key, "password": "p"})));
    let keyring = keyring(serde_json::Value::Object(auths.collect()));
    let (registry, repository) = image.split_once('/').expect("a registry");
    let expect: Vec<String> = expect.iter().map(|key| (*key).to_owned()).collect();
    assert_eq!(users(&keyring, registry, repository).await, Ok(expect), "{keys:?} for {image}");
}

#[tokio::test]
async fn hosts_match_part_by_part() {
    check(&["a.example.com"], "a.example.com/app", &["a.example.com"]).await;
    check(&["A.Example.com"], "a.example.COM/app", &["A.Example.com"]).await;
    check(&["a.example.com"], "b.example.com/app", &[]).await;
    check(&["example.com"], "a.example.com/app", &[]).await;
    check(&["a.example.com"], "a.example.com.evil.org/app", &[]).await;
    check(&["*.example.com"], "a.example.com/app", &["*.example.com"]).await;
    check(&["*.example.com"], "example.com/app", &[]).await;
    check(&["*.example.com"], "a.b.example.com/app", &[]).await;
    check(&["*.*.example.com"], "a.b.example.com/app", &["*.*.example.com"]).await;
    check(&["prefix*.io"], "prefix-1.io/app", &["prefix*.io"]).await;
    check(&["*-good.io"], "a-good-good.io/app", &["*-good.io"]).await;
    check(&["*-good.io"], "a-good.io.evil/app", &[]).await;
    check(&["registry.*.io/path"], "registry.x.io/path/app", &["registry.*.io/path"]).await;
    check(&["registry-?.io"], "registry-1.io/app", &["registry-?.io"]).await;
    check(&["registry-?.io"], "registry-12.io/app", &[]).await;
    check(&["*"], "localhost/app", &["*"]).await;
    check(&["*"], "gcr.io/app", &[]).await;
    check(&["**.io"], "gcr.io/app", &["**.io"]).await;
}

#[tokio::test]
async fn ports_must_be_the_same() {
    check(&["a.io:5000"], "a.io:5000/app", &["a.io:5000"]).await;
    check(&["a.io"], "a.io:5000/app", &[]).await;
    check(&["a.io:5000"], "a.io/app", &[]).await;
    check(&["a.io:*"], "a.io:5000/app", &[]).await;
    check(&["[::1]:5000"], "[::1]:5000/app", &["[::1]:5000"]).await;
    check(&["[::1]"], "[::1]:5000/app", &[]).await;
}

#[tokio::test]
async fn the_longest_path_comes_first() {
    let keys = ["gcr.io", "gcr.io/team", "gcr.io/team/app", "gcr.io/other", "*.io/team"];
    check(&keys, "gcr.io/team/app", &["gcr.io/team/app", "gcr.io/team", "*.io/team", "gcr.io"])
        .await;
    check(
        &keys,
        "gcr.io/team/app/part",
        &["gcr.io/team/app", "gcr.io/team", "*.io/team", "gcr.io"],
    )
    .await;
    check(&keys, "gcr.io/app", &["gcr.io"]).await;
    check(&["gcr.io/team/"], "gcr.io/team/app", &["gcr.io/team/"]).await;
    // Kubernetes does not mind where a segment ends; those that end with one are better all the same.
    check(&["gcr.io/team/ap", "gcr.io"], "gcr.io/team/app", &["gcr.io", "gcr.io/team/ap"]).await;
    check(&["gcr.io/Team"], "gcr.io/team", &[]).await;
}

#[tokio::test]
async fn keys_may_be_addresses() {
    check(&["https://gcr.io"], "gcr.io/app", &["https://gcr.io"]).await;
    check(&["http://gcr.io/"], "gcr.io/app", &["http://gcr.io/"]).await;
    check(&["https://gcr.io/v2/"], "gcr.io/app", &["https://gcr.io/v2/"]).await;
    check(&["gcr.io/v1/team"], "gcr.io/team/app", &["gcr.io/v1/team"]).await;
    check(&["gcr.io/v1beta"], "gcr.io/v1beta/app", &["gcr.io/v1beta"]).await;
    for hub in
        ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io", "index.docker.io"]
    {
        check(&[hub], "index.docker.io/library/alpine", &[hub]).await;
        check(&[hub], "docker.io/library/alpine", &[hub]).await;
        check(&[hub], "docker.io.evil.org/library/alpine", &[]).await;
    }
    check(&["docker.io/team"], "index.docker.io/team/app", &["docker.io/team"]).await;
}

#[tokio::test]
async fn odd_keys_are_for_nobody() {
    let odd =
        ["", "/", "https://", "user@gcr.io", "gcr.io\\x", "gcr .io", "gcr.io#", ":5000", "gcr.io:"];
    check(&odd, "gcr.io/app", &[]).await;
    check(&["[*].io", "g[a-z]r.io"], "gcr.io/app", &[]).await;
    let stars = "*a".repeat(50) + ".io";
    check(&[&stars], &format!("{}.io/app", "a".repeat(200)), &[&stars]).await;
    check(&[&stars], &format!("{}b.io/app", "a".repeat(200)), &[]).await;
}

#[tokio::test]
async fn entries_come_in_many_forms() {
    let check = async |entry: serde_json::Value, expect: Result<&[&str], &str>| {
        let ring = keyring(serde_json::json!({"gcr.io": entry.clone()}));
        let expect = expect.map(|users| users.iter().map(|u| (*u).to_owned()).collect());
        let found = users(&ring, "gcr.io", "app").await;
        let told = |why| format!("reading the registry credential for \"gcr.io\": {why}");
        assert_eq!(found, expect.map_err(told), "{entry}");
    };
    let json = |json: &str| serde_json::from_str::<serde_json::Value>(json).expect("JSON");
    check(json(r#"{"auth": "dTpw"}"#), Ok(&["u"])).await;
    check(json(r#"{"auth": "dXM6cA=="}"#), Ok(&["us"])).await;
    check(json(r#"{"auth": "dXM6cA"}"#), Ok(&["us"])).await;
    check(json(r#"{"auth": "dTpwAAAA", "email": "a@example.com"}"#), Ok(&["u"])).await;
    check(json(r#"{"auth": "dTpw", "username": "other", "password": "x"}"#), Ok(&["u"])).await;
    check(json(r#"{"auth": "PHRva2VuPjp0"}"#), Ok(&["identity t"])).await;
    check(json(r#"{"auth": "dTpw", "identitytoken": "i"}"#), Ok(&["identity i"])).await;
    check(json(r#"{"registrytoken": "r", "identitytoken": "i"}"#), Ok(&["bearer r"])).await;
    check(json(r#"{"username": "u", "password": "p"}"#), Ok(&["u"])).await;
    check(json(r"{}"), Ok(&[])).await;
    check(json("null"), Ok(&[])).await;
    check(json(r#"{"auth": ""}"#), Ok(&[])).await;
    check(
        json(r#"{"username": "u"}"#),
        Err("there is a user without password, or a password without user"),
    )
    .await;
    check(json(r#"{"auth": "!"}"#), Err("`auth` is not base64")).await;
    check(json(r#"{"auth": "dQ=="}"#), Err("`auth` holds no colon between user and password"))
        .await;
    check(json(r#"{"auth": "OnA="}"#), Err("`auth` holds an empty user or password")).await;
    check(json(r#"{"auth": "/////w=="}"#), Err("`auth` does not hold text")).await;
    let object = "the entry is not an object whose values are strings";
    check(json(r#"{"password": 7}"#), Err(object)).await;
    check(json(r#""sesame""#), Err(object)).await;
}

#[tokio::test]
async fn one_bad_entry_is_an_error_only_for_its_images() {
    let auths = serde_json::json!({
        "gcr.io/team": {"auth": "!"},
        "gcr.io": {"auth": "dTpw"},
        "bad.io": {"auth": "!"},
    });
    let ring = keyring(auths);
    assert_eq!(users(&ring, "gcr.io", "team/app").await, Ok(vec!["u".to_owned()]));
    assert!(users(&ring, "bad.io", "app").await.is_err());
    assert_eq!(users(&ring, "quay.io", "app").await, Ok(Vec::new()));
}

#[tokio::test]
async fn keyrings_are_merged_in_order() {
    let entry = |user: &str| serde_json::json!({"username": user, "password": "p"});
    let mut ring = keyring(serde_json::json!({"gcr.io": entry("first")}));
    let json = serde_json::json!({"gcr.io": entry("second"), "gcr.io/team": entry("third")});
    ring.merge(Keyring::from_dockercfg(json.to_string().as_bytes()).expect("a keyring"));
    let expect = ["third", "first", "second"].map(str::to_owned).to_vec();
    assert_eq!(users(&ring, "gcr.io", "team/app").await, Ok(expect));
}

#[test]
fn what_is_no_configuration_is_told_without_secrets() {
    let check = |json: &[u8], expect: &str| {
        let error = Keyring::from_docker_config_json(json).expect_err("no keyring").report();
        assert_eq!(error, format!("reading a docker configuration as JSON: {expect}"));
    };
    check(b"", "Eof error at line 1, column 0");
    check(b"\xff", "Syntax error at line 1, column 1");
    check(br#"{"auths": "sesame"}"#, "Data error at line 1, column 18");
    check(br#"{"credsStore": 7}"#, "Data error at line 1, column 16");
    check(b"[]", "Data error at line 1, column 2");
    Keyring::from_docker_config_json(b"{}").expect("an empty keyring");
    Keyring::from_docker_config_json(br#"{"auths": null, "HttpHeaders": {}}"#)
        .expect("another one");
}

#[test]
fn debugging_shows_no_secret() {
    let ring = keyring(serde_json::json!({"gcr.io": {"username": "u", "password": "sesame"}}));
    assert!(!format!("{ring:?}").contains("sesame"));
}

fn helped(json: &str) -> Keyring {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(json.as_bytes()).expect("written");
    let mut ring = Keyring::from_docker_config_file(file.path()).expect("a keyring");
    let source = ring.sources.first_mut().and_then(Arc::get_mut).expect("one source");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helpers");
    source.helpers_mut().for_each(|helper| helper.run_from(&folder));
    ring
}

#[tokio::test]
async fn helpers_are_asked_by_the_name_of_the_registry() {
    let check = async |registry: &str, expect: Result<&[&str], &str>| {
        let ring = helped(r#"{"credsStore": "test"}"#);
        let expect = expect.map(|users| users.iter().map(|u| (*u).to_owned()).collect());
        let found = users(&ring, registry, "app").await;
        let told = |why| format!("asking the credential helper docker-credential-test: {why}");
        assert_eq!(found, expect.map_err(told), "{registry}");
    };
    check("good.example.com", Ok(&["helped"])).await;
    check("token.example.com", Ok(&["identity identity"])).await;
    check("index.docker.io", Ok(&["hub"])).await;
    check("none.example.com", Ok(&[])).await;
    check("empty.example.com", Ok(&[])).await;
    check("broken.example.com", Err("it failed: \"the store is locked\"")).await;
    check("garbage.example.com", Err("its answer is not of the protocol")).await;
    check("binary.example.com", Err("its answer is not text")).await;
    check("unknown.example.com", Err("it failed: \"\"")).await;
    check("slow.example.com", Err("no answer in 5s")).await;
    let endless = format!("it failed: {:?}", "y\n".repeat(100));
    check("endless.example.com", Err(&endless)).await;
}

#[tokio::test]
async fn helpers_come_before_entries_for_the_host_and_after_those_for_a_path() {
    let json = r#"{
        "auths": {
            "good.example.com": {"username": "host", "password": "p"},
            "good.example.com/team": {"username": "path", "password": "p"},
            "none.example.com": {"username": "entry", "password": "p"},
            "broken.example.com": {"username": "entry", "password": "p"}
        },
        "credHelpers": {"good.example.com": "test", "*.example.com": "test"}
    }"#;
    let check = async |registry: &str, repository: &str, expect: &[&str]| {
        let expect = expect.iter().map(|u| (*u).to_owned()).collect();
        assert_eq!(users(&helped(json), registry, repository).await, Ok(expect), "{registry}");
    };
    check("good.example.com", "app", &["helped", "host"]).await;
    check("good.example.com", "team/app", &["path", "helped", "host"]).await;
    check("none.example.com", "app", &["entry"]).await;
    check("broken.example.com", "app", &["entry"]).await;
    check("gcr.io", "app", &[]).await;
}

#[tokio::test]
async fn helpers_that_cannot_be_run_are_told() {
    let check = async |name: &str, expect: &str| {
        let json = serde_json::json!({ "credsStore": name }).to_string();
        let error = users(&helped(&json), "gcr.io", "app").await.expect_err("no helper");
        assert!(error.contains(expect), "{error}");
    };
    check("absent", "docker-credential-absent: No such file").await;
    check("../../bin/sh", "its name is not the name of a program").await;
}

/// A Secret in a cluster must not start programs.
#[tokio::test]
async fn helpers_of_secrets_are_not_run() {
    let json = br#"{"credsStore": "test", "credHelpers": {"good.example.com": "test"}}"#;
    let ring = Keyring::from_docker_config_json(json).expect("a keyring");
    assert_eq!(users(&ring, "good.example.com", "app").await, Ok(Vec::new()));
}

#[tokio::test]
async fn an_answer_is_good_for_a_while() {
    let ring = helped(r#"{"credsStore": "test"}"#);
    // The user is called like the process that answers.
    let (one, two) = tokio::join!(
        ring.credential(None, "process.example.com", "a"),
        ring.credential(None, "process.example.com", "b"),
    );
    let (one, two) = (one.expect("an answer"), two.expect("an answer"));
    assert!(one.is_some());
    assert_eq!(one, two);
}

#[test]
fn files_are_looked_for_where_docker_and_podman_have_them() {
    let check = |set: &[(&str, &str)], expect: &[&str]| {
        let env = |name: &str| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        let expect: Vec<_> = expect.iter().map(PathBuf::from).collect();
        assert_eq!(env_files(&env), expect, "{set:?}");
    };
    check(&[], &[]);
    check(&[("HOME", "/h")], &["/h/.docker/config.json", "/h/.config/containers/auth.json"]);
    check(
        &[
            ("HOME", "/h"),
            ("DOCKER_CONFIG", "/d"),
            ("REGISTRY_AUTH_FILE", "/r/auth"),
            ("XDG_RUNTIME_DIR", "/run/1"),
            ("XDG_CONFIG_HOME", "/c"),
        ],
        &["/d/config.json", "/r/auth", "/run/1/containers/auth.json", "/c/containers/auth.json"],
    );
    check(&[("HOME", ""), ("DOCKER_CONFIG", "")], &[]);
}
