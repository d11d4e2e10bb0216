//! Small parts: the hash, sets, names, reading of Leases, sightings.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::json;

use super::super::bucket::{Bucket, Buckets, MOST_BUCKETS, fnv1a};
use super::super::record::{Holder, Record, What, Writer, bucket_name, member_name};
use super::super::sightings::Sightings;
use super::super::{Options, check};

fn set(buckets: &[u16]) -> Buckets {
    buckets.iter().map(|bucket| Bucket::new(*bucket)).collect()
}

#[test]
fn the_hash_is_what_it_was_in_every_release() {
    // The vectors of RFC 9923.
    assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    // Ours, never to be changed: replicas of two releases work side by side.
    let of = |uid, total| Bucket::of(uid, total).index();
    let uid = "5b6f0d3e-8f0e-4a8c-9c53-0e6f1f6f4f10";
    assert_eq!([of("", 16), of("a", 16), of("foobar", 16)], [1, 0, 9]);
    assert_eq!([of(uid, 16), of(uid, 17), of(uid, 1024)], [12, 11, 76]);
    assert_eq!([of(uid, 1), of(uid, 0)], [0, 0]);
}

#[test]
fn runs_are_spread_over_all_buckets() {
    for total in [7u16, 16, 64] {
        let mut counts = vec![0u32; usize::from(total)];
        let each = 1000;
        for number in 0..u32::from(total) * each {
            let mixed = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let uid = format!("{:08x}-{:04x}-4a8c-9c53-0e6f1f6f4f10", mixed >> 32, mixed & 0xffff);
            counts[usize::from(Bucket::of(&uid, total).index())] += 1;
        }
        let even = counts.iter().all(|count| (each * 8 / 10..each * 12 / 10).contains(count));
        assert!(even, "{total}: {counts:?}");
    }
}

#[test]
fn sets_are_sets() {
    let mut buckets = set(&[0, 1, 2, 7, 64, 65, 200]);
    assert_eq!(buckets.to_string(), "0-2,7,64-65,200");
    assert_eq!(buckets.len(), 7);
    assert!(buckets.contains(Bucket::new(64)) && !buckets.contains(Bucket::new(63)));
    assert!(!buckets.contains(Bucket::new(u16::MAX)));
    buckets = buckets.without(&set(&[200]));
    // It is longer, and none the different for it.
    assert_eq!(buckets, set(&[65, 64, 7, 2, 1, 0]));
    assert_eq!(buckets.without(&set(&[1, 64, 900])), set(&[0, 2, 7, 65]));
    assert_eq!(set(&[3]).without(&Buckets::all(MOST_BUCKETS)), Buckets::default());
    assert_eq!(buckets.iter().next_back(), Some(Bucket::new(65)));
    assert_eq!(Buckets::default().to_string(), "none");
    assert_eq!(Buckets::all(3), set(&[0, 1, 2]));
}

#[test]
fn names_can_stand_in_a_cluster() {
    assert_eq!(bucket_name(Bucket::new(3), 16), "tekton-chains-controller.bucket-03-of-16");
    assert_eq!(bucket_name(Bucket::new(3), 1), "tekton-chains-controller.bucket-03-of-1");
    assert_eq!(bucket_name(Bucket::new(3), 1000), "tekton-chains-controller.bucket-003-of-1000");
    let pod = "tekton-chains-controller-6d5f8c9b7d-x2x4z";
    assert_eq!(member_name(pod), format!("tekton-chains-controller.member.{pod}"));
    let long = "x".repeat(400);
    let odd = ["Node.Example", "node.example", "a/b", "a_b", "-a-", "", "...", "ä", &long];
    let names: Vec<String> = odd.iter().map(|identity| member_name(identity)).collect();
    for (identity, name) in odd.iter().zip(&names) {
        let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        assert!(name.len() <= 253 && name.chars().all(is_fine), "{identity}: {name}");
        assert!(!name.ends_with('-') && !name.contains(".-") && !name.contains(".."), "{name}");
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
    }
}

/// Reads a Lease of this name and spec; tells what it says.
fn read(name: &str, spec: serde_json::Value) -> Option<String> {
    let metadata = json!({"name": name, "resourceVersion": "7"});
    let lease: Lease = serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
    let record = Record::read(lease)?;
    let holder = record.holder.map_or("nobody".to_owned(), |holder| holder.to_string());
    Some(format!("{:?} {holder} {:?}", record.what, record.duration))
}

