//! Takes a run through the engine, and closes it with one write.

mod api;
mod attempt;
mod broken;
mod children;
mod close;
mod conclude;
mod dispatch;
mod outcome;
mod room;

use std::time::Duration;

use crate::events::Events;
use crate::ownership::Fence;
use crate::settings::Settings;
use crate::telemetry::Metrics;

pub(crate) use api::Runs;
pub(crate) use attempt::ATTEMPT;
pub(crate) use dispatch::dispatch;
pub(crate) use outcome::Verdict;
pub(crate) use room::Room;

/// What the work on a run needs.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) runs: Runs,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) events: Events,
    /// Whether a run is still this replica's to write on.
    pub(crate) fence: Fence,
    /// Shared by all that is in hand.
    pub(crate) room: Room,
}

/// How long to wait where the API server refuses what only somebody else can mend.
const REFUSED: Duration = Duration::from_secs(30);
