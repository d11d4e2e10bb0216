//! What is to be done, decided from the Leases as they were listed: no I/O, no clock, no chance.
//!
//! Every replica decides for itself and alike. Where two have seen different lists, the versions that their writes
//! name keep them apart.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::bucket::{Bucket, Buckets};
use super::record::{Holder, Record, What, bucket_name, member_name};
use super::sightings::{Moment, Sightings};

/// Who decides, and what it believes to have.
#[derive(Debug)]
pub(super) struct Me<'a> {
    /// The identity in its present session.
    pub(super) holder: &'a Holder,
    /// How many buckets there are.
    pub(super) total: u16,
    /// How long without a renewal a member counts as alive whose Lease does not tell.
    pub(super) duration: Duration,
    /// Whether our Lease said that we take buckets when the list was asked for.
    pub(super) active: bool,
    /// Whether this session has begun to take buckets.
    pub(super) joined: bool,
    /// What we hold, with what is leaving.
    pub(super) held: &'a Buckets,
    /// What we are about to give up.
    pub(super) leaving: &'a Buckets,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Held as we believed, but not so says the Lease.
    pub(super) lost: Buckets,
    /// To be taken, ours of an earlier session among them.
    pub(super) take: Buckets,
    /// To be given up, once the work in hand has ended.
    pub(super) give: Buckets,
    /// To be given up at once: ours of an earlier session, in which nobody works.
    pub(super) drop: Buckets,
    /// Names of the Leases of members that are dead: to be told so to everybody.
    pub(super) dead: Vec<String>,
    /// Names of Leases that nobody needs any more.
    pub(super) remove: Vec<String>,
    /// What our Lease has to say.
    pub(super) active: bool,
    /// Whether we may take buckets.
    pub(super) joined: bool,
    /// Replicas that divide the runs into another number of buckets, and have not gone yet.
    pub(super) waiting_for: Vec<String>,
    /// How many replicas share the buckets, this one included.
    pub(super) members: usize,
    /// When to look again, if nothing happens before: some member may be dead by then.
    pub(super) ripe: Option<Moment>,
}

/// The Leases as they were listed, with what was seen of them before.
#[derive(Debug)]
pub(super) struct Survey<'a> {
    me: &'a Me<'a>,
    records: &'a HashMap<String, Record>,
    sightings: &'a Sightings,
}

/// A bucket of our total.
#[derive(Debug, PartialEq, Eq)]
enum Spot<'a> {
    /// Held by us: in this session, or in one before.
    Mine,
    /// Held by another member that counts as alive.
    Held(&'a str),
    /// Nobody's.
    Free,
    /// There is no Lease, and somebody might still believe to hold it.
    Unsure,
}

/// Decides. `records` are the Leases by name; `sightings` has taken in the same list.
pub(super) fn plan(me: &Me<'_>, records: &HashMap<String, Record>, sightings: &Sightings) -> Plan {
    let survey = Survey { me, records, sightings };
    let mut plan = survey.standing();
    plan.lost = survey.lost();
    plan.ripe = survey.ripe();
    plan.dead = survey.dead();
    if plan.joined {
        survey.share(&mut plan);
        plan.remove = survey.garbage();
    } else {
        plan.members = 1;
    }
    plan
}

/// What has to be watched for change: every member that is there, and every one that is named as a holder;
/// every bucket of ours.
pub(super) fn watched<'a>(
    records: &'a HashMap<String, Record>,
    names: &'a [String],
) -> Vec<(&'a str, Option<&'a str>)> {
    let version = |name: &str| records.get(name).map(|record| record.version.as_str());
    let listed = records.keys().map(String::as_str);
    let all: HashSet<&str> = listed.chain(names.iter().map(String::as_str)).collect();
    all.into_iter().map(|name| (name, version(name))).collect()
}

/// Names of Leases that matter though they may be missing: of holders, and of our buckets.
pub(super) fn expected(records: &HashMap<String, Record>, total: u16) -> Vec<String> {
    let holders = records.values().filter_map(|record| record.holder.as_ref());
    let buckets = (0..total).map(|index| bucket_name(Bucket::new(index), total));
    holders.map(|holder| member_name(&holder.identity)).chain(buckets).collect()
}

impl<'a> Survey<'a> {
    fn members(&self) -> impl Iterator<Item = (&'a Record, &'a Holder)> {
        let others = self.records.values().filter(|r| matches!(r.what, What::Member { .. }));
        let mine = &self.me.holder.identity;
        let others = others.filter_map(|record| Some((record, record.holder.as_ref()?)));
        others.filter(move |(_, holder)| holder.identity != *mine)
    }

    /// How long the member counts as alive without a renewal.
    fn duration_of(&self, name: &str) -> Duration {
        self.told(name).unwrap_or(self.me.duration)
    }

    fn told(&self, name: &str) -> Option<Duration> {
        self.records.get(name)?.duration
    }

