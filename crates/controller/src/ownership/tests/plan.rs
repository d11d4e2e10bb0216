//! The decision by itself: Leases as they were listed, and what is to be done.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;

use super::super::bucket::{Bucket, Buckets};
use super::super::plan::{Me, Plan, expected, plan, watched};
use super::super::record::{Holder, Record, Writer};
use super::super::sightings::Sightings;

const LEASE: Duration = Duration::from_secs(15);
const NOW: Duration = Duration::from_secs(100);

/// What there is to see. The replica that decides is `me`, a member of as many buckets as there are.
struct Scene {
    /// As `a b:dead c:over d:standby e/3`: identities; dead, declared so, standing by, of another total.
    members: &'static str,
    /// One word a bucket, lowest first: its holder, `.` nobody, `-` no Lease; `me/1` in an earlier session.
    buckets: &'static str,
    /// Buckets of another total, as `a/3`.
    others: &'static str,
    /// Held as we believe.
    held: &'static [u16],
    leaving: &'static [u16],
    joined: bool,
    /// Whether the Leases were seen before, so that what is dead or missing has been for long.
    seen_before: bool,
    /// Whether the other members have been renewed since they came.
    renewed: bool,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            members: "",
            buckets: "",
            others: "",
            held: &[],
            leaving: &[],
            joined: true,
            seen_before: true,
            renewed: true,
        }
    }
}

fn holder(word: &str) -> Holder {
    let (identity, session) = word.split_once('/').unwrap_or((word, "2"));
    Holder { identity: identity.to_owned(), session: session.to_owned() }
}

fn writer(total: u16) -> Writer {
    Writer { namespace: "tekton-chains".to_owned(), total, duration: LEASE }
}

fn stored(mut lease: Lease, version: &str) -> Record {
    lease.metadata.resource_version = Some(version.to_owned());
    lease.metadata.uid = Some("uid".to_owned());
    Record::read(lease).unwrap()
}

fn member(word: &str, total: u16, renewed: bool) -> Record {
    let (name, kind) = word.split_once(':').unwrap_or((word, ""));
    let (name, of) = name.split_once('/').map_or((name, total), |(n, of)| (n, of.parse().unwrap()));
    let writer = writer(of);
    let mut lease = writer.member(None, &holder(name), kind != "standby");
    if renewed {
        // The clock of whoever wrote this is years off: nobody minds.
        let renewed = lease.spec.as_mut().unwrap().renew_time.as_mut().unwrap();
        renewed.0 = jiff::Timestamp::UNIX_EPOCH;
    }
    let lease = if kind == "over" { Writer::released(&lease) } else { lease };
    stored(lease, if kind == "dead" { "old" } else { "new" })
}

impl Scene {
    fn total(&self) -> u16 {
        u16::try_from(self.buckets.split_whitespace().count()).unwrap()
    }

    fn records(&self) -> HashMap<String, Record> {
        let total = self.total();
        let mut records: Vec<Record> =
            self.members.split_whitespace().map(|word| member(word, total, self.renewed)).collect();
        records.push(member("me", total, true));
        for (index, word) in (0u16..).zip(self.buckets.split_whitespace()) {
            let lease = writer(total).taken(None, Bucket::new(index), &holder(word));
            match word {
                "-" => {}
                "." => records.push(stored(Writer::released(&lease), "new")),
                _ => records.push(stored(lease, "new")),
            }
        }
        for (index, word) in (0u16..).zip(self.others.split_whitespace()) {
            let (name, of) = word.split_once('/').unwrap();
            // Ours is of an earlier session: this one has another total.
            let by = if name == "me" { holder("me/1") } else { holder(name) };
            let lease = writer(of.parse().unwrap()).taken(None, Bucket::new(index), &by);
            records.push(stored(lease, "new"));
        }
        records.into_iter().map(|record| (record.name.clone(), record)).collect()
    }

