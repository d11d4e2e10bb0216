//! A run at which the program failed outside of what the engine does: reading it, say.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chains_core::Result;
use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::Worker;
use super::outcome::Verdict;
use crate::queue::{Done, Item};
use crate::watching::{Mark, Todo};

/// How long such a run waits where nothing can be written on it: others are not to suffer.
const PAUSE: Duration = Duration::from_secs(300);
/// How often that is for a run that is gone: nobody but us has it.
const WAITS: u32 = 3;
const WHY: &str =
    "the program failed at this run (a panic, told on standard error): please report it";

impl Worker {
    /// Counts the attempt as one that failed, and so gives up in the end: the run is not to be held for ever. Where even
    /// that fails (nothing can be read of it, say) it is tried again from time to time, and one that is gone given up.
    pub(super) async fn broken(&self, item: Item) -> Done {
        tracing::error!("{WHY}");
        if item.verdict.is_some() {
            // Only the write is left, and what was made is not to be made again.
            return put_aside(item);
        }
        match AssertUnwindSafe(self.count(&item)).catch_unwind().await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => {
                tracing::warn!(error = %error.report(), "it could not be told on the run");
                put_aside(item)
            }
            Err(_panic) if item.gone && item.waits >= WAITS => Done::Finished(None),
            Err(_panic) => put_aside(item),
        }
    }

    async fn count(&self, item: &Item) -> Result<Done> {
        let active = self.settings.borrow().clone();
        let Some(active) = active.filter(|_| item.todo == Todo::Sign) else {
            return Ok(put_aside(item.clone()));
        };
        let Some(seen) = self.read(item).await? else { return Ok(Done::Finished(None)) };
        if seen.glance.mark != Mark::None {
            return Ok(Done::Finished(seen.glance.resource_version.parse().ok()));
        }
        let retries = if item.gone { item.retries } else { seen.glance.retries };
        let verdict = Verdict::broken(WHY, retries, &active.retry);
        Ok(self.conclude(item, &seen.glance, Arc::new(verdict)).await)
    }
}

fn put_aside(item: Item) -> Done {
    let not_before = Some(Instant::now() + PAUSE);
    Done::Later(Box::new(Item { not_before, waits: item.waits.saturating_add(1), ..item }))
}