    fn is_alive(&self, name: &str) -> bool {
        self.sightings.unchanged(name) < self.duration_of(name)
    }

    /// The other members of our total that take buckets.
    fn peers(&self) -> impl Iterator<Item = (&'a Record, &'a Holder)> {
        let total = self.me.total;
        let takes = move |record: &Record| match record.what {
            What::Member { total: theirs, active, .. } => active && theirs == Some(total),
            What::Bucket { .. } => false,
        };
        self.members().filter(move |(record, _)| takes(record) && self.is_alive(&record.name))
    }

    /// Whether the holder of a bucket counts as alive and as its holder.
    fn holds(&self, bucket: &Record, of: u16) -> Option<&'a str> {
        let record = self.records.get(&bucket.name)?;
        let holder = record.holder.as_ref()?;
        let name = member_name(&holder.identity);
        // A member whose Lease is missing may believe itself alive for as long as its bucket's Lease tells.
        let duration = self.told(&name).or(record.duration).unwrap_or(self.me.duration);
        if self.sightings.unchanged(&name) >= duration {
            return None;
        }
        let still = match self.records.get(&name) {
            // A new session of the same replica takes its buckets again, if it takes any of these.
            Some(member) => match member.what {
                What::Member { total, active, .. } => {
                    let goes_on = member.holder.is_some() && active && total == Some(of);
                    goes_on || member.holder.as_ref() == Some(holder)
                }
                What::Bucket { .. } => false,
            },
            None => true,
        };
        still.then_some(holder.identity.as_str())
    }

    fn spot(&self, bucket: Bucket) -> Spot<'a> {
        let name = bucket_name(bucket, self.me.total);
        let Some(record) = self.records.get(&name) else {
            return if self.may_create(&name) { Spot::Free } else { Spot::Unsure };
        };
        match &record.holder {
            None => Spot::Free,
            Some(holder) if holder.identity == self.me.holder.identity => Spot::Mine,
            Some(_) => self.holds(record, self.me.total).map_or(Spot::Free, Spot::Held),
        }
    }

    /// Whether a bucket that has no Lease is nobody's: at the very first start, and where it has been missed for
    /// as long as a holder would need to learn of it.
    fn may_create(&self, name: &str) -> bool {
        self.sightings.unchanged(name) >= self.me.duration || self.is_first_start()
    }

    /// Whether all that is there came just now, and nothing is from before: several start together.
    fn is_first_start(&self) -> bool {
        let just_came =
            |record: &Record| matches!(record.what, What::Member { renewed: false, .. });
        let of_newcomers = |record: &Record| {
            let Some(holder) = record.holder.as_ref() else { return false };
            let member = self.records.get(&member_name(&holder.identity));
            member.is_some_and(|m| m.holder.as_ref() == Some(holder) && just_came(m))
        };
        let total = self.me.total;
        let is_ours = |r: &&Record| matches!(r.what, What::Bucket { total: of, .. } if of == total);
        self.peers().all(|(member, _)| just_came(member))
            && self.records.values().filter(is_ours).all(of_newcomers)
    }

    /// Whether we take part, or wait for replicas of another total.
    ///
    /// Two totals share no Lease over which their members could meet. So each first writes that it is active,
    /// then looks: of two that come at once at least one sees the other, and stays out. If both do, the smaller
    /// total stands by.
    fn standing(&self) -> Plan {
        let mut active = true;
        let mut waiting_for: Vec<String> = Vec::new();
        for (record, holder) in self.members().filter(|(record, _)| self.is_alive(&record.name)) {
            if let What::Member { total: Some(total), active: true, .. } = record.what
                && total != self.me.total
            {
                active &= total < self.me.total;
                waiting_for.push(format!("{} ({total} buckets)", holder.identity));
            }
        }
        for record in self.records.values() {
            if let What::Bucket { total, .. } = record.what
                && total != self.me.total
                && let Some(identity) = self.holds(record, total)
                && identity != self.me.holder.identity
            {
                waiting_for.push(format!("{identity} ({total} buckets)"));
            }
        }
        waiting_for.sort();
        waiting_for.dedup();
        let joined = self.me.joined || (self.me.active && waiting_for.is_empty());
        if joined {
            waiting_for.clear();
        }
        Plan { active: active || joined, joined, waiting_for, ..Plan::default() }
    }

    /// What we hold as we believe, and the Lease names another, or another session, or is gone.
    fn lost(&self) -> Buckets {
        let holder = Some(self.me.holder);
        let is_ours = |bucket: &Bucket| {
            let record = self.records.get(&bucket_name(*bucket, self.me.total));
            record.is_some_and(|record| record.holder.as_ref() == holder)
        };
        self.me.held.iter().filter(|bucket| !is_ours(bucket)).collect()
    }

    /// Shares the buckets evenly: who has too many gives up, who has too few takes of what is free.
    fn share(&self, plan: &mut Plan) {
        let mut counts: BTreeMap<&str, usize> =
            self.peers().map(|(_, holder)| (holder.identity.as_str(), 0)).collect();
        counts.insert(&self.me.holder.identity, 0);
        let (mut mine, mut free) = (Buckets::default(), Vec::new());
        for bucket in (0..self.me.total).map(Bucket::new) {
            match self.spot(bucket) {
                Spot::Mine => mine.insert(bucket),
                Spot::Held(by) => {
                    // Who stands by or is of unknown kind holds some, but takes none.
                    counts.entry(by).and_modify(|count| *count += 1);
                }
                Spot::Free => free.push(bucket),
                Spot::Unsure => {}
            }
        }
        counts.insert(&self.me.holder.identity, mine.len());
        plan.members = counts.len();
        self.settle(plan, &mine, &free, &shares(&counts, usize::from(self.me.total)));
    }

    fn settle(&self, plan: &mut Plan, mine: &Buckets, free: &[Bucket], shares: &[Share<'_>]) {
        let mut before = 0;
        let mut my_share = Share { identity: "", count: mine.len(), target: mine.len() };
        for share in shares {
            if share.identity == self.me.holder.identity {
                my_share = *share;
                break;
            }
            before += share.missing();
        }
        let held = self.me.held.without(&plan.lost);
        let leaving = self.me.leaving.without(&plan.lost);
        let stale = mine.without(&held);
        let mut too_many = mine.len().saturating_sub(leaving.len()).saturating_sub(my_share.target);
        for bucket in stale.iter() {
            if too_many > 0 {
                plan.drop.insert(bucket);
                too_many -= 1;
            } else {
                plan.take.insert(bucket);
            }
        }
        plan.give = held.without(&leaving).iter().rev().take(too_many).collect();
        plan.take.extend(free.iter().copied().skip(before).take(my_share.missing()));
    }

    /// Members whose time is over.
    ///
    /// Who came lately cannot know yet, and would leave them their share: it is written on their Leases.
    fn dead(&self) -> Vec<String> {
        let dead = self.members().filter(|(record, _)| !self.is_alive(&record.name));
        let mut names: Vec<String> = dead.map(|(record, _)| record.name.clone()).collect();
        names.sort();
        names
    }

    /// Leases that nobody needs: of members that are no more, of buckets of a total that nobody has any more.
    ///
    /// One replica tidies up, the first by name; the others would only be in its way.
    fn garbage(&self) -> Vec<String> {
        let mine = &self.me.holder.identity;
        if self.peers().any(|(_, holder)| holder.identity < *mine) {
            return Vec::new();
        }
        let my_name = member_name(mine);
        let holders = self.records.values().filter(|r| matches!(r.what, What::Bucket { .. }));
        let named: HashSet<String> = holders
            .filter_map(|record| Some(member_name(&record.holder.as_ref()?.identity)))
            .collect();
        let is_garbage = |record: &Record| match record.what {
            What::Member { .. } => {
                let is_over = record.holder.is_none();
                is_over && record.name != my_name && !named.contains(&record.name)
            }
            What::Bucket { total, .. } => {
                let wanted = |member: &Record| {
                    matches!(member.what, What::Member { total: Some(of), .. } if of == total)
                        && member.holder.is_some()
                        && self.is_alive(&member.name)
                };
                total != self.me.total
                    && self.holds(record, total).is_none()
                    && !self.records.values().any(wanted)
            }
        };
        let mut names: Vec<String> =
            self.records.values().filter(|r| is_garbage(r)).map(|r| r.name.clone()).collect();
        names.sort();
        names
    }

    /// When the first of the others that are alive now will be dead, if it is not renewed.
    fn ripe(&self) -> Option<Moment> {
        let holders = self.records.values().filter_map(|record| record.holder.as_ref());
        let others = holders.filter(|holder| holder.identity != self.me.holder.identity);
        let names = others.map(|holder| member_name(&holder.identity));
        let alive = names.filter(|name| self.is_alive(name));
        alive.map(|name| self.sightings.ripe(&name, self.duration_of(&name))).min()
    }
}

/// How many buckets a member has, and is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share<'a> {
    identity: &'a str,
    count: usize,
    target: usize,
}

impl Share<'_> {
    const fn missing(&self) -> usize {
        self.target.saturating_sub(self.count)
    }
}

/// Everybody's share, by name. Where it does not come out even, who has most keeps one more: the least moves.
fn shares<'a>(counts: &BTreeMap<&'a str, usize>, total: usize) -> Vec<Share<'a>> {
    let members = counts.len().max(1);
    let (each, more) = (total / members, total % members);
    let mut shares: Vec<Share<'a>> = counts
        .iter()
        .map(|(identity, count)| Share { identity, count: *count, target: each })
        .collect();
    shares.sort_by_key(|share| (Reverse(share.count), share.identity));
    shares.iter_mut().take(more).for_each(|share| share.target += 1);
    shares.sort_by_key(|share| share.identity);
    shares
}