    fn plan(&self) -> Plan {
        let (records, total) = (self.records(), self.total());
        let names = expected(&records, total);
        let now = watched(&records, &names);
        let mut sightings = Sightings::default();
        if self.seen_before {
            // Everything that is alive was renewed since.
            let before = now.iter().map(|(name, version)| (*name, version.filter(|v| *v == "old")));
            let long_ago = NOW - LEASE * 3;
            sightings.list(long_ago, long_ago, before);
        }
        sightings.list(NOW, NOW, now);
        let set = |buckets: &[u16]| buckets.iter().map(|b| Bucket::new(*b)).collect::<Buckets>();
        let me = Me {
            holder: &holder("me"),
            total,
            duration: LEASE,
            active: true,
            joined: self.joined,
            held: &set(self.held),
            leaving: &set(self.leaving),
        };
        plan(&me, &records, &sightings)
    }
}

/// Decides, and compares with `expect`: `take 0-3; give 7; drop 8; lost 9; remove NAME; wait; standby`.
#[track_caller]
fn check(scene: Scene, expect: &str) {
    let plan = scene.plan();
    let mut told = Vec::new();
    for (what, buckets) in
        [("lost", &plan.lost), ("take", &plan.take), ("give", &plan.give), ("drop", &plan.drop)]
    {
        if !buckets.is_empty() {
            told.push(format!("{what} {buckets}"));
        }
    }
    let short = |name: &String| name.replace("tekton-chains-controller.", "");
    told.extend(plan.dead.iter().map(|name| format!("dead {}", short(name))));
    told.extend(plan.remove.iter().map(|name| format!("remove {}", short(name))));
    if !plan.waiting_for.is_empty() {
        told.push(format!("wait for {}", plan.waiting_for.join(", ")));
    }
    if !plan.active {
        told.push("standby".to_owned());
    }
    assert_eq!(told.join("; "), expect);
}

#[test]
fn shares_are_even_and_little_moves() {
    let scene = |members, buckets, held| Scene { members, buckets, held, ..Scene::default() };
    // Alone.
    check(scene("", "- - - -", &[]), "take 0-3");
    check(scene("", ". . . .", &[]), "take 0-3");
    // Two at once take different ones: by name.
    check(scene("a", ". . . . .", &[]), "take 3-4");
    check(scene("z", ". . . . .", &[]), "take 0-2");
    // Who has one too many keeps it where it does not come out even.
    check(scene("a", "me me me a a", &[0, 1, 2]), "");
    check(scene("a", "me me a a a", &[0, 1]), "");
    // Somebody came; somebody is coming while we are giving.
    check(scene("a", "me me me me", &[0, 1, 2, 3]), "give 2-3");
    let leaving = Scene { leaving: &[2], ..scene("a", "me me me me", &[0, 1, 2, 3]) };
    check(leaving, "give 3");
    let leaving = Scene { leaving: &[2, 3], ..scene("a", "me me me me", &[0, 1, 2, 3]) };
    check(leaving, "");
    // Others have too many: they will give.
    check(scene("a", "a a a a", &[]), "");
    // More replicas than buckets.
    check(scene("a b c", "a b", &[]), "");
}

#[test]
fn what_the_dead_held_is_free() {
    let scene = |members, buckets| Scene { members, buckets, ..Scene::default() };
    check(scene("a:dead", "a a a a"), "take 0-3; dead member.a");
    check(scene("a:dead b", "a a a b"), "take 1-2; dead member.a");
    // Somebody else found it out, and one who comes just now believes it.
    check(scene("a:over b", "a a a b"), "take 1-2");
    check(Scene { seen_before: false, ..scene("a:over b", "a a a b") }, "take 1-2");
    // No member Lease, for as long as it takes.
    check(scene("", "a a"), "take 0-1");
    // Seen for the first time nobody is dead.
    check(Scene { seen_before: false, ..scene("a:dead", "a a") }, "");
    check(Scene { seen_before: false, ..scene("", "a a") }, "");
    // Somebody's earlier session: it takes its own again, unless it stands by.
    check(scene("a", "a/1 a/1"), "");
    check(scene("a:standby", "a/1 a/1"), "take 0-1");
    check(scene("a:standby", "a a"), "");
}

