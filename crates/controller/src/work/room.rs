//! How much may be worked on at once, by size: runs are written by users, and some are large.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of JSON, the TaskRuns of a PipelineRun included. Parsed, and made into statements and envelopes, they take
/// several times as much. Hundreds of ordinary runs are less than this.
const BYTES: usize = 24 * 1024 * 1024;
/// Bytes for each permit.
const UNIT: usize = 1024;
/// All of it.
const UNITS: u32 = 24 * 1024;

/// Room that was taken, until it is dropped.
pub(super) type Taken<'a> = Option<SemaphorePermit<'a>>;

/// The room that all runs in hand share; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
}

impl Room {
    /// All of it free.
    pub(crate) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(BYTES / UNIT)) }
    }

    /// Waits until there is room for so many bytes; it is given back when what is answered is dropped. What needs
    /// more than there is gets all of it, alone.
    pub(super) async fn take(&self, bytes: usize) -> Taken<'_> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(UNITS).clamp(1, UNITS);
        // It is never closed.
        self.free.acquire_many(units).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_units_are_all_of_it() {
        assert_eq!(UNITS as usize, BYTES / UNIT);
    }

    #[tokio::test]
    async fn what_is_large_waits_for_room_and_what_is_larger_goes_alone() {
        let room = Room::new();
        let small = room.take(10 * UNIT).await;
        assert!(room.take(usize::MAX).now_or_never().is_none(), "the small one is in hand");
        drop(small);
        let large = room.take(usize::MAX).now_or_never().flatten();
        assert!(large.is_some());
        assert!(room.take(1).now_or_never().is_none(), "there is no room beside it");
        drop(large);
        assert!(room.take(0).now_or_never().flatten().is_some());
    }
}
