//! What the annotations of a run say of its signing, and which of them go.

use chains_core::annotations;
use kube::core::ObjectMeta;

/// How far signing of a run came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It was given up.
    Failed {
        /// Why, where the run says so: releases before this one do not.
        reason: Option<String>,
    },
    /// Attempts failed, and another one follows.
    Failing {
        /// Why the last one did, where the run says so.
        reason: Option<String>,
        /// When the next one is, as the run says it.
        next: Option<String>,
    },
    /// It is signed.
    Signed,
    /// Nothing was attempted yet: it still runs, or waits for its turn.
    New,
}

/// The annotations that keep a run from being taken up at once.
const HOLDING: [&str; 4] =
    [annotations::SIGNED, annotations::RETRIES, annotations::REASON, annotations::NEXT_ATTEMPT];

/// What was read of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) state: State,
    pub(super) version: String,
    /// Those of [`HOLDING`] that it has.
    pub(super) held: Vec<&'static str>,
}

impl Marks {
    pub(super) fn of(metadata: &ObjectMeta) -> Self {
        let value = |name: &str| metadata.annotations.as_ref().and_then(|all| all.get(name));
        let reason = value(annotations::REASON).cloned();
        let state = match value(annotations::SIGNED).map(String::as_str) {
            Some("failed") => State::Failed { reason },
            Some("true") => State::Signed,
            _ => {
                let next = value(annotations::NEXT_ATTEMPT).cloned();
                if next.is_some() || reason.is_some() || value(annotations::RETRIES).is_some() {
                    State::Failing { reason, next }
                } else {
                    State::New
                }
            }
        };
        Self {
            state,
            version: metadata.resource_version.clone().unwrap_or_default(),
            held: HOLDING.into_iter().filter(|name| value(name).is_some()).collect(),
        }
    }

    pub(super) const fn starts(&self, again: bool) -> bool {
        match self.state {
            State::Failed { .. } | State::Failing { .. } => true,
            State::Signed => again,
            State::New => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(annotations: &[(&str, &str)], state: State, held: &[&str]) {
        let named = |(name, value): &(&str, &str)| {
            (format!("{}{name}", annotations::PREFIX), (*value).to_owned())
        };
        let metadata = ObjectMeta {
            annotations: Some(annotations.iter().map(named).collect()),
            resource_version: Some("7".to_owned()),
            ..ObjectMeta::default()
        };
        let marks = Marks::of(&metadata);
        assert_eq!((&marks.state, marks.version.as_str()), (&state, "7"));
        let held: Vec<_> =
            held.iter().map(|name| format!("{}{name}", annotations::PREFIX)).collect();
        assert_eq!(marks.held, held);
        assert_eq!(marks.starts(true), state != State::New);
        assert_eq!(marks.starts(false), !matches!(state, State::New | State::Signed));
    }

    #[test]
    fn states_are_told_apart() {
        let failed = |reason: Option<&str>| State::Failed { reason: reason.map(str::to_owned) };
        let failing =
            |next: Option<&str>| State::Failing { reason: None, next: next.map(str::to_owned) };
        check(&[], State::New, &[]);
        check(&[("progress", "{}"), ("left-out", "x")], State::New, &[]);
        check(&[("signed", "true")], State::Signed, &["signed"]);
        check(&[("signed", "failed")], failed(None), &["signed"]);
        check(
            &[("signed", "failed"), ("retries", "3"), ("reason", "key: x"), ("progress", "{}")],
            failed(Some("key: x")),
            &["signed", "retries", "reason"],
        );
        check(&[("retries", "1")], failing(None), &["retries"]);
        check(
            &[("retries", "1"), ("next-attempt", "2026-01-01T00:00:00Z")],
            failing(Some("2026-01-01T00:00:00Z")),
            &["retries", "next-attempt"],
        );
        check(&[("signed", "no")], State::New, &["signed"]);
        assert_eq!(Marks::of(&ObjectMeta::default()).state, State::New);
    }
}
