//! Remembers for a while up to which version runs are dealt with.

use std::collections::{HashMap, VecDeque};

use super::item::{Item, Key};

/// How many runs are remembered: far more than a watch lags behind.
const MOST: usize = 4096;

/// Runs that were dealt with lately. Watches tell late of versions that came before the write that closed a run:
/// without this it would be signed once more, only to find at its own closing write that it is signed.
#[derive(Debug, Default)]
pub(super) struct Finished {
    upto: HashMap<Key, u64>,
    order: VecDeque<Key>,
}

impl Finished {
    pub(super) fn add(&mut self, key: &Key, upto: u64) {
        if self.upto.insert(key.clone(), upto).is_none() {
            self.order.push_back(key.clone());
        }
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.upto.remove(&oldest);
        }
    }

    /// Whether nothing is left to do with this version of the run.
    pub(super) fn covers(&self, item: &Item) -> bool {
        match (self.upto.get(&item.key), item.version) {
            (Some(upto), Some(version)) => version <= *upto,
            _ => false,
        }
    }
}
