//! What is read often and may be a little old: kept for a while, read once however many ask.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

/// A bounded map of values that are read when they are asked for.
///
/// Those who ask for the same while it is read wait for that one answer; where the reader gives up, the next of
/// them reads.
pub(super) struct Cache<K, V> {
    most: usize,
    slots: Mutex<HashMap<K, Arc<Slot<V>>>>,
}

/// A value, once it is read.
struct Slot<V>(OnceCell<Kept<V>>);

struct Kept<V> {
    value: V,
    until: Instant,
}

impl<V> Slot<V> {
    /// Until when it is good; `None` while it is read.
    fn until(&self) -> Option<Instant> {
        self.0.get().map(|kept| kept.until)
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// Keeps up to `most` values.
    pub(super) fn new(most: usize) -> Self {
        Self { most, slots: Mutex::new(HashMap::new()) }
    }

    /// The value of `key`: the one that is kept, or what `read` gives, to be kept for as long as it says.
    pub(super) async fn get<F>(&self, key: &K, read: impl FnOnce() -> F) -> V
    where
        F: Future<Output = (V, Duration)>,
    {
        let slot = self.slot(key);
        let kept = slot.0.get_or_init(|| async {
            let (value, time) = read().await;
            Kept { value, until: Instant::now() + time }
        });
        kept.await.value.clone()
    }

    fn slot(&self, key: &K) -> Arc<Slot<V>> {
        let now = Instant::now();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(key)
            && slot.until().is_none_or(|until| until > now)
        {
            return Arc::clone(slot);
        }
        slots.retain(|_, slot| slot.until().is_none_or(|until| until > now));
        if slots.len() >= self.most {
            // What is read just now is wanted by somebody: of the rest, the one that ends first.
            let first = slots.iter().filter_map(|(key, slot)| Some((slot.until()?, key)));
            if let Some(key) = first.min_by_key(|(until, _)| *until).map(|(_, key)| key.clone()) {
                slots.remove(&key);
            }
        }
        let slot = Arc::new(Slot(OnceCell::new()));
        slots.insert(key.clone(), Arc::clone(&slot));
        slot
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const TIME: Duration = Duration::from_secs(30);

    struct Reads {
        cache: Cache<&'static str, usize>,
        count: AtomicUsize,
    }

    impl Reads {
        fn new(most: usize) -> Self {
            Self { cache: Cache::new(most), count: AtomicUsize::new(0) }
        }

        /// Which read answered: the first is 1.
        async fn get(&self, key: &'static str) -> usize {
            let read = || async {
                let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
                (number, TIME)
            };
            self.cache.get(&key, read).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_cause_one_read() {
        let reads = Reads::new(8);
        let answers = futures_util::future::join_all((0..32).map(|_| reads.get("a"))).await;
        assert!(answers.iter().all(|answer| *answer == 1), "{answers:?}");
        assert_eq!(reads.get("b").await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn values_are_read_again_after_their_time() {
        let reads = Reads::new(8);
        assert_eq!(reads.get("a").await, 1);
        tokio::time::advance(TIME - Duration::from_secs(1)).await;
        assert_eq!(reads.get("a").await, 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(reads.get("a").await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_reads_where_one_gives_up() {
        let reads = Reads::new(8);
        let gives_up = tokio::time::timeout(Duration::from_millis(500), reads.get("a"));
        let (given_up, waited) = tokio::join!(gives_up, reads.get("a"));
        assert!(given_up.is_err());
        assert_eq!(waited, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room() {
        let reads = Reads::new(2);
        for (key, read) in [("a", 1), ("b", 2), ("c", 3), ("b", 2), ("c", 3), ("a", 4), ("c", 3)] {
            assert_eq!(reads.get(key).await, read, "{key}");
        }
        assert_eq!(reads.cache.slots.lock().expect("not poisoned").len(), 2);
    }
}
