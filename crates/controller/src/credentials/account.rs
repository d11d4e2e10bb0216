//! The registry credentials of a ServiceAccount: what is in its Secrets, and which comes first.

use chains_core::{Error, ErrorKind, RegistryCredential, RegistryCredentials as _, Result};
use chains_store_oci::Keyring;
use k8s_openapi::ByteString;
use serde::Deserialize;

/// Types of Secrets that hold registry credentials.
const JSON_TYPE: &str = "kubernetes.io/dockerconfigjson";
const LEGACY_TYPE: &str = "kubernetes.io/dockercfg";
/// How many bytes of credentials one account may have: fifty registries with keys of Google's, which are long.
const MOST_BYTES: usize = 256 * 1024;
/// How many entries: small ones take more in memory than in JSON.
const MOST_ENTRIES: usize = 512;

/// What was found for one ServiceAccount.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Of the Secrets in `secrets`: for whoever pushes.
    pub(super) mounted: Keyring,
    /// Of those in `imagePullSecrets`: often good for reading only, and so they come second however well they fit.
    pub(super) pull: Keyring,
    /// What could not be read.
    pub(super) faults: Vec<Fault>,
    /// Whether something that was named is not there; it may come.
    pub(super) is_incomplete: bool,
    /// How many bytes it was read from.
    pub(super) bytes: usize,
    /// How many entries it has.
    pub(super) entries: usize,
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

impl Fault {
    /// Whether another attempt may do without it.
    pub(super) const fn is_retryable(&self) -> bool {
        self.retryable
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

    /// Adds what is in a Secret.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] where that is more than is kept of one account.
    pub(super) fn add(&mut self, list: List, found: Found) -> Result<()> {
        let bytes = self.bytes.saturating_add(found.bytes);
        let entries = self.entries.saturating_add(found.keyring.entries());
        if bytes > MOST_BYTES || entries > MOST_ENTRIES {
            let why = format!(
                "its Secrets may have {MOST_BYTES} bytes and {MOST_ENTRIES} entries of registry credentials"
            );
            return Err(Error::new(ErrorKind::TooLarge, why));
        }
        (self.bytes, self.entries) = (bytes, entries);
        match list {
            List::Mounted => self.mounted.merge(found.keyring),
            List::Pull => self.pull.merge(found.keyring),
        }
        Ok(())
    }
}

/// Which list of the account names a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Mounted,
    Pull,
}

/// Of a Secret what may be credentials. Users write Secrets: whatever else is in them is not kept, nor parsed.
#[derive(Default, Deserialize)]
pub(super) struct Secret {
    #[serde(rename = "type")]
    type_: Option<String>,
    data: Option<Data>,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(rename = ".dockerconfigjson")]
    json: Option<ByteString>,
    #[serde(rename = ".dockercfg")]
    legacy: Option<ByteString>,
}

/// The credentials in a Secret.
#[derive(Debug)]
pub(super) struct Found {
    keyring: Keyring,
    bytes: usize,
}

/// The credentials in a Secret of a type for them; `None` for other types and where the entry is empty.
pub(super) fn keyring_of(secret: &Secret) -> Result<Option<Found>> {
    type Parse = fn(&[u8]) -> Result<Keyring>;
    let data = secret.data.as_ref();
    let (entry, parse): (_, Parse) = match secret.type_.as_deref() {
        Some(JSON_TYPE) => (data.and_then(|it| it.json.as_ref()), Keyring::from_docker_config_json),
        Some(LEGACY_TYPE) => (data.and_then(|it| it.legacy.as_ref()), Keyring::from_dockercfg),
        _ => return Ok(None),
    };
    let Some(bytes) = entry.map(|entry| entry.0.as_slice()).filter(|bytes| !bytes.is_empty())
    else {
        return Ok(None);
    };
    if bytes.len() > MOST_BYTES {
        let why = format!("it has {} bytes of them, and {MOST_BYTES} are read", bytes.len());
        return Err(Error::new(ErrorKind::TooLarge, why));
    }
    Ok(Some(Found { keyring: parse(bytes)?, bytes: bytes.len() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON_ENTRY: &str = ".dockerconfigjson";
    const LEGACY_ENTRY: &str = ".dockercfg";

    fn docker_secret(type_: &str, entry: &str, json: &str) -> Secret {
        let data =
            serde_json::json!({ entry: ByteString(json.as_bytes().to_vec()), "other": "eA==" });
        let secret = serde_json::json!({ "type": type_, "metadata": {}, "data": data });
        serde_json::from_value(secret).expect("a Secret")
    }

    fn ring(entries: &[(&str, &str)]) -> Keyring {
        let mut all = Keyring::default();
        for (key, user) in entries {
            let json = format!(r#"{{"{key}": {{"username": "{user}", "password": "p"}}}}"#);
            let secret = docker_secret(LEGACY_TYPE, LEGACY_ENTRY, &json);
            all.merge(keyring_of(&secret).expect("readable").expect("of the type").keyring);
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

    #[test]
    fn more_than_anybody_needs_is_not_kept() {
        let large = |bytes: usize| {
            let json =
                format!(r#"{{"a.io": {{"username": "u", "password": "{}"}}}}"#, "p".repeat(bytes));
            keyring_of(&docker_secret(LEGACY_TYPE, LEGACY_ENTRY, &json))
        };
        let error = large(MOST_BYTES).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{}", error.report());
        let half = || large(MOST_BYTES / 2 - 100).expect("readable").expect("of the type");
        let mut account = Account::default();
        account.add(List::Mounted, half()).expect("it fits");
        account.add(List::Pull, half()).expect("it fits");
        let error = account.add(List::Pull, half()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{}", error.report());
        assert!(account.bytes <= MOST_BYTES);
        let entries: Vec<String> = (0..MOST_ENTRIES).map(|n| format!("\"a{n}.io\":1")).collect();
        let json = format!("{{{}}}", entries.join(","));
        let many =
            || keyring_of(&docker_secret(LEGACY_TYPE, LEGACY_ENTRY, &json)).expect("readable");
        let mut account = Account::default();
        account.add(List::Mounted, many().expect("of the type")).expect("it fits");
        let error = account.add(List::Mounted, many().expect("of the type")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{}", error.report());
    }

    #[tokio::test]
    async fn what_is_mounted_wins_over_pull_secrets() {
        let account = Account {
            mounted: ring(&[("gcr.io", "push"), ("*.example.com", "wild")]),
            pull: ring(&[("gcr.io/team/app", "pull"), ("quay.io", "quay")]),
            ..Account::default()
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
            mounted: keyring_of(&broken).expect("readable").expect("of the type").keyring,
            pull: ring(&[("gcr.io", "pull")]),
            ..Account::default()
        };
        assert_eq!(user(&account, "gcr.io").await, Ok(Some("pull".to_owned())));
    }
}
