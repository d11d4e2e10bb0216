//! Turns what came of an attempt into what is written on the run.

use std::time::Duration;

use chains_core::annotations;
use chains_engine::Report;
use jiff::{Timestamp, Unit};

use super::close::Change;
use crate::settings::Retry;

/// How long a reason may be, in bytes.
const REASON: usize = 1024;

/// What comes after an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Everything is done.
    Signed,
    /// It is tried again after the pause; so many retries have failed by then.
    Again { retries: u32, pause: Duration },
    /// It failed for good.
    Failed,
}

/// Decides after an attempt. `retries` is how many retries had failed before it, `None` where it was the first.
pub(super) fn next(report: &Report, retries: Option<u32>, retry: &Retry) -> Next {
    if report.is_done() {
        return Next::Signed;
    }
    if report.is_retryable() { again(retries, retry) } else { Next::Failed }
}

/// Another attempt, while there are any left.
pub(super) fn again(retries: Option<u32>, retry: &Retry) -> Next {
    let failed = retries.map_or(0, |retries| retries.saturating_add(1));
    if failed < retry.limit {
        Next::Again { retries: failed, pause: retry.pause(failed.saturating_add(1)) }
    } else {
        Next::Failed
    }
}

/// The closing write, or the one that keeps what is done until the next attempt.
pub(super) fn change(report: &Report, next: &Next, left_out: Option<String>, why: &str) -> Change {
    let mut change = Change {
        set: report.annotations(),
        unset: report.obsolete_annotations().collect(),
        release: !matches!(next, Next::Again { .. }),
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

/// The write on a run that could not even be read.
pub(super) fn hopeless(why: &str) -> Change {
    let mut change = Change { release: true, ..Change::default() };
    tell(&mut change, &Next::Failed, why);
    change
}

fn tell(change: &mut Change, next: &Next, why: &str) {
    match next {
        Next::Signed => return,
        Next::Again { retries, pause } => {
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
pub(super) fn reason(report: &Report) -> String {
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
        while let Next::Again { retries: failed, .. } = again(retries, &retry) {
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
        assert!(matches!(again(Some(0), &retry), Next::Again { retries: 1, .. }));
        assert_eq!(again(Some(2), &retry), Next::Failed);
        assert_eq!(again(Some(u32::MAX), &retry), Next::Failed);
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        let cut = cut(&"ä".repeat(2000), 1024);
        assert!(cut.len() <= 1024 && cut.ends_with('…'), "{}", cut.len());
    }
}
