//! Turns what came of an attempt into what is written on the run.

use std::time::Duration;

use chains_core::{ErrorKind, annotations};
use chains_engine::{Failure, Report};
use jiff::{Timestamp, Unit};

use super::close::Change;
use crate::settings::Retry;

/// How long a reason may be, in bytes.
const REASON: usize = 1024;
/// How long it may be where there is little room.
const SHORT_REASON: usize = 128;

/// What came of an attempt: decided, and yet to be written.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(super) next: Next,
    pub(super) change: Change,
    /// Everything that went wrong, in words.
    pub(super) why: String,
    /// Children that the provenance does not cover, in words.
    pub(super) left_out: Option<String>,
}

impl Verdict {
    /// Everything that came of it.
    pub(super) fn of(report: &Report, next: Next, left_out: Option<String>) -> Self {
        let why = reason(report);
        let change = change(report, &next, left_out.clone(), &why);
        Self { next, change, why, left_out }
    }

    /// Nothing can be made of the run, now or later.
    pub(super) fn hopeless(why: String) -> Self {
        let mut change = Change { release: true, ..Change::default() };
        tell(&mut change, &Next::Failed, &why);
        Self { next: Next::Failed, change, why, left_out: None }
    }

    /// The program failed at the run, and so may the next attempt. `retries` is how many had failed before.
    pub(super) fn broken(why: &str, retries: Option<u32>, retry: &Retry) -> Self {
        let next = again(retries, retry, ErrorKind::Internal);
        let mut change = Change { release: next == Next::Failed, ..Change::default() };
        tell(&mut change, &next, why);
        Self { next, change, why: why.to_owned(), left_out: None }
    }

    /// What is written where the API server does not take the whole: less and less, and at the end only what makes
    /// the run smaller.
    pub(super) fn at_least(why: &str) -> [Change; 3] {
        let mark = |why: Option<&str>| {
            let mut change = Change { release: true, ..Change::default() };
            change.set.insert(annotations::SIGNED.to_owned(), "failed".to_owned());
            if let Some(why) = why {
                change.set.insert(annotations::REASON.to_owned(), cut(why, SHORT_REASON));
            }
            // Its own room is taken first.
            change.unset.extend([
                annotations::PROGRESS,
                annotations::NEXT_ATTEMPT,
                annotations::RETRIES,
            ]);
            change
        };
        [mark(Some(why)), mark(None), Change { release: true, ..Change::default() }]
    }

    /// How many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.change.size() + self.why.len() + self.left_out.as_ref().map_or(0, String::len)
    }
}

/// What comes after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Everything is done.
    Signed,
    /// It is tried again after the pause; so many retries have failed by then.
    Again { retries: u32, pause: Duration, cause: ErrorKind },
    /// It had to come to its end before its time: it goes on wherever the run goes, and no retry was used up.
    Interrupted,
    /// It failed for good.
    Failed,
}

/// Decides after an attempt. `retries` is how many retries had failed before it, `None` where it was the first.
pub(super) fn next(report: &mut Report, retries: Option<u32>, retry: &Retry) -> Next {
    if report.is_done() {
        return Next::Signed;
    }
    let next = cause(report).map_or(Next::Failed, |cause| again(retries, retry, cause));
    if next == Next::Failed {
        // What is stored and could not be logged has not failed where logging is not required.
        report.give_up_logging();
        if report.is_done() {
            return Next::Signed;
        }
    }
    next
}

/// The first cause that a later attempt may mend. Rights are often given late, or withdrawn for a moment by mistake.
fn cause(report: &Report) -> Option<ErrorKind> {
    let mut failures = report.failures();
    let mends = |failure: &Failure<'_>| {
        failure.error.is_retryable() || failure.error.kind() == ErrorKind::Unauthorized
    };
    failures.find(mends).map(|failure| failure.error.kind())
}

/// Another attempt, while there are any left.
fn again(retries: Option<u32>, retry: &Retry, cause: ErrorKind) -> Next {
    let failed = retries.map_or(0, |retries| retries.saturating_add(1));
    if failed < retry.limit {
        Next::Again { retries: failed, pause: retry.pause(failed.saturating_add(1)), cause }
    } else {
        Next::Failed
    }
}

