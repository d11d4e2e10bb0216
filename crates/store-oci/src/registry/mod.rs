//! A thin layer over the [distribution specification][spec]: what the store needs of it, no more.
//!
//! Why it is our own, and what of `oci-client` is used: `docs/decisions/0004-registry-layer.md`.
//! All content comes from outside: sizes are bounded, digests are checked, redirects are followed by hand.
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md

mod answer;
mod auth;
mod challenge;
mod http;
mod origin;
mod policy;
mod referrers;
mod repository;
mod session;
mod throttle;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chains_core::{ImageName, RegistryCredential};

use self::http::Http;
use self::origin::Origin;
use self::policy::{Caller, Policy};
pub(crate) use self::repository::{Access, Put, Repository};
use self::session::Session;
pub(crate) use self::throttle::jitter;
use crate::OciOptions;
use crate::fault::Result;

/// How many sessions of one registry are kept: each is a credential with its tokens.
const MAX_SESSIONS: usize = 64;

/// All registries, each with a session for every credential that is shown to it.
#[derive(Debug)]
pub(crate) struct Registries {
    http: Arc<Http>,
    /// What may be found out without a credential says nothing about how one with a credential may speak to it.
    known: Mutex<HashMap<(String, Caller), Known>>,
}

#[derive(Debug)]
struct Known {
    origin: Arc<Origin>,
    /// The least recently used comes first.
    sessions: Vec<Arc<Session>>,
}

impl Registries {
    pub(crate) fn new(options: &OciOptions) -> Result<Self> {
        let http = Http::new(options, Policy::new(options))?;
        Ok(Self { http: Arc::new(http), known: Mutex::default() })
    }

    /// The repository as seen with this credential, which is never shown for another one.
    pub(crate) fn repository(
        &self,
        name: &ImageName,
        credential: Option<RegistryCredential>,
    ) -> Repository {
        Repository::new(self.session(name.registry(), credential), name.clone())
    }

    fn session(&self, registry: &str, credential: Option<RegistryCredential>) -> Arc<Session> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let caller = Caller::of(credential.as_ref());
        let known = all.entry((registry.to_owned(), caller)).or_insert_with(|| Known {
            origin: Arc::new(Origin::new(registry, caller)),
            sessions: Vec::new(),
        });
        let at = known.sessions.iter().position(|session| session.is_for(credential.as_ref()));
        let session = match at {
            Some(at) => known.sessions.remove(at),
            None => {
                let (origin, http) = (Arc::clone(&known.origin), Arc::clone(&self.http));
                Arc::new(Session::new(origin, http, credential))
            }
        };
        if known.sessions.len() >= MAX_SESSIONS {
            known.sessions.remove(0);
        }
        known.sessions.push(Arc::clone(&session));
        session
    }
}
