//! A ServiceAccount's registry credentials: which Secrets count, and what is in them.

use chains_cluster::SecretRef;
use chains_core::{Error, ErrorKind, RegistryCredential, RegistryCredentials as _, Result};
use chains_store_oci::Keyring;
use futures_util::stream::{self, StreamExt as _};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{Api, Client};

/// Types of Secrets that hold registry credentials, and the entry that has them.
const JSON_TYPE: &str = "kubernetes.io/dockerconfigjson";
const JSON_ENTRY: &str = ".dockerconfigjson";
const LEGACY_TYPE: &str = "kubernetes.io/dockercfg";
const LEGACY_ENTRY: &str = ".dockercfg";
/// How many Secrets of one account are read: nobody needs more, and anybody could list more.
const MOST_SECRETS: usize = 64;
/// How many of them at once.
const AT_ONCE: usize = 8;
/// The account of pods that name none.
pub(super) const DEFAULT: &str = "default";

/// What was found for one ServiceAccount.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Of the Secrets in `secrets`: for whoever pushes.
    pub(super) mounted: Keyring,
    /// Of those in `imagePullSecrets`: often good for reading only, and so they come second however well they fit.
    pub(super) pull: Keyring,
    /// What could not be read.
    pub(super) faults: Vec<Fault>,
}

/// An error that can be told more than once.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    kind: ErrorKind,
    retryable: bool,
    report: String,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { kind: error.kind(), retryable: error.is_retryable(), report: error.report() }
    }
}

impl From<&Fault> for Error {
    fn from(fault: &Fault) -> Self {
        Self::new(fault.kind, &fault.report).with_retryable(fault.retryable)
    }
}

impl Account {
    /// The credential for the repository. What could not be read is an error only where nothing else fits: then
    /// anonymous access would hide it.
    pub(super) async fn credential(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Option<RegistryCredential>> {
        let mut fault = None;
        for keyring in [&self.mounted, &self.pull] {
            match keyring.credential(None, registry, repository).await {
                Ok(Some(credential)) => return Ok(Some(credential)),
                Ok(None) => {}
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        fault.or_else(|| self.faults.first().map(Error::from)).map_or(Ok(None), Err)
    }

    fn add(&mut self, list: List, keyring: Keyring) {
        match list {
            List::Mounted => self.mounted.merge(keyring),
            List::Pull => self.pull.merge(keyring),
        }
    }
}

/// Reads the account and its Secrets. What is not there is passed over, as the reference does.
pub(super) async fn read(client: &Client, namespace: &str, name: &str) -> Account {
    let mut account = Account::default();
    if !can_be_named(namespace, name) {
        tracing::warn!(namespace, name, "no ServiceAccount can have this name");
        return account;
    }
    let found = match service_account(client, namespace, name).await {
        Ok(found) => found,
        Err(error) => {
            account.faults.push(error.into());
            return account;
        }
    };
    let Some(found) = found else {
        // In namespaces that are about to go, `default` is gone before its runs.
        if name == DEFAULT {
            tracing::debug!(namespace, name, "the ServiceAccount is not there");
        } else {
            tracing::warn!(namespace, name, "the ServiceAccount is not there");
        }
        return account;
    };
    let names = secrets_of(&found);
    let read = names
        .into_iter()
        .map(|(list, name)| async move { (list, keyring(client, namespace, &name).await) });
    let mut all = stream::iter(read).buffered(AT_ONCE);
    while let Some((list, keyring)) = all.next().await {
        match keyring {
            Ok(Some(keyring)) => account.add(list, keyring),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(namespace, error = %error.report(), "registry credentials are passed over");
                account.faults.push(error.into());
            }
        }
    }
    account
}

/// Which list of the account names a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Mounted,
    Pull,
}

/// The Secrets that the account names, each once, in their order.
fn secrets_of(account: &ServiceAccount) -> Vec<(List, String)> {
    let mounted = account.secrets.iter().flatten().filter_map(|secret| secret.name.clone());
    let pull = account.image_pull_secrets.iter().flatten().map(|secret| secret.name.clone());
    let mounted = mounted.map(|name| (List::Mounted, name));
    let mut names: Vec<(List, String)> = Vec::new();
    for (list, name) in mounted.chain(pull.map(|name| (List::Pull, name))) {
        if names.len() == MOST_SECRETS {
            tracing::warn!(most = MOST_SECRETS, "a ServiceAccount has more Secrets than are read");
            break;
        }
        if !name.is_empty() && !names.iter().any(|(_, known)| *known == name) {
            names.push((list, name));
        }
    }
    names
}

async fn service_account(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<ServiceAccount>> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let what = || format!("reading the ServiceAccount {namespace}/{name} for registry credentials");
    api.get_opt(name).await.map_err(|error| refused(what(), "serviceaccounts", namespace, error))
}

/// The credentials in a Secret; `None` where it is not there or holds other things.
async fn keyring(client: &Client, namespace: &str, name: &str) -> Result<Option<Keyring>> {
    if !can_be_named(namespace, name) {
        tracing::warn!(namespace, name, "no Secret can have this name");
        return Ok(None);
    }
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let what = || format!("reading the Secret {namespace}/{name} for registry credentials");
    let found =
        api.get_opt(name).await.map_err(|error| refused(what(), "secrets", namespace, error))?;
    let Some(secret) = found else {
        tracing::warn!(namespace, name, "a Secret that a ServiceAccount names is not there");
        return Ok(None);
    };
    match keyring_of(&secret) {
        Ok(keyring) => Ok(keyring),
        Err(error) => Err(Error::new(ErrorKind::Unauthorized, what()).with_source(error)),
    }
}

/// The credentials in a Secret of a type for them; `None` for other types and where the entry is empty.
fn keyring_of(secret: &Secret) -> Result<Option<Keyring>> {
    let entry = |name: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(name));
        bytes.map(|bytes| bytes.0.as_slice()).filter(|bytes| !bytes.is_empty())
    };
    match secret.type_.as_deref() {
        Some(JSON_TYPE) => entry(JSON_ENTRY).map(Keyring::from_docker_config_json).transpose(),
        Some(LEGACY_TYPE) => entry(LEGACY_ENTRY).map(Keyring::from_dockercfg).transpose(),
        _ => Ok(None),
    }
}

