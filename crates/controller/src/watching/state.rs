//! What is told about several watches under one name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::Part;

/// The watches of one kind of run: well when all of them are.
#[derive(Debug, Clone)]
pub(crate) struct WatchState {
    part: Part,
    places: Arc<Mutex<BTreeMap<String, Option<String>>>>,
}

impl WatchState {
    pub(crate) fn new(part: Part) -> Self {
        Self { part, places: Arc::default() }
    }

    /// The watch of this place goes on.
    pub(crate) fn ok(&self, place: &str) {
        self.set(place, None);
    }

    /// The watch of this place does not go on, and why.
    pub(crate) fn waiting(&self, place: &str, why: String) {
        self.set(place, Some(why));
    }

    /// The watches begin anew: what was told before no longer counts.
    pub(crate) fn clear(&self) {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// No place is watched now, and why that is well.
    pub(crate) fn idle(&self, why: &str) {
        self.clear();
        self.part.ok(why);
    }

    fn set(&self, place: &str, fault: Option<String>) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.get(place) == Some(&fault) {
            return;
        }
        places.insert(place.to_owned(), fault);
        let faults: Vec<&str> = places.values().filter_map(Option::as_deref).collect();
        if faults.is_empty() {
            self.part.ok("watching");
        } else {
            self.part.waiting(faults.join("; "));
        }
    }
}
