//! Leases as ownership reads and writes them: names, labels, and what a Lease of ours says.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use super::bucket::{Bucket, MOST_BUCKETS, fnv1a};

/// Before every name of a Lease of ours.
const PREFIX: &str = "tekton-chains-controller.";
/// Tells members from buckets, and both from what else is in the namespace.
pub(super) const LEASE_LABEL: &str = "chains.tekton.dev/lease";
/// Kubernetes' own label of what an object belongs to.
const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";
const PART_OF: &str = "tekton-chains";
/// On a member: how many buckets it divides the runs into.
const TOTAL_ANNOTATION: &str = "chains.tekton.dev/buckets";
/// On a member: whether it takes buckets, or stands by until replicas with another number of them are gone.
const STANDING_ANNOTATION: &str = "chains.tekton.dev/standing";
const ACTIVE: &str = "active";
const STANDBY: &str = "standby";
/// The longest identity that goes into a name as it is; the name of an object holds 253 characters.
const LONGEST_IDENTITY: usize = 180;

/// Who holds a Lease: an identity, in one of its sessions.
///
/// A session lasts from a first renewal to the first one that came too late. What was held in a session that is
/// over is not held any more, though the Lease still names its holder: it has to be taken, with a write, like
/// anybody else's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holder {
    /// The name of the replica: of its Pod.
    pub(super) identity: String,
    /// Random and different for every process, with a count of the process's sessions.
    pub(super) session: String,
}

impl Holder {
    fn read(text: &str) -> Option<Self> {
        let (identity, session) = text.rsplit_once('_').unwrap_or((text, ""));
        let holder = Self { identity: identity.to_owned(), session: session.to_owned() };
        (!text.is_empty()).then_some(holder)
    }

    /// Whether both are sessions of the same process.
    pub(super) fn is_same_process(&self, other: &Self) -> bool {
        let process =
            |session: &str| session.rsplit_once('-').map(|(process, _)| process.to_owned());
        self.identity == other.identity && process(&self.session) == process(&other.session)
    }
}

/// As in `holderIdentity`: `identity_session`, which is how client-go's users write theirs.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.identity, self.session)
    }
}

/// What a Lease of ours stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A replica that is there.
    Member {
        /// Into how many buckets it divides the runs; `None` where the Lease does not tell.
        total: Option<u16>,
        /// Whether it takes buckets, or stands by.
        active: bool,
        /// Whether it was renewed since its session began.
        renewed: bool,
    },
    /// A bucket, of so many.
    Bucket {
        /// Which.
        bucket: Bucket,
        /// Of how many.
        total: u16,
    },
}

/// A Lease of ours, read.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Name of the Lease.
    pub(super) name: String,
    /// Changes with every write.
    pub(super) version: String,
    /// What it stands for.
    pub(super) what: What,
    /// Who holds it; `None` where nobody does.
    pub(super) holder: Option<Holder>,
    /// How long without a renewal its holder counts as alive.
    pub(super) duration: Option<Duration>,
    /// As it was read: what we do not know of it is written back unchanged.
    pub(super) lease: Lease,
}

impl Record {
    /// Reads a Lease; `None` where it is not one of ours.
    pub(super) fn read(mut lease: Lease) -> Option<Self> {
        // Most of a Lease's bytes; the API server keeps them where they are not sent.
        lease.metadata.managed_fields = None;
        let name = lease.metadata.name.clone()?;
        let version = lease.metadata.resource_version.clone()?;
        let spec = lease.spec.clone().unwrap_or_default();
        let what = match bucket_of(&name) {
            Some((bucket, total)) => What::Bucket { bucket, total },
            None => {
                name.strip_prefix(PREFIX)?.strip_prefix("member.")?;
                let note = |key| lease.metadata.annotations.as_ref().and_then(|all| all.get(key));
                What::Member {
                    total: note(TOTAL_ANNOTATION).and_then(|total| total.parse().ok()),
                    active: note(STANDING_ANNOTATION).is_some_and(|standing| standing == ACTIVE),
                    renewed: spec.acquire_time != spec.renew_time,
                }
            }
        };
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let holder = spec.holder_identity.as_deref().and_then(Holder::read);
        Some(Self { name, version, what, holder, duration, lease })
    }

