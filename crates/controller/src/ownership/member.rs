//! Being a member: sessions, renewals, letting go, leaving.

use std::sync::Arc;
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result};
use futures_util::stream::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use tokio::time::{Instant, sleep_until};

use super::record::{Record, member_name};
use super::task::{Task, at, by};
use super::{Condition, Move};

/// How this replica stands among the others.
#[derive(Debug)]
pub(super) struct Membership {
    /// The present session, where there is one.
    pub(super) session: Option<Session>,
    /// What our Lease is to say: whether we take buckets, or stand by.
    pub(super) active: bool,
    /// Whether we have begun to take buckets in this session.
    pub(super) joined: bool,
    /// Whether there was a session before: then a Lease of our name is not a predecessor's.
    was_member: bool,
    sessions: u32,
}

/// A session that goes on as long as renewals are in time.
#[derive(Debug)]
pub(super) struct Session {
    /// Our Lease as it was written last.
    pub(super) lease: Lease,
    /// Whether that says that we take buckets.
    pub(super) active: bool,
    /// Until when we may go on without another renewal.
    until: Instant,
}

impl Default for Membership {
    fn default() -> Self {
        Self { session: None, active: true, joined: false, was_member: false, sessions: 1 }
    }
}

impl Task {
    /// Until when this session may go on.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.membership.session.as_ref().map(|session| session.until)
    }

    /// Whether there is a session, and it is not too late for it.
    pub(super) fn is_member(&self) -> bool {
        self.deadline().is_some_and(|until| Instant::now() < until)
    }

    /// Renews the session, or begins one.
    pub(super) async fn renew(&mut self) -> Result<()> {
        match &self.membership.session {
            Some(session) => {
                let before = session.lease.clone();
                self.renew_session(before).await
            }
            None => self.begin_session().await,
        }
    }

    async fn renew_session(&mut self, before: Lease) -> Result<()> {
        let failed = match self.write_member(Some(&before)).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if !matches!(failed.kind(), ErrorKind::Conflict | ErrorKind::NotFound) {
            return Err(failed);
        }
        // An answer that was lost, or somebody's hand: as long as the Lease names this session, it goes on.
        self.read().await?;
        match self.my_record().filter(|record| record.holder.as_ref() == Some(&self.holder)) {
            Some(record) => {
                let lease = record.lease.clone();
                self.write_member(Some(&lease)).await
            }
            None => {
                self.lose("the Lease of this replica is gone or another's");
                Err(failed)
            }
        }
    }

    async fn begin_session(&mut self) -> Result<()> {
        if !self.membership.was_member && self.records.is_empty() {
            // Most replicas have a name that nobody had before.
            match self.write_member(None).await {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                done => return done,
            }
        }
        self.read().await?;
        let before = match self.my_record() {
            Some(record) if self.may_succeed(record) => Some(record.lease.clone()),
            None => None,
            Some(record) => {
                let what = format!("joining as {}", self.holder.identity);
                let holder = record.holder.as_ref().map(ToString::to_string).unwrap_or_default();
                let why = format!("another process is alive under this identity: {holder}");
                return Err(Error::new(ErrorKind::Conflict, what).with_source(why));
            }
        };
        self.write_member(before.as_ref()).await
    }

    /// Whether a session may begin where the Lease of our name says this.
    fn may_succeed(&self, record: &Record) -> bool {
        let duration = record.duration.unwrap_or(self.lease_duration);
        let is_dead = self.sightings.unchanged(&record.name) >= duration;
        record.holder.as_ref().is_none_or(|holder| {
            let is_predecessor =
                !self.membership.was_member && holder.identity == self.holder.identity;
            is_dead || is_predecessor || holder.is_same_process(&self.holder)
        })
    }

    fn my_record(&self) -> Option<&Record> {
        self.records.get(&member_name(&self.holder.identity))
    }

    async fn write_member(&mut self, before: Option<&Lease>) -> Result<()> {
        let active = self.membership.active;
        let lease = self.writer.member(before, &self.holder, active);
        let leases = Arc::clone(&self.leases);
        let (asked, until) = (Instant::now(), self.request_until());
        let what = "renewing the Lease of this replica";
        let lease = match before {
            Some(_) => by(until, what, leases.replace(&lease)).await?,
            None => by(until, what, leases.create(&lease)).await?,
        };
        if self.deadline().is_some_and(|until| Instant::now() >= until) {
            // Written, but the session was over by then: others may have counted us as dead.
            let why = format!("{what}: the answer came too late");
            return Err(Error::new(ErrorKind::Timeout, why));
        }
        let until = asked + self.times.deadline;
        self.membership.session = Some(Session { lease, active, until });
        self.membership.was_member = true;
        self.fence.extend(until);
        Ok(())
    }

    /// Lets go of everything at once, and goes on in a new session.
    pub(super) fn lose(&mut self, why: &str) {
        let lost = self.all_held();
        self.fence.close();
        self.held.clear();
        self.leaving.clear();
        self.drains.clear();
        let sessions = self.membership.sessions + 1;
        let was_member = self.membership.was_member;
        self.membership = Membership { sessions, was_member, ..Membership::default() };
        let process = self.holder.session.split('-').next().unwrap_or_default();
        self.holder.session = format!("{process}-{sessions}");
        self.tell();
        self.work.abort(&lost);
        tracing::warn!(buckets = %lost, "lost all buckets: {why}");
        self.observer.condition(Condition::Faulty(format!("lost all buckets: {why}")));
        if !lost.is_empty() {
            self.observer.moved(Move::Lost, lost.len(), 0);
        }
        self.renew_at = Instant::now();
    }

    /// Drains, releases, goes.
    pub(super) async fn leave(mut self, within: Duration) {
        let end = Instant::now() + within;
        // What is left of the time is for a few requests.
        let drained_by = end - (within / 4).min(self.times.request);
        let waits = "leaving: waiting for the work in hand";
        self.observer.condition(Condition::Waiting(waits.to_owned()));
        self.give(&self.all_held().without(&self.all_leaving()), within);
        while !self.drains.is_empty() {
            let (deadline, wake) = (self.deadline(), self.renew_at);
            tokio::select! {
                biased;
                () = at(deadline) => self.lose("the Lease could not be renewed in time"),
                () = sleep_until(drained_by) => break,
                drained = self.drains.next() => {
                    tracing::debug!(buckets = ?drained, "drained");
                }
                () = sleep_until(wake) => {
                    self.renew_in_time().await;
                }
            }
        }
        if !self.drains.is_empty() {
            self.drains.clear();
            self.work.abort(&self.all_held());
        }
        let left = self.all_held();
        self.delete_member().await;
        self.release(&left).await;
    }

    /// First the member, then its buckets: who sees one free must not wait for us to take it.
    async fn delete_member(&mut self) {
        let Some(session) = self.membership.session.take() else { return };
        let leases = Arc::clone(&self.leases);
        let until = self.request_until();
        let what = "deleting the Lease of this replica";
        if let Err(error) = by(until, what, leases.delete(&session.lease)).await {
            tracing::warn!(error = %error.report(), "others will count this replica for a while");
        }
    }
}
