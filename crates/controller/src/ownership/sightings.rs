//! Who is alive, told by what was seen and when, never by the times that others wrote.
//!
//! The clocks of two machines are not compared: a member is dead when its Lease has not changed for as long as the
//! Lease says, by the clock of the one who looks. That clock runs from when a version was *received* to when the
//! list that still shows it was *asked for*: within that time no renewal reached the API server, for certain.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// A time of this process's own monotonic clock: how long after its start.
pub(super) type Moment = Duration;

/// Since when each Lease is as it is.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    seen: HashMap<String, Sighting>,
    /// When the last list was asked for.
    asked: Moment,
}

#[derive(Debug)]
struct Sighting {
    /// `None` where there is no such Lease.
    version: Option<String>,
    since: Moment,
}

impl Sightings {
    /// Takes in a list: of each Lease that matters its version, `None` where it is missed in the list.
    ///
    /// What is not named in `listed` is forgotten.
    pub(super) fn list<'a>(
        &mut self,
        asked: Moment,
        received: Moment,
        listed: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) {
        self.asked = asked;
        let mut named = HashSet::new();
        for (name, version) in listed {
            named.insert(name);
            self.note(name, version, received);
        }
        self.seen.retain(|name, _| named.contains(name.as_str()));
    }

    /// Takes in one Lease that was received at `received`: a change that is seen early is counted from then.
    pub(super) fn note(&mut self, name: &str, version: Option<&str>, received: Moment) {
        match self.seen.get_mut(name) {
            Some(sighting) if sighting.version.as_deref() == version => {}
            Some(sighting) => {
                *sighting = Sighting { version: version.map(str::to_owned), since: received };
            }
            None => {
                let sighting = Sighting { version: version.map(str::to_owned), since: received };
                self.seen.insert(name.to_owned(), sighting);
            }
        }
    }

    /// For how long the Lease has certainly been as the last list showed it.
    pub(super) fn unchanged(&self, name: &str) -> Duration {
        let since = self.seen.get(name).map_or(self.asked, |sighting| sighting.since);
        self.asked.saturating_sub(since)
    }

    /// When a list has to be asked for so that the Lease, if it does not change, has been the same for `duration`.
    pub(super) fn ripe(&self, name: &str, duration: Duration) -> Moment {
        let since = self.seen.get(name).map_or(self.asked, |sighting| sighting.since);
        since.saturating_add(duration)
    }
}