/// The closing write, or the one that keeps what is done until the next attempt.
fn change(report: &Report, next: &Next, left_out: Option<String>, why: &str) -> Change {
    let mut change = Change {
        set: report.annotations(),
        unset: report.obsolete_annotations().collect(),
        release: !matches!(next, Next::Again { .. } | Next::Interrupted),
    };
    if let Some(left_out) = left_out {
        change.set.insert(annotations::LEFT_OUT.to_owned(), left_out);
    }
    tell(&mut change, next, why);
    if annotations::check_fits(&report.run, &change.set).is_err() {
        // The engine leaves room for what it knows of; the rest is worth less than that the run is closed.
        change.set.remove(annotations::LEFT_OUT);
        change.set.remove(annotations::PROGRESS);
    }
    change
}

fn tell(change: &mut Change, next: &Next, why: &str) {
    match next {
        Next::Signed | Next::Interrupted => return,
        Next::Again { retries, pause, .. } => {
            let at = Timestamp::now() + *pause;
            let at = at.round(Unit::Second).unwrap_or(at);
            change.set.insert(annotations::RETRIES.to_owned(), retries.to_string());
            change.set.insert(annotations::NEXT_ATTEMPT.to_owned(), at.to_string());
        }
        Next::Failed => {
            change.set.insert(annotations::SIGNED.to_owned(), "failed".to_owned());
            change.unset.push(annotations::NEXT_ATTEMPT);
        }
    }
    change.set.insert(annotations::REASON.to_owned(), cut(why, REASON));
}

/// Everything that went wrong, in words.
fn reason(report: &Report) -> String {
    let each = report.failures().map(|failure| {
        let place = failure.store.map_or_else(
            || failure.stage.as_str().to_owned(),
            |store| format!("{} {store}", failure.stage.as_str()),
        );
        format!("{place}: {}: {}", failure.error.kind(), failure.error.report())
    });
    each.collect::<Vec<_>>().join("; ")
}

/// The beginning of a text, at most so many bytes.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end =
        (0..=most.saturating_sub(3)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: u32, expected_attempts: usize) {
        let retry = Retry { limit, total_time: Duration::from_secs(600) };
        let mut retries = None;
        let mut attempts = 1;
        while let Next::Again { retries: failed, .. } = again(retries, &retry, ErrorKind::Timeout) {
            retries = Some(failed);
            attempts += 1;
            assert!(attempts < 100);
        }
        assert_eq!(attempts, expected_attempts, "limit {limit}");
    }

    #[test]
    fn three_retries_are_three_retries() {
        check(3, 4);
        check(0, 1);
        check(1, 2);
    }

    #[test]
    fn what_the_reference_counted_counts() {
        let retry = Retry { limit: 3, total_time: Duration::from_secs(600) };
        assert!(matches!(
            again(Some(0), &retry, ErrorKind::Timeout),
            Next::Again { retries: 1, .. }
        ));
        assert_eq!(again(Some(2), &retry, ErrorKind::Timeout), Next::Failed);
        assert_eq!(again(Some(u32::MAX), &retry, ErrorKind::Timeout), Next::Failed);
    }

    #[test]
    fn a_run_that_the_program_fails_at_is_let_go_in_the_end() {
        let retry = Retry { limit: 1, total_time: Duration::from_secs(600) };
        let first = Verdict::broken("why", None, &retry);
        assert!(matches!(first.next, Next::Again { retries: 0, .. }) && !first.change.release);
        assert_eq!(first.change.set.get(annotations::RETRIES).map(String::as_str), Some("0"));
        let last = Verdict::broken("why", Some(0), &retry);
        assert!(last.next == Next::Failed && last.change.release);
        assert_eq!(last.change.set.get(annotations::SIGNED).map(String::as_str), Some("failed"));
        assert_eq!(last.change.set.get(annotations::REASON).map(String::as_str), Some("why"));
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        let cut = cut(&"ä".repeat(2000), 1024);
        assert!(cut.len() <= 1024 && cut.ends_with('…'), "{}", cut.len());
    }
}
