//! When a run that failed is tried again.

use std::time::Duration;

use crate::pause::fraction;

/// How many times longer each pause is than the one before.
const FACTOR: f64 = 4.0;
/// No pause is shorter, unless the whole time is too short for that.
const SHORTEST: Duration = Duration::from_secs(1);
/// By which part of itself a pause may be longer or shorter, so that runs that failed together do not come back
/// together.
const JITTER: f64 = 0.2;

/// How often a run that failed is tried again: `retry.limit` and `retry.total-time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    /// Attempts that follow the first one: 3 means 3.
    pub(crate) limit: u32,
    /// The time that they are spread over.
    pub(crate) total_time: Duration,
}

impl Retry {
    /// How long to wait after the failed attempt of this number, the first being 1, with jitter.
    ///
    /// All the pauses together take `total_time`, give or take the jitter. Numbers beyond the limit wait as long
    /// as the last one within.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        self.mean(attempt).mul_f64(1.0 + JITTER * (2.0 * fraction() - 1.0))
    }

    /// The pause without jitter: a geometric series that sums up to `total_time`.
    fn mean(&self, attempt: u32) -> Duration {
        // The table of keys allows up to 100: 4^100 is well within a double.
        let limit = self.limit.clamp(1, 100);
        let attempt = attempt.clamp(1, limit);
        let exponent = |of: u32| FACTOR.powi(i32::try_from(of).unwrap_or(i32::MAX));
        let share = exponent(attempt - 1) * (FACTOR - 1.0) / (exponent(limit) - 1.0);
        let shortest = SHORTEST.min(self.total_time / limit);
        self.total_time.mul_f64(share).max(shortest)
    }
}

impl From<chains_config::Retry> for Retry {
    fn from(retry: chains_config::Retry) -> Self {
        Self { limit: retry.limit, total_time: retry.total_time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(limit: u32, seconds: u64) -> Retry {
        Retry { limit, total_time: Duration::from_secs(seconds) }
    }

    #[track_caller]
    fn check(retry: Retry, expect: &[u64]) {
        let numbers = 1..=u32::try_from(expect.len()).expect("few");
        let pauses: Vec<_> = numbers.map(|attempt| retry.mean(attempt).as_millis()).collect();
        let expect: Vec<_> = expect.iter().map(|millis| u128::from(*millis)).collect();
        assert_eq!(pauses, expect, "{retry:?}");
    }

    #[test]
    fn pauses_are_four_times_the_one_before_and_fill_the_time() {
        check(retry(3, 600), &[28_571, 114_285, 457_142]);
        check(retry(1, 600), &[600_000]);
        check(retry(2, 10), &[2_000, 8_000]);
        // None is shorter than a second, where there is a second for each.
        check(retry(5, 60), &[1_000, 1_000, 2_815, 11_260, 45_043]);
        check(retry(10, 5), &[500, 500, 500, 500, 500, 500, 500, 500, 937, 3_750]);
    }

    #[test]
    fn odd_numbers_are_put_up_with() {
        check(retry(0, 600), &[600_000, 600_000]);
        check(retry(2, 10), &[2_000, 8_000, 8_000, 8_000]);
        assert_eq!(retry(3, 600).mean(0), retry(3, 600).mean(1));
        assert_eq!(retry(3, 600).mean(u32::MAX), retry(3, 600).mean(3));
        assert_eq!(retry(u32::MAX, 0).pause(7), Duration::ZERO);
        assert_eq!(retry(100, 86_400).mean(1), SHORTEST);
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        let retry = retry(3, 600);
        let pauses: Vec<_> = (0..200).map(|_| retry.pause(2).as_secs_f64()).collect();
        assert!(pauses.iter().all(|pause| (91.4..=137.2).contains(pause)), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause < 110.0), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause > 118.0), "{pauses:?}");
    }
}
