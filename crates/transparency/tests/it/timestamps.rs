//! Timestamps: one of the real authority of Sigstore, and what is wrong with others.

use chains_core::ErrorKind;
use chains_transparency::{Authority, Validity, verify_timestamp, verify_timestamps};
use proptest::prelude::*;

use crate::support::authority::{CODE_SIGNING, Fault, TIME_STAMPING, TestAuthority};
use crate::support::{check_error, envelope, recorded};

/// 2023-11-14T22:13:20Z.
const NOW: (&str, i64) = ("20231114221320", 1_700_000_000);
const SIGNATURE: &[u8] = b"signature";

fn real() -> Authority {
    Authority::from_pem("http://127.0.0.1:3001", &recorded("tsa/chain.pem")).unwrap()
}

#[test]
fn a_timestamp_of_the_real_authority_holds() {
    let (timestamp, signing) = (recorded("tsa/envelope.tsr"), envelope());
    let signature = signing.signed.signature();
    let verified = verify_timestamp(&timestamp, signature, &[real()]).unwrap();
    // Nov 22 15:39:44 2026, as `openssl ts -reply -text` reads it.
    assert_eq!((verified.time, verified.authority), (1_795_361_984, 0));
    let stranger = TestAuthority::new().authority();
    let second = verify_timestamp(&timestamp, signature, &[stranger.clone(), real()]).unwrap();
    assert_eq!(second.authority, 1, "the one that it leads to is found");
    let error = verify_timestamp(&timestamp, signature, &[stranger]).unwrap_err();
    check_error(
        &error,
        ErrorKind::Verification,
        "timestamp: certificate: it is not the authority's own",
    );
    let error = verify_timestamp(&timestamp, b"other", &[real()]).unwrap_err();
    check_error(
        &error,
        ErrorKind::Verification,
        "timestamp: imprint: it is over another signature",
    );
    let error = verify_timestamp(&timestamp, signature, &[]).unwrap_err();
    check_error(&error, ErrorKind::Verification, "no timestamp authority is trusted");
}

#[track_caller]
fn check(authority: &TestAuthority, trusted: &Authority, expect: Result<i64, &str>) {
    let timestamp = authority.stamp(SIGNATURE);
    match (verify_timestamp(&timestamp, SIGNATURE, std::slice::from_ref(trusted)), expect) {
        (Ok(verified), Ok(time)) => assert_eq!(verified.time, time),
        (Err(error), Err(words)) => check_error(&error, ErrorKind::Verification, words),
        (found, expect) => panic!("{found:?}, expected {expect:?}"),
    }
}

#[test]
fn what_is_wrong_is_told() {
    let authority = TestAuthority::new();
    let check = |fault, expect| {
        authority.set(NOW.0, fault);
        check(&authority, &authority.authority(), expect);
    };
    check(Fault::Nothing, Ok(NOW.1));
    check(Fault::Fraction, Ok(NOW.1));
    check(Fault::NotEmbedded, Ok(NOW.1));
    check(Fault::OtherNonce, Ok(NOW.1));
    check(Fault::OtherImprint, Err("timestamp: imprint: it is over another signature"));
    check(
        Fault::OtherKey,
        Err("timestamp: signature: it is not the authority's over this timestamp"),
    );
    check(Fault::Changed, Err("timestamp: signature: its attributes are about another timestamp"));
    check(Fault::NamesAnother, Err("timestamp: signature: it names another certificate"));
    check(
        Fault::NamesNone,
        Err("timestamp: signature: it does not name the authority's certificate"),
    );
    check(Fault::Refused, Err("timestamp: it was refused with status 2: \"not today\""));
}

#[test]
fn certificates_lead_to_the_root_and_are_valid() {
    let authority = TestAuthority::new();
    check(&authority, &authority.root_only(), Ok(NOW.1));
    authority.set(NOW.0, Fault::NotEmbedded);
    let unknown =
        "timestamp: certificate: it is by another authority than \"https://timestamp.example.com\"";
    check(&authority, &authority.root_only(), Err(unknown));
    authority.set(NOW.0, Fault::Nothing);
    let other = TestAuthority::new();
    let mixed = Authority { certificates: other.root_only().certificates, ..other.authority() };
    check(&authority, &mixed, Err("timestamp: certificate: at 2023-11-14T22:13:20Z: "));
    check(&authority, &other.authority(), Err("timestamp: certificate: "));
    let at = |now: &'static str, expect| {
        authority.set(now, Fault::Nothing);
        check(&authority, &authority.authority(), expect);
    };
    at("20230101000000", Ok(1_672_531_200));
    at("20250101000000", Ok(1_735_689_600));
    at("20221231235959", Err("the authority's root is not valid at 2022-12-31T23:59:59Z"));
    at("20250101000001", Err("the authority's root is not valid at 2025-01-01T00:00:01Z"));
    at("20251301000000", Err("timestamp: it cannot be read"));
    at("2023-11-142213", Err("timestamp: it cannot be read"));
}

#[test]
fn the_authority_is_trusted_for_a_time() {
    let authority = TestAuthority::new();
    let within = |start, end| Authority {
        valid: Validity { start: Some(NOW.1 + start), end: Some(NOW.1 + end) },
        ..authority.authority()
    };
    check(&authority, &within(0, 0), Ok(NOW.1));
    let early = "timestamp: time: 2023-11-14T22:13:20Z is outside the time of the authority, ";
    check(&authority, &within(1, 2), Err(early));
    check(&authority, &within(-2, -1), Err(early));
}

#[test]
fn certificates_are_for_timestamps_alone() {
    let of = |usage, critical, expect| {
        let authority = TestAuthority::with_usage(usage, critical);
        check(&authority, &authority.authority(), expect);
    };
    of(TIME_STAMPING, true, Ok(NOW.1));
    of(TIME_STAMPING, false, Err("timestamp: certificate: its use is not marked critical"));
    of(CODE_SIGNING, true, Err("timestamp: certificate: it is not for timestamps alone"));
}

#[test]
fn one_of_each_authority_counts() {
    let (first, second) = (TestAuthority::new(), TestAuthority::new());
    let trusted = [first.authority(), second.authority()];
    let stamps = [&first, &first, &second].map(|authority| authority.stamp(SIGNATURE).into());
    let found = verify_timestamps(&stamps, SIGNATURE, &trusted).unwrap();
    assert_eq!(found.iter().map(|found| found.authority).collect::<Vec<_>>(), [0, 1]);
    let error = verify_timestamps(&[], SIGNATURE, &trusted).unwrap_err();
    check_error(&error, ErrorKind::Verification, "timestamp: there is none");
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        prop_assert!(verify_timestamp(&bytes, b"", &[real()]).is_err());
    }

    /// Whatever bit is changed: the timestamp is refused, or says the same as before.
    #[test]
    fn a_changed_timestamp_tells_no_other_time(at: prop::sample::Index, bit in 0..8_u8) {
        let mut timestamp = recorded("tsa/envelope.tsr");
        let at = at.index(timestamp.len());
        timestamp[at] ^= 1 << bit;
        let signing = envelope();
        if let Ok(verified) = verify_timestamp(&timestamp, signing.signed.signature(), &[real()]) {
            prop_assert_eq!(verified.time, 1_795_361_984);
        }
    }
}
