//! How the stores, signers and logs answer: a line of `/readyz`.
//!
//! A backend that is down is told there and makes nothing unready: no restart would help it, and runs that do not
//! need it go on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chains_core::{Error, ErrorKind};
use chains_engine::{Call, Meter};
use jiff::{Timestamp, Unit};

use super::health::Part;
use super::metrics::Metrics;

/// How much of an error is told, in characters.
const LONGEST: usize = 400;

/// What is told before a call.
const NOBODY: &str = "none was called yet";

/// Counts every call of a backend, and keeps in mind which of them fail.
#[derive(Debug)]
pub(crate) struct Backends {
    metrics: Metrics,
    part: Part,
    seen: Mutex<BTreeMap<(&'static str, String), Option<Trouble>>>,
}

/// A backend that failed when it was last called.
#[derive(Debug)]
struct Trouble {
    since: Timestamp,
    /// How many calls failed since, one after the other.
    calls: u64,
    last: String,
}

impl Backends {
    /// Tells `part` how they are, and counts in `metrics`.
    pub(crate) fn new(metrics: Metrics, part: Part) -> Arc<Self> {
        part.ok(NOBODY);
        Arc::new(Self { metrics, part, seen: Mutex::default() })
    }

    /// Begins anew: what was called until now may be called no more.
    pub(crate) fn forget(&self) {
        self.seen().clear();
        self.part.ok(NOBODY);
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<(&'static str, String), Option<Trouble>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how a call ended; the line is written anew only where it changes.
    fn note(&self, call: &Call<'_>) {
        let failed = call.error.filter(|error| is_its_own_fault(error.kind()));
        if call.error.is_some() && failed.is_none() {
            return;
        }
        let mut seen = self.seen();
        let key = (call.stage.as_str(), call.backend.to_owned());
        let known = seen.get(&key).map(Option::is_none);
        match failed {
            None if known == Some(true) => return,
            None => {
                seen.insert(key, None);
            }
            Some(error) => {
                let since = seen.remove(&key).flatten();
                seen.insert(key, Some(Trouble::after(since, error)));
            }
        }
        self.part.ok(line(&seen));
    }
}

impl Meter for Backends {
    fn measured(&self, call: &Call<'_>) {
        self.metrics.measured(call);
        self.note(call);
    }
}

impl Trouble {
    fn after(before: Option<Self>, error: &Error) -> Self {
        let last = format!("{}: {}", error.kind(), error.report());
        let now = Timestamp::now();
        let now = now.round(Unit::Second).unwrap_or(now);
        let (since, calls) = before.map_or((now, 0), |before| (before.since, before.calls));
        Self { since, calls: calls + 1, last: last.chars().take(LONGEST).collect() }
    }
}

/// Whether the backend is at fault, and not what it was given.
const fn is_its_own_fault(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::InvalidInput
            | ErrorKind::Unsupported
            | ErrorKind::TooLarge
            | ErrorKind::Conflict
            | ErrorKind::NotFound
    )
}

fn line(seen: &BTreeMap<(&'static str, String), Option<Trouble>>) -> String {
    let each = seen.iter().map(|((stage, backend), trouble)| match trouble {
        None => format!("{stage} {backend} answers"),
        Some(Trouble { since, calls, last }) => {
            format!("{stage} {backend} FAILS since {since} ({calls} in a row), last: {last}")
        }
    });
    each.collect::<Vec<_>>().join("; ")
}

/// For tests of others: the stage and name that a call is told with.
#[cfg(test)]
pub(crate) fn call<'a>(
    stage: chains_engine::Stage,
    backend: &'a str,
    outcome: &'static str,
    took: std::time::Duration,
) -> Call<'a> {
    Call { stage, backend, outcome, took, error: None }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chains_engine::Stage;

    use super::super::Health;
    use super::*;

    #[track_caller]
    fn check(health: &Health, parts: &[&str]) {
        let answer = health.ready(false);
        assert!(answer.good, "{}", answer.body);
        for part in parts {
            assert!(answer.body.contains(part), "{part} is not in {}", answer.body);
        }
    }

    #[test]
    fn what_fails_is_told_until_it_answers_again() {
        let health = Health::new();
        let backends = Backends::new(Metrics::new(), health.part("backends"));
        check(&health, &["[+] backends ok: none was called yet\n"]);
        let stored = call(Stage::Store, "gcs", "stored", Duration::ZERO);
        backends.measured(&stored);
        check(&health, &["[+] backends ok: store gcs answers\n"]);

        let down =
            Error::new(ErrorKind::Unavailable, "writing to the bucket b").with_source("refused");
        let failed = Call { outcome: "unavailable", error: Some(&down), ..stored };
        backends.measured(&failed);
        backends.measured(&failed);
        backends.measured(&call(Stage::Sign, "kms", "ok", Duration::ZERO));
        let told = "(2 in a row), last: unavailable: writing to the bucket b: refused";
        check(&health, &["sign kms answers; store gcs FAILS since ", told]);

        let large = Error::new(ErrorKind::TooLarge, "writing a document");
        backends.measured(&Call { outcome: "too_large", error: Some(&large), ..stored });
        check(&health, &[told]);
        backends.measured(&stored);
        check(&health, &["[+] backends ok: sign kms answers; store gcs answers\n"]);
        backends.forget();
        check(&health, &["[+] backends ok: none was called yet\n"]);
    }
}