#[test]
fn leases_are_read_with_care() {
    let bucket = "tekton-chains-controller.bucket-03-of-16";
    let check = |name, spec, expect: Option<&str>| {
        assert_eq!(read(name, spec).as_deref(), expect, "{name}");
    };
    let what = "Bucket { bucket: Bucket(3), total: 16 }";
    let held = json!({"holderIdentity": "a_b_1", "leaseDurationSeconds": 15});
    check(bucket, held, Some(&format!("{what} a_b_1 Some(15s)")));
    check(bucket, json!({"holderIdentity": ""}), Some(&format!("{what} nobody None")));
    check(bucket, json!({}), Some(&format!("{what} nobody None")));
    check(bucket, json!({"leaseDurationSeconds": -1}), Some(&format!("{what} nobody None")));
    check(bucket, json!({"leaseDurationSeconds": 0}), Some(&format!("{what} nobody None")));
    // Written by somebody else's hand: a holder without a session.
    check(bucket, json!({"holderIdentity": "me"}), Some(&format!("{what} me_ None")));
    for other in [
        "tekton-chains-controller.bucket-3-of-16",
        "tekton-chains-controller.bucket-003-of-16",
        "tekton-chains-controller.bucket-16-of-16",
        "tekton-chains-controller.bucket-+3-of-16",
        "tekton-chains-controller.bucket-03-of-65535",
        "tekton-chains-controller.bucket-03-of-99999999999",
        "tekton-chains-controller.bucket--of-",
        "tekton-chains-controller.something",
        "bucket-03-of-16",
    ] {
        check(other, json!({}), None);
    }
    let member = "Member { total: None, active: false, renewed: false } nobody None";
    check("tekton-chains-controller.member.x", json!({}), Some(member));
}

#[test]
fn what_is_not_ours_on_a_lease_stays() {
    let writer = Writer {
        namespace: "tekton-chains".to_owned(),
        total: 16,
        duration: Duration::from_millis(14_100),
    };
    let by = |session: &str| Holder { identity: "me".to_owned(), session: session.to_owned() };
    let mut first = writer.member(None, &by("1"), true);
    first.metadata.labels.get_or_insert_default().insert("a".to_owned(), "b".to_owned());
    first.metadata.uid = Some("uid".to_owned());
    let again = writer.member(Some(&first), &by("1"), false);
    assert_eq!(again.metadata.labels, first.metadata.labels);
    assert_eq!(again.metadata.uid, first.metadata.uid);
    let spec = |lease: &Lease| lease.spec.clone().unwrap();
    assert_eq!(spec(&first).lease_duration_seconds, Some(15), "rounded up");
    assert_eq!(spec(&first).acquire_time, spec(&again).acquire_time);
    assert_eq!(spec(&again).lease_transitions, Some(0));
    let other = writer.member(Some(&again), &by("2"), true);
    assert_eq!(spec(&other).lease_transitions, Some(1));
    let read = |mut lease: Lease| {
        lease.metadata.resource_version = Some("1".to_owned());
        Record::read(lease).unwrap().what
    };
    assert_eq!(read(first), What::Member { total: Some(16), active: true, renewed: false });
    assert_eq!(read(again), What::Member { total: Some(16), active: false, renewed: true });
    let taken = writer.taken(None, Bucket::new(2), &by("2"));
    assert_eq!(spec(&Writer::released(&taken)).holder_identity.as_deref(), Some(""));
}

#[test]
fn time_counts_from_what_was_received_to_what_was_asked() {
    let at = Duration::from_secs;
    let mut sightings = Sightings::default();
    sightings.list(at(10), at(12), [("a", Some("1")), ("gone", None)]);
    assert_eq!(sightings.unchanged("a"), at(0));
    sightings.list(at(20), at(25), [("a", Some("1")), ("gone", None)]);
    assert_eq!([sightings.unchanged("a"), sightings.unchanged("gone")], [at(8), at(8)]);
    assert_eq!(sightings.ripe("a", at(15)), at(27));
    // The watch told of a change early: it counts from then.
    sightings.note("a", Some("2"), at(26));
    sightings.list(at(30), at(31), [("a", Some("2"))]);
    assert_eq!(sightings.unchanged("a"), at(4));
    // What is not listed any more is new when it comes again, and what was never seen is as good as new.
    assert_eq!([sightings.unchanged("gone"), sightings.unchanged("never")], [at(0), at(0)]);
}

#[test]
fn options_have_bounds() {
    let check = |identity: &str, total, seconds, fine| {
        let options = Options {
            identity: identity.to_owned(),
            namespace: "tekton-chains".to_owned(),
            total,
            lease_duration: Duration::from_secs(seconds),
        };
        assert_eq!(check(&options).is_ok(), fine, "{options:?}");
    };
    check("pod", 1, 3, true);
    check("pod", MOST_BUCKETS, 3600, true);
    check(" ", 16, 15, false);
    check("pod", 0, 15, false);
    check("pod", MOST_BUCKETS + 1, 15, false);
    check("pod", 16, 2, false);
}
