//! Registry credentials of the ServiceAccount that a run uses.
//!
//! # Expected flow
//! For a run, its ServiceAccount (or `default`) in its namespace is read, and the Secrets that it names, when a
//! registry is spoken to; what was found is good for half a minute, for all runs with that account.
//!
//! # Guarantees
//! - `secrets` come before `imagePullSecrets`; within either, the longest path that fits comes first.
//! - A credential goes only to hosts that its entry names: see [`Keyring`].
//! - The controller's own credentials are used only where the operator allows it, and last.
//!
//! # Caveats
//! - A credential that was changed may be refused for half a minute.

mod account;
mod cache;
mod names;
mod reader;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, RegistryCredential, RegistryCredentials, Result, RunRef};
use chains_store_oci::Keyring;
use kube::Client;

use self::account::{Account, Fault};
use self::cache::Cache;
use self::reader::{DEFAULT, Reader};

/// How long what was read is good.
const GOOD: Duration = Duration::from_secs(30);
/// How long it is where some of it could not be read.
const FAULTY: Duration = Duration::from_secs(5);
/// How many accounts are kept: users write what is in them, and all together it is to be little.
const MOST: usize = 64;
/// How long reading an account with its Secrets may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A namespace and a ServiceAccount in it.
type Key = (Arc<str>, Arc<str>);

/// Finds registry credentials in the cluster.
pub(crate) struct ServiceAccountCredentials {
    reader: Reader,
    accounts: Cache<Key, Arc<Account>>,
    /// The controller's own, where they may be used.
    ambient: Option<Cache<(), Arc<Result<Keyring, Fault>>>>,
}

impl std::fmt::Debug for ServiceAccountCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccountCredentials")
            .field("ambient", &self.ambient.is_some())
            .finish_non_exhaustive()
    }
}

impl ServiceAccountCredentials {
    /// `ambient`: whether the controller's own credentials, as docker finds them, are used for what no
    /// ServiceAccount has a credential for.
    pub(crate) fn new(client: Client, ambient: bool) -> Self {
        let ambient = ambient.then(|| Cache::new(1));
        Self { reader: Reader::new(client), accounts: Cache::new(MOST), ambient }
    }

    async fn account(&self, run: &RunRef) -> Arc<Account> {
        let name = run.service_account.clone().filter(|name| !name.is_empty());
        let key = (Arc::clone(&run.namespace), name.unwrap_or_else(|| Arc::from(DEFAULT)));
        let (namespace, name) = (Arc::clone(&key.0), Arc::clone(&key.1));
        let read = || async move {
            let account = read_in_time(&self.reader, &namespace, &name).await;
            // What cannot get better by itself need not be read again so soon.
            let may_mend = account.is_incomplete || account.faults.iter().any(Fault::is_retryable);
            let time = if may_mend { FAULTY } else { GOOD };
            (Arc::new(account), time)
        };
        self.accounts.get(&key, read).await
    }

    async fn own(&self, registry: &str, repository: &str) -> Result<Option<RegistryCredential>> {
        let Some(cache) = &self.ambient else { return Ok(None) };
        let read = || async {
            let keyring = Keyring::from_env().map_err(Fault::from);
            let time = if keyring.is_ok() { GOOD } else { FAULTY };
            (Arc::new(keyring), time)
        };
        match cache.get(&(), read).await.as_ref() {
            Ok(keyring) => keyring.credential(None, registry, repository).await,
            Err(fault) => Err(fault.into()),
        }
    }
}

async fn read_in_time(reader: &Reader, namespace: &str, name: &str) -> Account {
    let read = reader.read(namespace, name);
    tokio::time::timeout(TIMEOUT, read).await.unwrap_or_else(|_| {
        let what = format!(
            "reading registry credentials of the ServiceAccount {namespace}/{name}: no answer within {TIMEOUT:?}"
        );
        Account { faults: vec![Error::new(ErrorKind::Timeout, what).into()], ..Account::default() }
    })
}

#[async_trait]
impl RegistryCredentials for ServiceAccountCredentials {
    async fn credential(
        &self,
        run: Option<&RunRef>,
        registry: &str,
        repository: &str,
    ) -> Result<Option<RegistryCredential>> {
        let of_run = match run {
            Some(run) => self.account(run).await.credential(registry, repository).await,
            None => Ok(None),
        };
        if let Ok(Some(credential)) = of_run {
            return Ok(Some(credential));
        }
        match self.own(registry, repository).await {
            Ok(Some(credential)) => Ok(Some(credential)),
            // The run's own fault says more.
            own => of_run.and(own),
        }
    }
}
