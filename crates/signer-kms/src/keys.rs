//! The public keys of a reference: fetched once, kept, and fetched again when there is reason to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chains_core::{Result, VerificationMaterial};
use tokio::time::Instant;

use crate::{Key, Provider};

/// How many versions are kept: while a key is rotated, signatures of the old one are still under way.
const MAX_KEPT: usize = 4;
/// A key that was fetched so short a while ago is not fetched again, whatever is wrong with it.
const RECENT: Duration = Duration::from_secs(1);
/// How long after a failure to fetch it again the key at hand is used without another attempt.
const PAUSE: Duration = Duration::from_secs(5);

/// A key with what verifiers are told of it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) key: Key,
    pub(crate) material: Arc<VerificationMaterial>,
    fetched: Instant,
}

#[derive(Debug)]
pub(crate) struct Keys {
    provider: Arc<dyn Provider>,
    refresh: Duration,
    state: Mutex<State>,
    /// Held by the one who fetches.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The one that signs now first, others in the order of use.
    kept: Vec<Arc<Known>>,
    /// When the first was found to be the one that signs now.
    since: Option<Instant>,
    failed: Option<Instant>,
}

impl Keys {
    pub(crate) fn new(provider: Arc<dyn Provider>, refresh: Duration) -> Self {
        Self { provider, refresh, state: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// The key that signs now, as far as is known: of a reference that is not pinned, not older than `refresh`, or
    /// twice that while the service cannot be asked.
    pub(crate) async fn current(&self) -> Result<Arc<Known>> {
        let stale = match self.at_hand() {
            Some((known, true)) => return Ok(known),
            Some((known, false)) => known,
            None => return self.first().await,
        };
        // Who comes while another one fetches need not wait for it.
        let Ok(_only_one) = self.fetching.try_lock() else {
            return Ok(stale);
        };
        match self.provider.key(None).await {
            Ok(key) => Ok(self.take(key)),
            Err(error) if error.is_retryable() && !self.is_too_old() => {
                self.state().failed = Some(Instant::now());
                let reference = self.provider.reference();
                tracing::warn!(reference, error = %error.report(), "the public key at hand is used on");
                Ok(stale)
            }
            Err(error) => Err(error),
        }
    }

    async fn first(&self) -> Result<Arc<Known>> {
        let _only_one = self.fetching.lock().await;
        if let Some((known, _)) = self.at_hand() {
            return Ok(known);
        }
        Ok(self.take(self.provider.key(None).await?))
    }

    /// The version that a signature was made with.
    pub(crate) async fn version(&self, version: &str) -> Result<Arc<Known>> {
        if let Some(known) = self.find(version) {
            return Ok(known);
        }
        let _only_one = self.fetching.lock().await;
        if let Some(known) = self.find(version) {
            return Ok(known);
        }
        let key = self.provider.key(Some(version)).await?;
        // It was never seen before, and it signs: it is the one that signs now.
        Ok(self.take(key))
    }

    /// Asks again which key signs now; `None` where that is still the one that `known` is, or where it was asked
    /// a moment ago.
    pub(crate) async fn other_than(&self, known: &Arc<Known>) -> Result<Option<Arc<Known>>> {
        let _only_one = self.fetching.lock().await;
        if let Some((current, _)) = self.at_hand() {
            if current.key != known.key {
                return Ok(Some(current));
            }
            if current.fetched.elapsed() < RECENT {
                return Ok(None);
            }
        }
        let found = self.take(self.provider.key(None).await?);
        Ok((found.key != known.key).then_some(found))
    }

    /// The current key, and whether it need not be fetched again.
    fn at_hand(&self) -> Option<(Arc<Known>, bool)> {
        let state = self.state();
        let known = state.kept.first()?;
        let age = state.since.map_or(Duration::MAX, |since| since.elapsed());
        let paused = state.failed.is_some_and(|failed| failed.elapsed() < PAUSE);
        Some((Arc::clone(known), self.provider.is_pinned() || age < self.refresh || paused))
    }

    fn is_too_old(&self) -> bool {
        self.state().since.is_none_or(|since| since.elapsed() >= 2 * self.refresh)
    }

    fn find(&self, version: &str) -> Option<Arc<Known>> {
        self.state().kept.iter().find(|known| known.key.version == version).map(Arc::clone)
    }

    /// Keeps a key as the one that signs now.
    fn take(&self, key: Key) -> Arc<Known> {
        let now = Instant::now();
        let mut state = self.state();
        let material = match state.kept.iter().find(|known| known.key == key) {
            Some(known) => Arc::clone(&known.material),
            None => Arc::new(VerificationMaterial::from_public_key(key.public_key.clone())),
        };
        if let Some(before) = state.kept.first()
            && before.key != key
        {
            let (reference, from) = (self.provider.reference(), before.key.version.as_str());
            tracing::info!(reference, from, to = key.version, "another key version signs");
        }
        state.kept.retain(|known| known.key.version != key.version);
        let known = Arc::new(Known { key, material, fetched: now });
        state.kept.insert(0, Arc::clone(&known));
        state.kept.truncate(MAX_KEPT);
        state.since = Some(now);
        state.failed = None;
        known
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