    /// Whether both say the same; a renewal says nothing new.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.holder == other.holder && self.what == other.what
    }
}

/// The name of a member's Lease.
///
/// An identity that may not stand in a name is written so that it may, with a hash that keeps it from another's.
pub(super) fn member_name(identity: &str) -> String {
    let allowed = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let written: String = identity.chars().map(allowed).take(LONGEST_IDENTITY).collect();
    let written = written.trim_matches('-');
    if written == identity && !written.is_empty() {
        return format!("{PREFIX}member.{written}");
    }
    let dash = if written.is_empty() { "" } else { "-" };
    format!("{PREFIX}member.{written}{dash}{:016x}", fnv1a(identity.as_bytes()))
}

/// The name of a bucket's Lease, as `tekton-chains-controller.bucket-03-of-16`.
pub(super) fn bucket_name(bucket: Bucket, total: u16) -> String {
    let width = total.saturating_sub(1).to_string().len().max(2);
    format!("{PREFIX}bucket-{:0width$}-of-{total}", bucket.index())
}

fn bucket_of(name: &str) -> Option<(Bucket, u16)> {
    let (index, total) = name.strip_prefix(PREFIX)?.strip_prefix("bucket-")?.split_once("-of-")?;
    let (bucket, total) = (Bucket::new(index.parse().ok()?), total.parse().ok()?);
    let known = total <= MOST_BUCKETS && bucket.index() < total;
    // Two names of one bucket would be two Leases of it.
    (known && bucket_name(bucket, total) == name).then_some((bucket, total))
}

/// What is written into Leases of ours.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    /// Namespace of all Leases.
    pub(super) namespace: String,
    /// How many buckets there are.
    pub(super) total: u16,
    /// How long we count as alive without a renewal.
    pub(super) duration: Duration,
}

impl Writer {
    /// A member's Lease, renewed now; `before` is the Lease as it is, if there is one.
    ///
    /// Times of the wall clock are for people: nobody decides anything by them.
    pub(super) fn member(&self, before: Option<&Lease>, holder: &Holder, active: bool) -> Lease {
        let now = MicroTime(Timestamp::now());
        let mut lease = self.base(before, member_name(&holder.identity), "member");
        let annotations = lease.metadata.annotations.get_or_insert_default();
        annotations.insert(TOTAL_ANNOTATION.to_owned(), self.total.to_string());
        let standing = if active { ACTIVE } else { STANDBY };
        annotations.insert(STANDING_ANNOTATION.to_owned(), standing.to_owned());
        self.hold(&mut lease, holder, now);
        lease
    }

    /// A bucket's Lease, taken by `holder`.
    pub(super) fn taken(&self, before: Option<&Lease>, bucket: Bucket, holder: &Holder) -> Lease {
        let mut lease = self.base(before, bucket_name(bucket, self.total), "bucket");
        self.hold(&mut lease, holder, MicroTime(Timestamp::now()));
        lease
    }

    /// A bucket's Lease, given up: anybody may take it.
    pub(super) fn released(before: &Lease) -> Lease {
        let mut lease = before.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        lease
    }

    fn base(&self, before: Option<&Lease>, name: String, kind: &str) -> Lease {
        let mut lease = before.cloned().unwrap_or_default();
        if before.is_none() {
            lease.metadata = ObjectMeta {
                name: Some(name),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            };
        }
        lease.metadata.labels.get_or_insert_with(BTreeMap::new).extend([
            (PART_OF_LABEL.to_owned(), PART_OF.to_owned()),
            (LEASE_LABEL.to_owned(), kind.to_owned()),
        ]);
        lease
    }

    fn hold(&self, lease: &mut Lease, holder: &Holder, now: MicroTime) {
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        let holder = holder.to_string();
        if spec.holder_identity.as_ref() != Some(&holder) {
            let moved = spec.lease_transitions.map_or(0, |times| times.saturating_add(1));
            spec.lease_transitions = Some(moved);
            spec.acquire_time = Some(now.clone());
            spec.holder_identity = Some(holder);
        }
        spec.renew_time = Some(now);
        // Rounded up: others may wait longer than we count on, never shorter.
        let seconds = self.duration.as_millis().div_ceil(1000);
        spec.lease_duration_seconds = Some(i32::try_from(seconds).unwrap_or(i32::MAX));
    }
}
