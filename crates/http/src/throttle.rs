//! Services that ask to wait, and say for how long.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// What asks for a longer wait fails at once: whoever called knows better what to do meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// What is waited at least where it is told in whole seconds: OpenBao rounds down, and says 0 all the time until its
/// second is over.
const LEAST_WAIT: Duration = Duration::from_secs(1);
/// How often a request is sent again to who asks to wait.
const MAX_WAITS: u32 = 2;

/// How long to wait before the same request is sent again, which was answered `before` times before; `None` where it
/// is not to be sent again.
///
/// Only answers are waited for that say for how long ([RFC 9110 §10.2.3]); backing off from others is for the caller.
///
/// [RFC 9110 §10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
pub(super) fn wait(status: StatusCode, headers: &HeaderMap, before: u32) -> Option<Duration> {
    let asks = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if !asks || before >= MAX_WAITS {
        return None;
    }
    let wait = asked(headers, SystemTime::now())?;
    (wait <= LONGEST_WAIT).then_some(wait)
}

/// A little longer, so that all who wait do not come back at once: up to a quarter of it.
pub(super) fn spread(wait: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let thousandths = u32::try_from(random % 1000).unwrap_or_default();
    wait + wait / 4 * thousandths / 1000
}

/// `Retry-After`: seconds or a date. Azure also says it in milliseconds.
fn asked(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let milliseconds = ["retry-after-ms", "x-ms-retry-after-ms"];
    if let Some(value) = milliseconds.iter().find_map(|name| text(name)?.parse().ok()) {
        return Some(Duration::from_millis(value));
    }
    let value = text(RETRY_AFTER.as_str())?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds).max(LEAST_WAIT));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default().max(LEAST_WAIT))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        [(name.parse().expect("a name"), value.parse().expect("a value"))].into_iter().collect()
    }

    #[test]
    fn it_is_seconds_milliseconds_or_a_date() {
        let check = |name, value, expect: Option<u64>| {
            let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            assert_eq!(
                asked(&headers(name, value), now),
                expect.map(Duration::from_millis),
                "{value}"
            );
        };
        check("retry-after", "0", Some(1000));
        check("retry-after", " 7 ", Some(7000));
        check("retry-after-ms", "0", Some(0));
        check("retry-after-ms", "250", Some(250));
        check("x-ms-retry-after-ms", "250", Some(250));
        check("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT", Some(10_000));
        check("retry-after", "Mon, 14 Nov 2022 22:13:30 GMT", Some(1000));
        check("retry-after", "soon", None);
        check("retry-after", "-1", None);
        check("retry-after", "99999999999999999999999", None);
        check("other", "1", None);
    }

    #[test]
    fn who_waits_comes_back_within_a_quarter_more() {
        let wait = Duration::from_secs(4);
        assert!((0..100).all(|_| (4..=5).contains(&spread(wait).as_secs())));
        assert_eq!(spread(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn only_who_asks_is_waited_for_and_not_for_ever() {
        let check = |status, value, before, expect: Option<u64>| {
            let headers = headers("retry-after", value);
            assert_eq!(wait(status, &headers, before), expect.map(Duration::from_secs), "{value}");
        };
        check(StatusCode::TOO_MANY_REQUESTS, "3", 0, Some(3));
        check(StatusCode::SERVICE_UNAVAILABLE, "20", 1, Some(20));
        check(StatusCode::TOO_MANY_REQUESTS, "3", 2, None);
        check(StatusCode::TOO_MANY_REQUESTS, "21", 0, None);
        check(StatusCode::INTERNAL_SERVER_ERROR, "3", 0, None);
        assert_eq!(wait(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), 0), None);
    }
}