#[test]
fn a_lease_that_is_missing_is_not_taken_for_free_too_early() {
    let scene =
        |members, buckets| Scene { members, buckets, seen_before: false, ..Scene::default() };
    // The very first start.
    check(scene("", "- -"), "take 0-1");
    check(Scene { renewed: false, ..scene("a", "- -") }, "take 1");
    // Somebody who has been there may hold them still.
    check(scene("a", "- -"), "");
    // Several start together, and one is quicker.
    check(Scene { renewed: false, ..scene("a", "a - - -") }, "take 2-3");
    check(Scene { renewed: false, ..scene("a", "b - - -") }, "");
    // Some are there: the others were there too.
    check(scene("", "- ."), "take 1");
    check(Scene { seen_before: true, ..scene("", "- .") }, "take 0-1");
}

#[test]
fn what_is_ours_of_an_earlier_session_is_taken_again_first() {
    let scene = |members, buckets, held| Scene { members, buckets, held, ..Scene::default() };
    check(scene("", "me/1 me/1 . .", &[]), "take 0-3");
    check(scene("a", "me/1 me/1 . .", &[]), "take 0-1");
    check(scene("a", "me/1 me/1 me/1 me", &[3]), "take 2; drop 0-1");
    check(scene("a b c", "me/1 me/1 me me", &[2, 3]), "give 3; drop 0-1");
}

#[test]
fn what_others_wrote_on_is_lost() {
    let scene = |buckets, held| Scene { members: "a", buckets, held, ..Scene::default() };
    check(scene("me a a me", &[0, 1, 3]), "lost 1");
    check(scene("me . a me", &[0, 1, 3]), "lost 1");
    check(scene("me - a me", &[0, 1, 3]), "lost 1");
    check(scene("me me/1 a a", &[0, 1]), "lost 1; take 1");
    check(Scene { leaving: &[1], ..scene("me a a me", &[0, 1, 3]) }, "lost 1");
}

#[test]
fn totals_do_not_mix() {
    let scene = |members, others, joined| Scene {
        members,
        others,
        joined,
        buckets: "- - - -",
        ..Scene::default()
    };
    check(scene("a/3", "", false), "wait for a (3 buckets)");
    check(scene("a/3", "a/3", false), "wait for a (3 buckets)");
    // Of two that meet the smaller total stands by.
    check(scene("a/8", "", false), "wait for a (8 buckets); standby");
    // Who stands by holds nothing, unless a Lease says so.
    check(scene("a/3:standby", "", false), "take 0-3");
    check(scene("a/3:standby", "a/3", false), "wait for a (3 buckets)");
    check(scene("a/3:dead", "a/3", false), "take 0-3; dead member.a; remove bucket-00-of-3");
    // Who has begun goes on.
    check(scene("a/8", "", true), "take 0-3");
    // Nobody wants the other total any more.
    check(
        scene("", "gone/3 gone/3", false),
        "take 0-3; remove bucket-00-of-3; remove bucket-01-of-3",
    );
    check(scene("b/3:standby", "gone/3", false), "take 0-3");
    // Our predecessor had another total.
    check(scene("", "me/3", false), "take 0-3; remove bucket-00-of-3");
}

#[test]
fn one_replica_tidies_up() {
    let scene = |members, buckets, held| Scene { members, buckets, held, ..Scene::default() };
    check(scene("a:over z", "me z", &[0]), "remove member.a");
    check(scene("a:over b", "me b", &[0]), "");
    check(scene("a:dead z", "me z", &[0]), "dead member.a");
    // Not as long as a bucket names it.
    check(scene("a:over z", "me a", &[0]), "");
}

#[test]
fn it_looks_again_when_somebody_may_be_dead() {
    let first =
        Scene { members: "a", buckets: "me a", held: &[0], seen_before: false, ..Scene::default() };
    assert_eq!(first.plan().ripe, Some(NOW + LEASE));
    let alone = Scene { buckets: "me me", held: &[0, 1], ..Scene::default() };
    assert_eq!(alone.plan().ripe, None);
}
