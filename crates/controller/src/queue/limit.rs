//! Finds how many runs at once are good: as many as keep whatever is slowest busy, and hardly more.
//!
//! What a run waits for may be a registry, a key service or the API server, and nobody wants to tune for each. While
//! more at once gives more, the time that one run takes stays near the least that was seen, and the limit grows.
//! Beyond that point runs only wait for each other: the time grows with the limit, and the limit goes back. (The
//! idea is that of TCP Vegas; a window, here, is a number of runs.)
//!
//! The least time is measured anew now and then with few at once, so that what has become slower for good is not
//! taken for a queue.

use std::time::Duration;

use tokio::time::Instant;

/// Never fewer at once, but for measuring.
const LEAST: f64 = 2.0;
/// After the first measurement.
const FIRST: f64 = 8.0;
/// How many runs, one after the other, measure the least time.
const PROBES: u32 = 4;
/// How much longer than the least time a run may take because of the others.
const TOLERANCE: f64 = 1.5;
/// How many may wait for each other whatever the times.
const SLACK: f64 = 2.0;
/// How long the least time is believed.
const BELIEVED: Duration = Duration::from_secs(30);
/// How long the first one is, in times of itself, and at least: a process that has just begun is slow, and so is an API
/// server that has just been asked for all runs. After that it is believed twice as long each time.
const FIRST_BELIEVED: (u32, Duration) = (50, Duration::from_secs(1));
/// Runs that take less than this wait for the API server or for what is as quick: see [`Limit::polite`].
const QUICK: f64 = 0.05;
/// If nothing ends for this long while others wait, more are begun.
const STALL: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Limit {
    limit: f64,
    most: f64,
    least_time: Option<Measured>,
    /// How long the least time is believed; `None` before it was measured.
    believed: Option<Duration>,
    window: Window,
    /// The limit to go back to after the least time was measured anew.
    probing: Option<f64>,
    last_end: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    seconds: f64,
    at: Instant,
}

#[derive(Debug, Default)]
struct Window {
    count: u32,
    seconds: f64,
    /// Whether the limit was reached: else the times say nothing about it.
    full: bool,
    /// Whether half of it was reached, and no more was to be: long times say that this is too much.
    polite: bool,
    /// How many that were begun before the window are yet to end; their times are of the old limit.
    skip: usize,
}

impl Limit {
    pub(super) fn new(most: usize) -> Self {
        let most = to_f64(most).max(1.0);
        Self {
            limit: 1.0,
            most,
            least_time: None,
            believed: None,
            window: Window::default(),
            probing: Some(FIRST.min(most)),
            last_end: None,
        }
    }

    /// How many at once.
    pub(super) fn get(&self) -> usize {
        // Between 1 and the configured maximum.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small and positive"
        )]
        let limit = self.limit.round() as usize;
        limit.max(1)
    }

    /// How many new completions may be worked on beyond the limit, so that a backlog does not hold them up.
    pub(super) fn reserve(&self) -> usize {
        (self.get() / 2).max(4)
    }

    /// How many of the backlog while new completions keep coming: half, so that what these wait for is quick for them;
    /// where it is slow anyway, nobody would notice, and the backlog needs its places.
    pub(super) fn polite(&self) -> usize {
        match self.least_time {
            Some(least) if least.seconds < QUICK => (self.get() / 2).max(1),
            _ => self.get(),
        }
    }

    /// The backlog waits because new completions keep coming.
    pub(super) fn held_back(&mut self) {
        self.window.polite = true;
    }

    /// Others wait because of the limit. Tells when to look again.
    pub(super) fn blocked(&mut self, now: Instant) -> Instant {
        self.window.full = true;
        let since = *self.last_end.get_or_insert(now);
        let longest = self.least_time.map_or(0.0, |least| least.seconds * 2.0);
        let stalled = since + STALL.max(Duration::from_secs_f64(longest));
        if now < stalled {
            return stalled;
        }
        self.last_end = Some(now);
        let limit = self.probing.take().unwrap_or(self.limit);
        self.set(limit * 1.25 + 1.0);
        now
    }

    /// A run ended that took so long, while `in_hand` others were in hand.
    pub(super) fn ended(&mut self, took: Duration, in_hand: usize, now: Instant) {
        self.last_end = Some(now);
        if self.window.skip > 0 {
            self.window.skip -= 1;
            return;
        }
        self.window.count += 1;
        self.window.seconds += took.as_secs_f64();
        let enough = if self.probing.is_some() {
            f64::from(PROBES)
        } else {
            (self.limit * 2.0).clamp(10.0, 50.0)
        };
        if f64::from(self.window.count) >= enough {
            self.turn(in_hand, now);
        }
    }

    /// A run ended that says nothing about the time: a finalizer, or one that is tried again later.
    pub(super) fn put_off(&mut self, now: Instant) {
        self.last_end = Some(now);
        self.window.skip = self.window.skip.saturating_sub(1);
    }

    /// Draws the conclusions from a window, and begins the next.
    fn turn(&mut self, in_hand: usize, now: Instant) {
        let window =
            std::mem::replace(&mut self.window, Window { skip: in_hand, ..Window::default() });
        let seconds = window.seconds / f64::from(window.count.max(1));
        if let Some(limit) = self.probing.take() {
            self.least_time = Some(Measured { seconds, at: now });
            self.believe(seconds);
            self.set(limit);
            return;
        }
        let least = match self.least_time {
            Some(least) if least.seconds <= seconds => least,
            _ => *self.least_time.insert(Measured { seconds, at: now }),
        };
        if !window.full && !window.polite {
            // Few at once anyway: as good as a measurement.
            self.least_time = Some(Measured { at: now, ..least });
            return;
        }
        if now.duration_since(least.at) > self.believed.unwrap_or(BELIEVED) {
            self.probing = Some(self.limit);
            self.limit = 1.0;
            return;
        }
        let gradient = (TOLERANCE * least.seconds / seconds.max(1e-6)).clamp(0.5, 2.0);
        // Where it was polite: times near the least at half of the limit show that there is no queue.
        let slack = if window.full || gradient > 1.0 { SLACK } else { 0.0 };
        let aim = self.limit.mul_add(gradient, slack);
        self.set(self.limit.mul_add(0.5, aim * 0.5));
    }

    /// A least time was measured.
    fn believe(&mut self, seconds: f64) {
        let (times, least) = FIRST_BELIEVED;
        let first = || Duration::from_secs_f64(seconds).saturating_mul(times).max(least);
        let believed = self.believed.map_or_else(first, |before| before * 2);
        self.believed = Some(believed.min(BELIEVED));
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(LEAST.min(self.most), self.most);
    }
}

