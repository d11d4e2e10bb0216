//! Reads a ServiceAccount and the Secrets that it names.

use std::sync::Arc;

use chains_cluster::SecretRef;
use chains_core::{Error, ErrorKind, Result};
use futures_util::stream::{self, StreamExt as _};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{Api, Client};
use tokio::sync::Semaphore;

use super::account::{Account, Found, List, keyring_of};

/// How many Secrets of one account are read: nobody needs more, and anybody could list more.
const MOST_SECRETS: usize = 64;
/// How many of them at once, and how many of all accounts together: each may have a megabyte.
const AT_ONCE: usize = 8;
/// The account of pods that name none.
pub(super) const DEFAULT: &str = "default";

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
        let found = match service_account(&self.client, namespace, name).await {
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
        let read = secrets_of(&found)
            .into_iter()
            .map(|(list, name)| async move { (list, self.secret(namespace, &name).await) });
        let mut all = stream::iter(read).buffered(AT_ONCE);
        while let Some((list, found)) = all.next().await {
            let added = found.and_then(|found| found.map_or(Ok(()), |it| account.add(list, it)));
            if let Err(error) = added {
                tracing::warn!(namespace, error = %error.report(), "registry credentials are passed over");
                account.faults.push(error.into());
            }
        }
        account
    }

    /// The credentials in a Secret; `None` where it is not there or holds other things.
    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Found>> {
        if !can_be_named(namespace, name) {
            tracing::warn!(namespace, name, "no Secret can have this name");
            return Ok(None);
        }
        let what = || format!("reading the Secret {namespace}/{name} for registry credentials");
        let closed = |e| Error::new(ErrorKind::Internal, what()).with_source(e);
        let _turn = self.turns.acquire().await.map_err(closed)?;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let found = api.get_opt(name).await;
        let Some(secret) = found.map_err(|e| refused(what(), "secrets", namespace, e))? else {
            tracing::warn!(namespace, name, "a Secret that a ServiceAccount names is not there");
            return Ok(None);
        };
        keyring_of(&secret)
            .map_err(|error| Error::new(ErrorKind::Unauthorized, what()).with_source(error))
    }
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
    use k8s_openapi::api::core::v1::{LocalObjectReference, ObjectReference};

    use super::super::account::Fault;
    use super::*;

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
