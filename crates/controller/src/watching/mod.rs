//! Follows the API server's runs, and keeps of each only what decides what is to be done.
//!
//! Objects are not cached. A run that needs nothing is forgotten as soon as it was glanced at, so memory does not
//! grow with the number of runs in the cluster.

mod glance;
mod state;
mod stream;
mod triage;

pub(crate) use glance::{Glance, Mark, Seen, finalizer};
pub(crate) use state::WatchState;
pub(crate) use stream::{Watch, Watching, kinds_and_namespaces};
pub(crate) use triage::{Todo, triage};