/// Exact for any number of runs that fits into memory.
fn to_f64(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work that takes `least` where fewer than `fits` are at once, and queues beyond: where the limit settles.
    fn settles(most: usize, least: f64, fits: f64, runs: usize) -> (f64, f64) {
        let mut limit = Limit::new(most);
        let mut now = Instant::now();
        let mut takes = least;
        for _ in 0..runs {
            let at_once = to_f64(limit.get());
            takes = least * (at_once / fits).max(1.0);
            now += Duration::from_secs_f64(takes / at_once);
            limit.blocked(now);
            limit.ended(Duration::from_secs_f64(takes), limit.get(), now);
        }
        (limit.limit, takes)
    }

    #[test]
    fn what_is_slow_but_wide_is_given_more() {
        let (limit, _) = settles(256, 0.2, 1e9, 20_000);
        assert!(limit > 200.0, "{limit}");
    }

    #[test]
    fn what_is_narrow_is_not_drowned() {
        // An API server that takes 200 writes a second, 5 ms each where it is alone.
        let (limit, takes) = settles(256, 0.005, 1.0, 50_000);
        assert!(limit <= 5.0 && takes <= 0.025, "{limit} at once, {takes} s");
        let (limit, takes) = settles(256, 0.1, 20.0, 50_000);
        assert!((20.0..50.0).contains(&limit) && takes < 0.25, "{limit} at once, {takes} s");
    }

    #[test]
    fn a_slow_beginning_is_soon_forgotten() {
        let mut limit = Limit::new(256);
        let mut now = Instant::now();
        let begun = now;
        let mut at_most_afterwards = 0;
        while now - begun < Duration::from_secs(10) {
            // 200 a second, 5 ms each; five times as slow for the first half second.
            let cold = now - begun < Duration::from_millis(500);
            let at_once = to_f64(limit.get());
            let takes = 0.005 * at_once * if cold { 5.0 } else { 1.0 };
            now += Duration::from_secs_f64(takes / at_once);
            limit.blocked(now);
            limit.ended(Duration::from_secs_f64(takes), limit.get(), now);
            if now - begun > Duration::from_secs(3) {
                at_most_afterwards = at_most_afterwards.max(limit.get());
            }
        }
        assert!(at_most_afterwards <= 6, "{at_most_afterwards} at once");
    }

    #[test]
    fn the_backlog_is_polite_where_runs_are_quick() {
        // An API server that takes 200 writes a second, and new completions at it.
        let mut limit = Limit::new(256);
        let mut now = Instant::now();
        for _ in 0..5000 {
            let at_once = to_f64(limit.polite());
            let takes = 0.005 * at_once;
            now += Duration::from_secs_f64(takes / at_once);
            limit.held_back();
            limit.ended(Duration::from_secs_f64(takes), limit.polite(), now);
        }
        assert!(limit.polite() <= 2, "{limit:?}");
        // What is quick and wide is given more all the same, also after a hiccup.
        let mut limit = Limit::new(256);
        for number in 0..5000 {
            let at_once = to_f64(limit.polite());
            let takes = if (100..120).contains(&number) { 1.0 } else { 0.03 };
            now += Duration::from_secs_f64(takes / at_once);
            limit.held_back();
            limit.ended(Duration::from_secs_f64(takes), limit.polite(), now);
        }
        assert!(limit.polite() > 50, "{limit:?}");
        // Key services are slow, and wide.
        let (limit, _) = settles(256, 0.2, 1e9, 20_000);
        assert!(limit > 200.0, "{limit}");
        let mut limit = Limit::new(256);
        for _ in 0..PROBES {
            limit.ended(Duration::from_millis(200), 1, now);
        }
        assert_eq!(limit.polite(), limit.get());
    }

    #[test]
    fn it_stays_within_its_bounds() {
        assert_eq!(Limit::new(1).get(), 1);
        // Not while it measures.
        let (limit, _) = settles(2, 0.2, 1e9, 1020);
        assert!((limit - 2.0).abs() < 1e-9, "{limit}");
    }

    #[test]
    fn others_are_begun_where_nothing_ends() {
        let mut limit = Limit::new(64);
        let mut now = Instant::now();
        for _ in 0..100 {
            now = limit.blocked(now).max(now + Duration::from_millis(1));
        }
        assert_eq!(limit.get(), 64);
    }
}
