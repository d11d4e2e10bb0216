//! Entries of a while ago, kept in memory: a run whose store failed logs the same again soon.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use chains_core::Entry;

use crate::logged::Logged;
use crate::merkle::{Hash, hash};

/// How many are kept: a few KiB each.
const MANY: usize = 256;

/// The last entries that were verified, by what they are about.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<VecDeque<(Hash, Entry)>>);

/// What an entry is about: the same signature over the same by the same.
pub(crate) fn key(logged: &Logged<'_>) -> Hash {
    // Each part is hashed by itself, so that none runs into the next.
    let part = |bytes: &[u8]| hash(&[bytes]);
    let message = part(&logged.message());
    hash(&[&message, &part(logged.signature), &part(logged.verifier.der())])
}

impl Recent {
    pub(crate) fn get(&self, key: &Hash) -> Option<Entry> {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().find(|(of, _)| of == key).map(|(_, entry)| entry.clone())
    }

    pub(crate) fn put(&self, key: Hash, entry: Entry) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|(of, _)| *of != key);
        if recent.len() >= MANY {
            recent.pop_front();
        }
        recent.push_back((key, entry));
    }
}
