//! Reads a ServiceAccount and the Secrets that it names.

use std::sync::Arc;

use chains_cluster::SecretRef;
use chains_core::{Error, ErrorKind, Result};
use futures_util::stream::{self, StreamExt as _};
use kube::Client;
use kube::api::GetParams;
use kube::core::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::account::{Account, Found, List, Secret, keyring_of};
use super::names::Names;

/// How many Secrets of one account are read: nobody needs more, and anybody could list more.
pub(super) const MOST_SECRETS: usize = 64;
/// How many objects are read at once, of all accounts together: each may have more than a megabyte.
const AT_ONCE: usize = 4;
/// The account of pods that name none.
pub(super) const DEFAULT: &str = "default";

/// Of a ServiceAccount what names its Secrets. Users write ServiceAccounts: whatever else is in them is not kept.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServiceAccount {
    secrets: Option<Names>,
    image_pull_secrets: Option<Names>,
}

/// What came of a Secret that an account names.
enum Read {
    Found(Found),
    /// It holds other things than credentials, or no Secret can have this name.
    Other,
    Missing,
}

/// Reads accounts; clones share the bound on what is read at once.
#[derive(Clone)]
pub(super) struct Reader {
    client: Client,
    turns: Arc<Semaphore>,
}

impl Reader {
    pub(super) fn new(client: Client) -> Self {
        Self { client, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Reads the account and its Secrets. What is not there is passed over, as the reference does.
    pub(super) async fn read(&self, namespace: &str, name: &str) -> Account {
        let mut account = Account::default();
        if !can_be_named(namespace, name) {
            tracing::warn!(namespace, name, "no ServiceAccount can have this name");
            return account;
        }
        let names = match self.names(namespace, name).await {
            Ok(Some(names)) => names,
            Ok(None) => {
                account.is_incomplete = true;
                // In namespaces that are about to go, `default` is gone before its runs.
                if name == DEFAULT {
                    tracing::debug!(namespace, name, "the ServiceAccount is not there");
                } else {
                    tracing::warn!(namespace, name, "the ServiceAccount is not there");
                }
                return account;
            }
            Err(error) => {
                account.faults.push(error.into());
                return account;
            }
        };
        let read = names
            .into_iter()
            .map(|(list, name)| async move { (list, self.secret(namespace, &name).await) });
        let mut all = stream::iter(read).buffered(AT_ONCE);
        while let Some((list, found)) = all.next().await {
            let added = found.and_then(|read| match read {
                Read::Found(found) => account.add(list, found),
                Read::Other => Ok(()),
                Read::Missing => {
                    account.is_incomplete = true;
                    Ok(())
                }
            });
            if let Err(error) = added {
                let error = error.context(format!("the ServiceAccount {namespace}/{name}"));
                tracing::warn!(namespace, error = %error.report(), "registry credentials are passed over");
                account.faults.push(error.into());
            }
        }
        account
    }

    /// The Secrets that the account names; `None` where it is not there.
    async fn names(&self, namespace: &str, name: &str) -> Result<Option<Vec<(List, String)>>> {
        let what =
            format!("reading the ServiceAccount {namespace}/{name} for registry credentials");
        self.get((namespace, "serviceaccounts", name), &what, secrets_of).await
    }

    /// The credentials in a Secret.
    async fn secret(&self, namespace: &str, name: &str) -> Result<Read> {
        if !can_be_named(namespace, name) {
            tracing::warn!(namespace, name, "no Secret can have this name");
            return Ok(Read::Other);
        }
        let what = format!("reading the Secret {namespace}/{name} for registry credentials");
        let found =
            self.get((namespace, "secrets", name), &what, |it: Secret| keyring_of(&it)).await?;
        let Some(keyring) = found else {
            tracing::warn!(namespace, name, "a Secret that a ServiceAccount names is not there");
            return Ok(Read::Missing);
        };
        match keyring {
            Ok(found) => Ok(found.map_or(Read::Other, Read::Found)),
            Err(error) if error.kind() == ErrorKind::TooLarge => Err(error.context(what)),
            Err(error) => Err(Error::new(ErrorKind::Unauthorized, what).with_source(error)),
        }
    }

    /// What is wanted of an object, `None` where it is not there. The object itself is gone before the next has its turn.
    async fn get<T: DeserializeOwned, U>(
        &self,
        (namespace, plural, name): (&str, &str, &str),
        what: &str,
        wanted: impl FnOnce(T) -> U,
    ) -> Result<Option<U>> {
        let internal = |why: String| Error::new(ErrorKind::Internal, what).with_source(why);
        let request = Request::new(format!("/api/v1/namespaces/{namespace}/{plural}"))
            .get(name, &GetParams::default())
            .map_err(|e| internal(e.to_string()))?;
        let _turn = self.turns.acquire().await.map_err(|e| internal(e.to_string()))?;
        match self.client.request(request).await {
            Ok(object) => Ok(Some(wanted(object))),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(refused(what.to_owned(), plural, namespace, error)),
        }
    }
}

/// The Secrets that the account names, each once, in their order.
fn secrets_of(account: ServiceAccount) -> Vec<(List, String)> {
    let of = |list, names: Option<Names>| {
        names.unwrap_or_default().0.into_iter().map(move |name| (list, name))
    };
    let all = of(List::Mounted, account.secrets).chain(of(List::Pull, account.image_pull_secrets));
    let mut names: Vec<(List, String)> = Vec::new();
    for (list, name) in all {
        if names.len() == MOST_SECRETS {
            tracing::warn!(most = MOST_SECRETS, "a ServiceAccount has more Secrets than are read");
            break;
        }
        if !names.iter().any(|(_, known)| *known == name) {
            names.push((list, name));
        }
    }
    names
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
    use super::super::account::Fault;
    use super::*;

    #[test]
    fn secrets_come_before_pull_secrets_each_once() {
        let account = |mounted: &[&str], pull: &[&str]| -> ServiceAccount {
            let named = |names: &[&str]| -> Vec<serde_json::Value> {
                names.iter().map(|name| serde_json::json!({ "name": name, "kind": "x" })).collect()
            };
            let json = serde_json::json!({
                "metadata": { "name": "builder" },
                "secrets": named(mounted),
                "imagePullSecrets": named(pull),
            });
            serde_json::from_value(json).expect("a ServiceAccount")
        };
        let check = |mounted: &[&str], pull: &[&str], expect: &[(List, &str)]| {
            let found = secrets_of(account(mounted, pull));
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
        assert_eq!(secrets_of(account(&many, &["x"])).len(), MOST_SECRETS);
        assert_eq!(secrets_of(ServiceAccount::default()), []);
        let odd = r#"{"secrets": null, "imagePullSecrets": [{}, {"name": null}, {"name": "a"}]}"#;
        let odd = serde_json::from_str(odd).expect("a ServiceAccount");
        assert_eq!(secrets_of(odd), [(List::Pull, "a".to_owned())]);
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
