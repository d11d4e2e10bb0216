//! The queue's books: what waits, for what, and what is in hand.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Bounds;
use super::finished::Finished;
use super::item::{Item, Key, Lane, Rank};
use super::limit::Limit;
use crate::ownership::Buckets;
use crate::watching::Todo;

/// How many bytes of runs that are gone may wait.
const MOST_GONE: usize = 16 * 1024 * 1024;
/// How long after a new completion the backlog leaves room for the next.
const COURTESY: Duration = Duration::from_secs(1);
/// How many that wait are looked at for one that may be taken.
const SEARCHED: usize = 10_000;

/// How the work on a run ended.
#[derive(Debug)]
pub(crate) enum Done {
    /// Nothing is left to do for any version of it up to this one; `None`: for no version at all.
    Finished(Option<u64>),
    /// It is to be taken up again.
    Later(Box<Item>),
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// May be taken, by lane.
    pub(crate) ready: [(Lane, usize); 4],
    /// Wait for their time.
    pub(crate) delayed: usize,
    /// Are worked on.
    pub(crate) in_hand: usize,
    /// How many may be worked on at once.
    pub(crate) limit: usize,
    /// Bytes of whole objects that wait.
    pub(crate) bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    item: Item,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Ready(Rank),
    Delayed(Instant, u64),
}

#[derive(Debug, Default)]
struct InHand {
    handle: Option<AbortHandle>,
    /// Asks it to come to its end.
    hurry: CancellationToken,
    /// What was seen of the run meanwhile.
    next: Option<Item>,
}

#[derive(Debug)]
pub(super) struct State {
    waiting: HashMap<Key, Waiting>,
    ready: BTreeMap<Rank, Key>,
    /// How many are ready.
    by_lane: BTreeMap<Lane, usize>,
    delayed: BTreeMap<(Instant, u64), Key>,
    /// Those that are ready and hold their object.
    with_object: BTreeSet<Rank>,
    bytes: usize,
    most_bytes: usize,
    /// Bytes of those that cannot be read again.
    gone_bytes: usize,
    most_at_once: usize,
    /// How many of each namespace are in hand.
    by_namespace: HashMap<Arc<str>, usize>,
    in_hand: HashMap<Key, InHand>,
    finished: Finished,
    limit: Limit,
    /// When a new completion was taken last.
    last_fresh: Option<Instant>,
    held: Buckets,
    signing: bool,
    arrivals: u64,
}

