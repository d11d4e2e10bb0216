//! What is fetched once, serves many calls, and is replaced shortly before it expires: tokens and credentials.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chains_core::Result;
use tokio::time::Instant;

/// What expires so soon may do so on the way.
const TRANSIT: Duration = Duration::from_secs(2);
/// How long after a failure to replace it what is good is used without another attempt.
const PAUSE: Duration = Duration::from_secs(5);

/// Something that was just fetched.
#[derive(Debug)]
pub struct Fresh<T> {
    /// The thing itself.
    pub value: T,
    /// How long it is good; `None` means for ever.
    pub lifetime: Option<Duration>,
    /// How long before its end it is to be replaced; half of its life at most.
    pub margin: Duration,
}

/// A place for one thing that is fetched once, serves many calls, and is replaced shortly before it expires.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> chains_core::Result<()> {
/// use std::time::Duration;
///
/// use chains_http::{Fresh, Kept};
///
/// let (hour, margin) = (Duration::from_secs(3600), Duration::from_secs(120));
/// let kept = Kept::new();
/// let log_in = |_| async { Ok(Fresh { value: "token", lifetime: Some(hour), margin }) };
/// assert_eq!(*kept.get(log_in).await?, "token");
/// assert_eq!(kept.value().as_deref(), Some(&"token"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Kept<T> {
    held: Mutex<Option<Held<T>>>,
    /// Held by the one who fetches.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    /// When it is to be replaced, and when it is no good any more.
    times: Option<(Instant, Instant)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Kept<T> {
    /// An empty place.
    #[must_use]
    pub fn new() -> Self {
        Self { held: Mutex::new(None), fetching: tokio::sync::Mutex::default() }
    }

    /// What is kept; where it is due, what `fetch` makes in its place. One fetches at a time, and the others need not
    /// wait as long as what is kept is good. It stays where fetching fails.
    ///
    /// # Errors
    /// That of `fetch`, where nothing good is kept.
    pub async fn get<F, R>(&self, fetch: F) -> Result<Arc<T>>
    where
        F: FnOnce(Option<Arc<T>>) -> R,
        R: Future<Output = Result<Fresh<T>>>,
    {
        let good = match self.look() {
            (Some(value), true) => return Ok(value),
            (good, _) => good,
        };
        let _only_one = match (self.fetching.try_lock(), &good) {
            (Ok(only_one), _) => only_one,
            (Err(_), Some(value)) => return Ok(Arc::clone(value)),
            (Err(_), None) => self.fetching.lock().await,
        };
        let good = match self.look() {
            (Some(value), true) => return Ok(value),
            (good, _) => good,
        };
        match (fetch(good.clone()).await, good) {
            (Ok(fresh), _) => Ok(self.hold(fresh)),
            (Err(error), Some(value)) => {
                tracing::warn!(error = %error.report(), "what is at hand is used on");
                self.put_off();
                Ok(value)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// What is kept, good or not.
    #[must_use]
    pub fn value(&self) -> Option<Arc<T>> {
        self.state().as_ref().map(|held| Arc::clone(&held.value))
    }

    /// Forgets this very thing, which was refused.
    pub fn forget(&self, refused: &Arc<T>) {
        self.state().take_if(|held| Arc::ptr_eq(&held.value, refused));
    }

    /// What is kept and good, and whether that is not due yet.
    fn look(&self) -> (Option<Arc<T>>, bool) {
        let (state, now) = (self.state(), Instant::now());
        let Some(held) = state.as_ref() else {
            return (None, false);
        };
        match held.times {
            Some((_, end)) if now + TRANSIT >= end => (None, false),
            Some((due, _)) => (Some(Arc::clone(&held.value)), now < due),
            None => (Some(Arc::clone(&held.value)), true),
        }
    }

    fn put_off(&self) {
        if let Some((due, _)) = self.state().as_mut().and_then(|held| held.times.as_mut()) {
            *due = Instant::now() + PAUSE;
        }
    }

    fn hold(&self, fresh: Fresh<T>) -> Arc<T> {
        let Fresh { value, lifetime, margin } = fresh;
        let (value, now) = (Arc::new(value), Instant::now());
        let times = lifetime.map(|lifetime| {
            let used = lifetime.saturating_sub(margin).max(lifetime / 2);
            (now + used, now + lifetime)
        });
        *self.state() = Some(Held { value: Arc::clone(&value), times });
        value
    }

    fn state(&self) -> MutexGuard<'_, Option<Held<T>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chains_core::{Error, ErrorKind};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    async fn get(kept: &Kept<u32>, next: Result<u32, &str>) -> Result<u32> {
        let fetched = next.map_err(|why| Error::new(ErrorKind::Unavailable, why));
        let fresh = |value| Fresh { value, lifetime: Some(HOUR), margin: HOUR / 6 };
        kept.get(|_| async { fetched.map(fresh) }).await.map(|value| *value)
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_replaced_before_its_end_and_stays_where_that_fails() {
        let kept = Kept::new();
        assert_eq!(get(&kept, Err("down")).await.unwrap_err().report(), "down");
        assert_eq!(get(&kept, Ok(1)).await.unwrap(), 1);
        tokio::time::advance(HOUR / 2).await;
        assert_eq!(get(&kept, Ok(2)).await.unwrap(), 1);
        tokio::time::advance(HOUR / 3).await;
        assert_eq!(get(&kept, Err("down")).await.unwrap(), 1);
        assert_eq!(get(&kept, Ok(2)).await.unwrap(), 1);
        tokio::time::advance(PAUSE).await;
        assert_eq!(get(&kept, Ok(2)).await.unwrap(), 2);
        tokio::time::advance(HOUR).await;
        assert_eq!(get(&kept, Err("down")).await.unwrap_err().report(), "down");
    }

    #[tokio::test(start_paused = true)]
    async fn one_fetches_for_all() {
        let kept = Arc::new(Kept::new());
        let fetches = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (kept, fetches) = (Arc::clone(&kept), Arc::clone(&fetches));
                tokio::spawn(async move {
                    let fetch = |_| async {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        let value = fetches.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        Ok(Fresh { value, lifetime: None, margin: HOUR })
                    };
                    *kept.get(fetch).await.unwrap()
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn what_was_refused_is_forgotten_and_nothing_else() {
        let kept = Kept::new();
        let first = kept.get(|_| async { Ok(Fresh { value: 1, lifetime: None, margin: HOUR }) });
        let first = first.await.unwrap();
        kept.forget(&Arc::new(1));
        assert_eq!(kept.value(), Some(Arc::clone(&first)));
        kept.forget(&first);
        assert_eq!(kept.value(), None);
    }
}