/// The API server's answer. Rights are given without anybody touching the run, so that another attempt may succeed.
fn refused(what: String, resource: &str, namespace: &str, error: kube::Error) -> Error {
    let forbidden = matches!(&error, kube::Error::Api(status) if status.code == 403);
    if !forbidden {
        return chains_cluster::error(what, error);
    }
    let right = format!("the right to `get` `{resource}` in the namespace {namespace} is missing");
    chains_cluster::error(format!("{what}: {right}"), error).with_retryable(true)
}

/// Names go into the paths of requests, and runs may name anything.
fn can_be_named(namespace: &str, name: &str) -> bool {
    format!("k8s://{namespace}/{name}").parse::<SecretRef>().is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::{LocalObjectReference, ObjectReference};

    use super::*;

    fn docker_secret(type_: &str, entry: &str, json: &str) -> Secret {
        Secret {
            type_: Some(type_.to_owned()),
            data: Some(BTreeMap::from([(entry.to_owned(), ByteString(json.as_bytes().to_vec()))])),
            ..Secret::default()
        }
    }

    fn ring(entries: &[(&str, &str)]) -> Keyring {
        let mut all = Keyring::default();
        for (key, user) in entries {
            let json = format!(r#"{{"{key}": {{"username": "{user}", "password": "p"}}}}"#);
            let secret = docker_secret(LEGACY_TYPE, LEGACY_ENTRY, &json);
            all.merge(keyring_of(&secret).expect("readable").expect("of the type"));
        }
        all
    }

    async fn user(account: &Account, registry: &str) -> Result<Option<String>, String> {
        match account.credential(registry, "team/app").await {
            Ok(Some(RegistryCredential::Basic { username, .. })) => Ok(Some(username)),
            Ok(None) => Ok(None),
            Ok(Some(other)) => panic!("{other:?}"),
            Err(error) => Err(error.report()),
        }
    }

    #[test]
    fn secrets_come_before_pull_secrets_each_once() {
        let account = |mounted: &[&str], pull: &[&str]| ServiceAccount {
            secrets: Some(
                mounted
                    .iter()
                    .map(|name| ObjectReference {
                        name: Some((*name).to_owned()),
                        ..ObjectReference::default()
                    })
                    .collect(),
            ),
            image_pull_secrets: Some(
                pull.iter().map(|name| LocalObjectReference { name: (*name).to_owned() }).collect(),
            ),
            ..ServiceAccount::default()
        };
        let check = |mounted: &[&str], pull: &[&str], expect: &[(List, &str)]| {
            let found = secrets_of(&account(mounted, pull));
            let expect: Vec<_> = expect.iter().map(|(l, name)| (*l, (*name).to_owned())).collect();
            assert_eq!(found, expect);
        };
        check(&[], &[], &[]);
        check(
            &["b", "a", "b", ""],
            &["c", "a"],
            &[(List::Mounted, "b"), (List::Mounted, "a"), (List::Pull, "c")],
        );
        let many: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(secrets_of(&account(&many, &["x"])).len(), MOST_SECRETS);
        assert_eq!(secrets_of(&ServiceAccount::default()), []);
    }

    #[test]
    fn only_secrets_of_the_two_types_count() {
        let check = |type_: &str, entry: &str, json: &str, expect: Result<bool, ()>| {
            let found = keyring_of(&docker_secret(type_, entry, json));
            assert_eq!(found.map(|ring| ring.is_some()).map_err(drop), expect, "{type_} {json}");
        };
        check(JSON_TYPE, JSON_ENTRY, r#"{"auths": {}}"#, Ok(true));
        check(LEGACY_TYPE, LEGACY_ENTRY, "{}", Ok(true));
        check(JSON_TYPE, JSON_ENTRY, "", Ok(false));
        check(JSON_TYPE, LEGACY_ENTRY, "{}", Ok(false));
        check(LEGACY_TYPE, JSON_ENTRY, "{}", Ok(false));
        check("Opaque", JSON_ENTRY, r#"{"auths": {}}"#, Ok(false));
        check("kubernetes.io/service-account-token", "token", "x", Ok(false));
        check(JSON_TYPE, JSON_ENTRY, "sesame", Err(()));
        assert!(keyring_of(&Secret::default()).expect("no fault").is_none());
    }

    #[tokio::test]
    async fn what_is_mounted_wins_over_pull_secrets() {
        let account = Account {
            mounted: ring(&[("gcr.io", "push"), ("*.example.com", "wild")]),
            pull: ring(&[("gcr.io/team/app", "pull"), ("quay.io", "quay")]),
            faults: Vec::new(),
        };
        let check = async |registry: &str, expect: Option<&str>| {
            assert_eq!(user(&account, registry).await, Ok(expect.map(str::to_owned)), "{registry}");
        };
        check("gcr.io", Some("push")).await;
        check("quay.io", Some("quay")).await;
        check("a.example.com", Some("wild")).await;
        // Never to a host that it was not issued for.
        check("gcr.io.example.org", None).await;
        check("quay.io:5000", None).await;
        check("example.com", None).await;
    }

    #[tokio::test]
    async fn a_fault_is_told_only_where_nothing_else_fits() {
        let fault = Error::new(ErrorKind::Unauthorized, "reading the Secret ci/x");
        let account = Account {
            mounted: ring(&[("gcr.io", "push")]),
            faults: vec![fault.into()],
            ..Account::default()
        };
        assert_eq!(user(&account, "gcr.io").await, Ok(Some("push".to_owned())));
        assert_eq!(user(&account, "quay.io").await, Err("reading the Secret ci/x".to_owned()));
        let broken = docker_secret(LEGACY_TYPE, LEGACY_ENTRY, r#"{"gcr.io": {"auth": "!"}}"#);
        let account = Account {
            mounted: keyring_of(&broken).expect("readable").expect("of the type"),
            pull: ring(&[("gcr.io", "pull")]),
            faults: Vec::new(),
        };
        assert_eq!(user(&account, "gcr.io").await, Ok(Some("pull".to_owned())));
    }

    #[test]
    fn a_missing_right_is_named() {
        let status = kube::core::Status::failure("no", "Forbidden").with_code(403).boxed();
        let error = refused("reading x".to_owned(), "secrets", "ci", kube::Error::Api(status));
        let right = "the right to `get` `secrets` in the namespace ci is missing";
        assert_eq!(error.report(), format!("reading x: {right}: no"));
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unauthorized, true));
        let again = Error::from(&Fault::from(error));
        assert_eq!((again.kind(), again.is_retryable()), (ErrorKind::Unauthorized, true));
    }

    #[test]
    fn names_that_are_paths_are_refused() {
        for (name, expect) in [
            ("builder", true),
            ("a.b-c", true),
            ("../secrets/x", false),
            ("x?y=z", false),
            ("", false),
        ] {
            assert_eq!(can_be_named("ci", name), expect, "{name}");
        }
        assert!(!can_be_named("a/b", "c"));
    }
}
