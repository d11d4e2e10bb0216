//! Moving buckets: looking, taking, giving up.

use std::sync::Arc;
use std::time::Duration;

use chains_core::{ErrorKind, Result};
use futures_util::stream::{self, StreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use tokio::time::{Instant, timeout};

use super::bucket::{Bucket, Buckets};
use super::plan::{self, Me, Plan};
use super::record::{Record, Writer, bucket_name, member_name};
use super::task::{Task, by};
use super::{Condition, Move};

/// Buckets whose work in hand has ended, or has had its time.
#[derive(Debug)]
pub(super) struct Drained {
    /// Which drain: a bucket may have been lost, taken and given again since it began.
    number: u64,
    buckets: Buckets,
    in_time: bool,
}

/// Writes that are sent at once.
const TOGETHER: usize = 8;
/// Leases that nobody needs are deleted so many a turn.
const TIDIED: usize = 8;

impl Task {
    /// Reads all Leases.
    pub(super) async fn read(&mut self) -> Result<()> {
        let leases = Arc::clone(&self.leases);
        let asked = self.now();
        let listing = by(self.request_until(), "listing the Leases", leases.list()).await?;
        let records = listing.leases.into_iter().filter_map(Record::read);
        self.records = records.map(|record| (record.name.clone(), record)).collect();
        let expected = plan::expected(&self.records, self.total);
        let watched = plan::watched(&self.records, &expected);
        self.sightings.list(asked, self.now(), watched);
        self.changes.watch(leases.as_ref(), listing.version);
        Ok(())
    }

    /// Reads all Leases and does what follows from them.
    pub(super) async fn look(&mut self) -> Result<()> {
        self.read().await?;
        if !self.is_member() {
            return Ok(());
        }
        let mine = self.records.get(&member_name(&self.holder.identity));
        let mine = mine.filter(|record| record.holder.as_ref() == Some(&self.holder));
        let (Some(mine), Some(session)) = (mine, &mut self.membership.session) else {
            self.lose("the Lease of this replica is gone or another's");
            return Ok(());
        };
        // Somebody may have written a label on it: the next renewal names the version that is there.
        session.lease = mine.lease.clone();
        let plan = plan::plan(
            &Me {
                holder: &self.holder,
                total: self.total,
                duration: self.lease_duration,
                active: session.active,
                joined: self.membership.joined,
                held: &self.held.keys().copied().collect(),
                leaving: &self.all_leaving(),
            },
            &self.records,
            &self.sightings,
        );
        self.follow(plan).await;
        Ok(())
    }

    async fn follow(&mut self, plan: Plan) {
        self.membership.joined = plan.joined;
        if self.membership.active != plan.active {
            self.membership.active = plan.active;
            self.renew_at = Instant::now();
        }
        if let Some(ripe) = plan.ripe {
            let pause = self.instant(ripe).saturating_duration_since(Instant::now());
            self.look_within(pause);
        }
        self.see_what_is_left(&plan.lost);
        self.declare_dead(&plan.dead).await;
        self.give(&plan.give, self.times.drain);
        self.take(&plan.take).await;
        if !plan.drop.is_empty() {
            self.release(&plan.drop).await;
        }
        self.tidy(&plan.remove).await;
        if self.is_member() {
            self.observer.condition(Condition::Ready(self.standing(&plan)));
        }
    }

    /// Takes note of the Leases of what is held as they are now, and drops what others have taken.
    fn see_what_is_left(&mut self, lost: &Buckets) {
        for (bucket, lease) in &mut self.held {
            if let Some(record) = self.records.get(&bucket_name(*bucket, self.total)) {
                *lease = record.lease.clone();
            }
        }
        if lost.is_empty() {
            return;
        }
        for bucket in lost.iter() {
            self.held.remove(&bucket);
            self.leaving.remove(&bucket);
        }
        self.tell();
        self.work.abort(lost);
        tracing::warn!(buckets = %lost, "lost buckets: their Leases were written by somebody else");
        self.observer.moved(Move::Lost, lost.len(), self.held.len());
    }

    /// Begins to give up: they are held until the work in hand has ended, or for so long.
    pub(super) fn give(&mut self, leaving: &Buckets, within: Duration) {
        if leaving.is_empty() {
            return;
        }
        self.draining += 1;
        let number = self.draining;
        self.leaving.extend(leaving.iter().map(|bucket| (bucket, number)));
        self.tell();
        tracing::info!(buckets = %leaving, "giving up buckets");
        let (work, buckets) = (Arc::clone(&self.work), leaving.clone());
        self.drains.push(Box::pin(async move {
            let in_time = timeout(within, work.drain(&buckets)).await.is_ok();
            Drained { number, buckets, in_time }
        }));
    }

    /// Releases what is drained, unless it was lost meanwhile: then the Lease is not ours to write.
    pub(super) async fn end_drain(&mut self, drained: Drained) {
        let still_leaving =
            |bucket: &Bucket| self.leaving.get(bucket).is_some_and(|by| *by == drained.number);
        let buckets: Buckets = drained.buckets.iter().filter(still_leaving).collect();
        if buckets.is_empty() {
            return;
        }
        if !drained.in_time {
            tracing::warn!(%buckets, "dropping work that did not end in time");
            self.work.abort(&buckets);
        }
        self.release(&buckets).await;
    }

    async fn take(&mut self, wanted: &Buckets) {
        if wanted.is_empty() {
            return;
        }
        let until = self.request_until();
        let writes = wanted.iter().map(|bucket| {
            let name = bucket_name(bucket, self.total);
            let before = self.records.get(&name).map(|record| &record.lease);
            let lease = self.writer.taken(before, bucket, &self.holder);
            let (leases, is_new) = (Arc::clone(&self.leases), before.is_none());
            let write = async move {
                if is_new { leases.create(&lease).await } else { leases.replace(&lease).await }
            };
            async move { (bucket, by(until, &format!("taking {name}"), write).await) }
        });
        let writes: Vec<_> = writes.collect();
        let written: Vec<_> = stream::iter(writes).buffer_unordered(TOGETHER).collect().await;
        if !self.is_member() {
            return;
        }
        let mut taken = Buckets::default();
        for (bucket, written) in written {
            match written {
                Ok(lease) => {
                    self.know(&lease);
                    self.held.insert(bucket, lease);
                    taken.insert(bucket);
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    tracing::debug!(%bucket, "somebody else was first");
                    self.look_within(self.times.request);
                }
                Err(error) => tracing::warn!(%bucket, error = %error.report(), "not taken"),
            }
        }
        self.tell();
        if !taken.is_empty() {
            tracing::info!(buckets = %taken, held = %self.all_held(), "took buckets");
            self.observer.moved(Move::Taken, taken.len(), self.held.len());
        }
    }

    /// Gives up at once: nothing of these buckets is in hand.
    pub(super) async fn release(&mut self, buckets: &Buckets) {
        let mut writes = Vec::new();
        let before = self.held.len();
        let until = self.request_until();
        for bucket in buckets.iter() {
            self.leaving.remove(&bucket);
            let name = bucket_name(bucket, self.total);
            let is_ours = |record: &&Record| {
                record.holder.as_ref().is_some_and(|by| by.identity == self.holder.identity)
            };
            let listed = || self.records.get(&name).filter(is_ours).map(|r| r.lease.clone());
            let Some(lease) = self.held.remove(&bucket).or_else(listed) else { continue };
            let (leases, lease) = (Arc::clone(&self.leases), Writer::released(&lease));
            writes.push(async move {
                let write = leases.replace(&lease);
                (bucket, by(until, &format!("releasing {name}"), write).await)
            });
        }
        self.tell();
        let given = before - self.held.len();
        let written: Vec<_> = stream::iter(writes).buffer_unordered(TOGETHER).collect().await;
        for (bucket, written) in written {
            match written {
                Ok(lease) => self.know(&lease),
                Err(error) => tracing::warn!(%bucket, error = %error.report(), "not released"),
            }
        }
        tracing::info!(%buckets, held = %self.all_held(), "gave up buckets");
        if given > 0 {
            self.observer.moved(Move::Given, given, self.held.len());
        }
    }

    /// Writes on the Leases of dead members that nobody holds them: theirs is free, for everybody who looks.
    ///
    /// Where one has come back in between, the write fails; where one comes back later, it begins anew.
    async fn declare_dead(&mut self, names: &[String]) {
        for name in names {
            let Some(record) = self.records.get(name) else { continue };
            let (leases, lease) = (Arc::clone(&self.leases), Writer::released(&record.lease));
            match by(self.request_until(), "ending a session", leases.replace(&lease)).await {
                Ok(lease) => {
                    self.know(&lease);
                    tracing::info!(lease = %name, "a replica is dead");
                }
                Err(error) => tracing::debug!(error = %error.report(), "not declared dead"),
            }
        }
    }

    async fn tidy(&mut self, names: &[String]) {
        for name in names.iter().take(TIDIED) {
            let Some(record) = self.records.remove(name) else { continue };
            let (leases, until) = (Arc::clone(&self.leases), self.request_until());
            match by(until, "deleting a Lease", leases.delete(&record.lease)).await {
                Ok(()) => tracing::info!(lease = %name, "deleted a Lease that nobody needs"),
                Err(error) => tracing::debug!(error = %error.report(), "not deleted"),
            }
        }
    }

    fn know(&mut self, lease: &Lease) {
        if let Some(record) = Record::read(lease.clone()) {
            self.records.insert(record.name.clone(), record);
        }
    }

    fn standing(&self, plan: &Plan) -> String {
        let held: usize = self.held.len() - self.leaving.len();
        let total = self.total;
        let mut text = match plan.members {
            1 => format!("holding {held} of {total} buckets"),
            members => format!("holding {held} of {total} buckets, {members} replicas"),
        };
        if !plan.waiting_for.is_empty() {
            let others = plan.waiting_for.join(", ");
            text.push_str(&format!(
                "; waiting for replicas to go that have another number: {others}"
            ));
        }
        text
    }
}