impl State {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            waiting: HashMap::new(),
            ready: BTreeMap::new(),
            by_lane: BTreeMap::new(),
            delayed: BTreeMap::new(),
            with_object: BTreeSet::new(),
            bytes: 0,
            most_bytes: bounds.bytes,
            gone_bytes: 0,
            most_at_once: bounds.concurrency,
            by_namespace: HashMap::new(),
            in_hand: HashMap::new(),
            finished: Finished::default(),
            limit: Limit::new(bounds.concurrency),
            last_fresh: None,
            held: Buckets::default(),
            signing: false,
            arrivals: 0,
        }
    }

    pub(super) fn offer(&mut self, item: Item, now: Instant) {
        if !self.held.contains(item.key.bucket) || self.finished.covers(&item) {
            return;
        }
        if let Some(in_hand) = self.in_hand.get_mut(&item.key) {
            in_hand.next = Some(item);
            return;
        }
        let item = self.remove(&item.key).map_or_else(|| item.clone(), |old| merged(old, &item));
        self.insert(item, now);
    }

    pub(super) fn vanished(&mut self, item: Item, held: bool, now: Instant) {
        let known = self.waiting.contains_key(&item.key) || self.in_hand.contains_key(&item.key);
        if known || !held {
            self.offer(item, now);
        }
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.remove(key);
        if let Some(in_hand) = self.in_hand.get_mut(key) {
            in_hand.next = None;
        }
    }

    /// The next item, or when to ask again unless something changes before.
    pub(super) fn take(&mut self, now: Instant) -> (Option<Item>, Option<Instant>) {
        self.ripen(now);
        let next_due = self.delayed.keys().next().map(|(at, _)| *at);
        let first = self.first_allowed();
        let Some((rank, key)) = first.map(|(rank, key)| (*rank, key.clone())) else {
            return (None, next_due);
        };
        if let Some(again) = self.blocked(rank.lane, now) {
            return (None, Some(next_due.map_or(again, |due| due.min(again))));
        }
        if rank.lane == Lane::Fresh {
            self.last_fresh = Some(now);
        }
        let item = self.remove(&key);
        *self.by_namespace.entry(Arc::clone(&key.namespace)).or_default() += 1;
        self.in_hand.insert(key, InHand::default());
        (item, None)
    }

    /// Whether no more of this lane may be taken now; tells when to look again.
    ///
    /// While new completions keep coming, the backlog leaves them room.
    fn blocked(&mut self, lane: Lane, now: Instant) -> Option<Instant> {
        let (limit, in_hand) = (self.limit.get(), self.in_hand.len());
        let room = match lane {
            Lane::Fresh | Lane::Finalizer => limit + self.limit.reserve(),
            Lane::Backlog | Lane::Tidying => limit,
        };
        if in_hand >= room {
            return Some(self.limit.blocked(now));
        }
        let polite = self.last_fresh.map(|last| last + COURTESY).filter(|until| *until > now);
        let is_behind = matches!(lane, Lane::Backlog | Lane::Tidying);
        let until = polite.filter(|_| is_behind && in_hand >= self.limit.polite())?;
        self.limit.held_back();
        Some(until)
    }

    /// The first that may be taken, whatever the limit: while nothing can be signed, only the finalizers.
    ///
    /// No namespace gets all places, so that whoever fills them with runs that hang does not stop the others.
    fn first_allowed(&self) -> Option<(&Rank, &Key)> {
        let share = (self.most_at_once - self.most_at_once / 4).max(1);
        let in_hand = |key: &Key| self.by_namespace.get(&key.namespace).copied().unwrap_or(0);
        let (from, to) = if self.signing {
            (Lane::Fresh, Lane::Tidying)
        } else {
            (Lane::Finalizer, Lane::Finalizer)
        };
        let allowed = self.ready.range(Rank::first_of(from)..).take(SEARCHED);
        allowed.take_while(|(rank, _)| rank.lane <= to).find(|(_, key)| in_hand(key) < share)
    }

    /// What asks the work on a run that was taken to come to its end; at once where it was lost meanwhile.
    pub(super) fn hurry(&self, key: &Key) -> CancellationToken {
        let lost = || {
            let lost = CancellationToken::new();
            lost.cancel();
            lost
        };
        self.in_hand.get(key).map_or_else(lost, |in_hand| in_hand.hurry.clone())
    }

    /// Asks what is in hand of these buckets to come to its end.
    pub(super) fn hurry_up(&self, leaving: &Buckets) {
        let all = self.in_hand.iter().filter(|(key, _)| leaving.contains(key.bucket));
        all.for_each(|(_, in_hand)| in_hand.hurry.cancel());
    }

    pub(super) fn started(&mut self, key: &Key, handle: AbortHandle) {
        match self.in_hand.get_mut(key) {
            Some(in_hand) => in_hand.handle = Some(handle),
            // It was lost between being taken and being started.
            None => handle.abort(),
        }
    }

    pub(super) fn done(&mut self, key: &Key, done: Done, took: Option<Duration>, now: Instant) {
        let Some(in_hand) = self.in_hand.remove(key) else { return };
        self.left(key);
        match took {
            Some(took) => self.limit.ended(took, self.in_hand.len(), now),
            None => self.limit.put_off(now),
        }
        if let Done::Finished(Some(upto)) = done {
            self.finished.add(key, upto);
        }
        match (done, in_hand.next) {
            (Done::Finished(upto), Some(next)) => {
                let newer = upto.is_some_and(|upto| next.version.is_none_or(|seen| seen > upto));
                // A run that is gone is gone as it was when it was finished.
                if newer && !next.gone {
                    self.offer(next, now);
                }
            }
            (Done::Finished(_), None) => {}
            (Done::Later(item), next) => {
                let item = match next {
                    Some(next) => merged(*item, &next),
                    None => *item,
                };
                self.offer(item, now);
            }
        }
    }

    pub(super) fn allow_signing(&mut self, allowed: bool) {
        if self.signing == allowed {
            return;
        }
        self.signing = allowed;
        // Their places depend on it.
        let now = Instant::now();
        let keys: Vec<Key> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.item.give_up.is_some())
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            if let Some(item) = self.remove(&key) {
                self.insert(item, now);
            }
        }
    }

    pub(super) fn hold(&mut self, held: Buckets) {
        self.held = held;
        self.drop_foreign();
    }

    pub(super) fn leave(&mut self, leaving: &Buckets) {
        self.held = self.held.without(leaving);
        self.drop_foreign();
    }

    fn drop_foreign(&mut self) {
        let foreign: Vec<Key> =
            self.waiting.keys().filter(|key| !self.held.contains(key.bucket)).cloned().collect();
        for key in foreign {
            self.remove(&key);
        }
    }

    /// Stops what is in hand of these buckets; a task that is stopped says nothing more.
    pub(super) fn abort(&mut self, lost: &Buckets) {
        let keys: Vec<Key> =
            self.in_hand.keys().filter(|key| lost.contains(key.bucket)).cloned().collect();
        for key in keys {
            if let Some(handle) = self.in_hand.remove(&key).and_then(|in_hand| in_hand.handle) {
                handle.abort();
            }
            self.left(&key);
        }
    }

    /// One less of its namespace is in hand.
    fn left(&mut self, key: &Key) {
        if let Some(count) = self.by_namespace.get_mut(&key.namespace) {
            *count -= 1;
            if *count == 0 {
                self.by_namespace.remove(&key.namespace);
            }
        }
    }

    pub(super) fn in_hand(&self) -> impl Iterator<Item = &Key> {
        self.in_hand.keys()
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            ready: Lane::ALL.map(|lane| (lane, self.by_lane.get(&lane).copied().unwrap_or(0))),
            delayed: self.delayed.len(),
            in_hand: self.in_hand.len(),
            limit: self.limit.get(),
            bytes: self.bytes,
        }
    }

    /// Those whose time has come are ready.
    fn ripen(&mut self, now: Instant) {
        while let Some((&(at, _), key)) = self.delayed.first_key_value() {
            if at > now {
                return;
            }
            let key = key.clone();
            if let Some(mut item) = self.remove(&key) {
                item.not_before = None;
                self.insert(item, now);
            }
        }
    }

    fn insert(&mut self, mut item: Item, now: Instant) {
        self.arrivals += 1;
        if item.is_only_copy() && self.gone_bytes + item.bytes() > MOST_GONE {
            let Key { namespace, name, .. } = &item.key;
            tracing::error!(run = %format_args!("{namespace}/{name}"), "deleted before it was signed, and no room to keep it");
            return;
        }
        if self.bytes + item.bytes() > self.most_bytes {
            // It has to be done once more then.
            item.verdict = None;
        }
        let due = self.due(&mut item, now);
        if let Some(at) = due {
            // It is read again when its time comes, unless that cannot be.
            if !item.is_only_copy() {
                item.json = None;
            }
            self.count(&item);
            self.delayed.insert((at, self.arrivals), item.key.clone());
            let place = Place::Delayed(at, self.arrivals);
            self.waiting.insert(item.key.clone(), Waiting { item, place });
            return;
        }
        let rank = item.rank(self.arrivals);
        self.count(&item);
        if item.json.is_some() && !item.is_only_copy() {
            self.with_object.insert(rank);
        }
        self.ready.insert(rank, item.key.clone());
        *self.by_lane.entry(rank.lane).or_default() += 1;
        self.waiting.insert(item.key.clone(), Waiting { item, place: Place::Ready(rank) });
        self.shed();
    }

    fn count(&mut self, item: &Item) {
        *self.bytes_of(item) += item.bytes();
    }

    const fn bytes_of(&mut self, item: &Item) -> &mut usize {
        if item.is_only_copy() { &mut self.gone_bytes } else { &mut self.bytes }
    }

    /// When it may be taken, where that is not at once.
    fn due(&self, item: &mut Item, now: Instant) -> Option<Instant> {
        if let (false, Todo::Sign, Some(give_up)) = (self.signing, item.todo, item.give_up) {
            if give_up > now {
                return Some(give_up);
            }
            item.lane = Lane::Finalizer;
            return None;
        }
        item.not_before.filter(|at| *at > now)
    }

    /// Lets go of the objects of those whose turn comes last, until the rest fits.
    fn shed(&mut self) {
        while self.bytes > self.most_bytes {
            let Some(rank) = self.with_object.pop_last() else { return };
            let Some(waiting) = self.ready.get(&rank).and_then(|key| self.waiting.get_mut(key))
            else {
                continue;
            };
            self.bytes -= waiting.item.bytes();
            waiting.item.json = None;
            self.bytes += waiting.item.bytes();
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Item> {
        let Waiting { item, place } = self.waiting.remove(key)?;
        *self.bytes_of(&item) -= item.bytes();
        match place {
            Place::Ready(rank) => {
                self.ready.remove(&rank);
                if let Some(ready) = self.by_lane.get_mut(&rank.lane) {
                    *ready = ready.saturating_sub(1);
                }
                self.with_object.remove(&rank);
            }
            Place::Delayed(at, arrival) => {
                self.delayed.remove(&(at, arrival));
            }
        }
        Some(item)
    }
}

/// What was known of a run, brought up to date.
fn merged(old: Item, new: &Item) -> Item {
    // Watches tell late of what this process wrote itself.
    let stale = matches!((old.version, new.version), (Some(old), Some(new)) if new <= old);
    if stale && !new.gone {
        return old;
    }
    let lane = if new.todo == old.todo { old.lane.min(new.lane) } else { new.lane };
    if old.gone {
        return old;
    }
    // An attempt that is to wait waits, whatever else was written on the run meanwhile.
    let not_before = match (old.waits, old.not_before, new.not_before) {
        (1.., Some(old), None) => Some(old),
        (_, _, new) => new,
    };
    Item {
        waits: old.waits,
        retries: old.retries,
        verdict: old.verdict,
        waiting_since: old.waiting_since,
        lane,
        not_before,
        ..new.clone()
    }
}
