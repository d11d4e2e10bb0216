//! Clusters that cases use one after another, each alone.

use std::{
    ops::Deref,
    sync::{Mutex, PoisonError},
};

use anyhow::Result;

use super::{Cluster, Options, purge};
use crate::scene::Scene;

static IDLE: Mutex<Vec<Cluster>> = Mutex::new(Vec::new());

/// A cluster that nobody else uses until this is dropped. There are no runs in it and no Chains.
#[derive(Debug)]
pub struct Borrowed(Option<Cluster>);

/// Takes a cluster that an earlier case has used, cleared of what that left behind, or starts one.
///
/// # Errors
/// If none can be started.
pub fn borrow(scene: &Scene<'_>) -> Result<Borrowed> {
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    if let Some(mut cluster) = idle
        && cluster.is_running()
    {
        purge::purge(cluster.api())?;
        cluster.show_logs_in(scene)?;
        return Ok(Borrowed(Some(cluster)));
    }
    Ok(Borrowed(Some(Cluster::start(scene, &Options::default())?)))
}

/// Stops all of them: nothing is dropped by itself when a process ends.
pub(crate) fn stop() {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

impl Deref for Borrowed {
    type Target = Cluster;

    #[allow(clippy::expect_used, reason = "it is taken out by `drop` only")]
    fn deref(&self) -> &Cluster {
        self.0.as_ref().expect("a cluster until it is dropped")
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).extend(self.0.take());
    }
}
