//! Growing pauses between attempts.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Pauses that double from a first to a longest one, each shortened by up to a half at random, so that those who
/// failed together do not come back together.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempts: 0 }
    }

    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = pause(self.first, self.longest, self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        pause
    }

    /// It went well: begins anew.
    pub(crate) const fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// The pause after so many attempts.
pub(crate) fn pause(first: Duration, longest: Duration, attempts: u32) -> Duration {
    let full = first.saturating_mul(2_u32.saturating_pow(attempts.min(20))).min(longest);
    full.mul_f64(0.5 + 0.5 * fraction())
}

/// Something between 0 and 1 that differs between processes and calls. Not for secrets.
pub(crate) fn fraction() -> f64 {
    f64::from(random_bits()) / f64::from(u32::MAX)
}

/// Bits that differ between processes and calls. Not for secrets.
pub(crate) fn random_bits() -> u32 {
    let bits = RandomState::new().hash_one(std::time::Instant::now()) >> 32;
    u32::try_from(bits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for full in [100, 200, 400, 800, 1000, 1000] {
            let pause = backoff.next();
            let full = Duration::from_millis(full);
            assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
        assert!(pause(Duration::from_secs(1), Duration::MAX, u32::MAX) > Duration::from_secs(1));
    }
}
