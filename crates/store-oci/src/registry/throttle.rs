//! Registries that ask to slow down.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How often a request is sent again.
pub(super) const MAX_WAITS: u32 = 4;
/// What asks for a longer wait fails at once: whoever called knows better what to do meanwhile.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Seconds since 1970 of some day in 2001: greater numbers are dates, as Docker Hub sends them.
const EARLIEST_DATE: u64 = 1_000_000_000;

/// How long to wait before the same request is sent again; `None`: it is not to be sent again.
///
/// 429 always asks for that; 503 where it says for how long ([RFC 9110 §10.2.3]).
///
/// [RFC 9110 §10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
pub(super) fn wait(status: StatusCode, headers: &HeaderMap, waits: u32) -> Option<Duration> {
    let asked =
        headers.get(RETRY_AFTER).and_then(|value| parse(value.to_str().ok()?, SystemTime::now()));
    match (status, asked) {
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(asked)) => {
            Some(asked)
        }
        (StatusCode::TOO_MANY_REQUESTS, None) => {
            let base = Duration::from_millis(500) * 2u32.saturating_pow(waits);
            Some(base + jitter(base))
        }
        _ => None,
    }
}

/// Seconds, a date, or seconds since 1970.
fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let date = match value.parse::<u64>() {
        Ok(seconds) if seconds < EARLIEST_DATE => return Some(Duration::from_secs(seconds)),
        Ok(seconds) => UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?,
        Err(_) => httpdate::parse_http_date(value).ok()?,
    };
    Some(date.duration_since(now).unwrap_or_default())
}

/// Anything from nothing up to `most`.
pub(crate) fn jitter(most: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let thousandths = u32::try_from(random % 1000).unwrap_or_default();
    most * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expect: Option<u64>) {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(parse(value, now), expect.map(Duration::from_secs), "{value}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        check("0", Some(0));
        check(" 7 ", Some(7));
        check("1700000005", Some(5));
        check("1600000000", Some(0));
        check("Tue, 14 Nov 2023 22:13:30 GMT", Some(10));
        check("soon", None);
        check("-1", None);
        check("99999999999999999999999", None);
        check("18446744073709551615", None);
    }

    #[test]
    fn only_throttling_is_waited_for() {
        let mut headers = HeaderMap::new();
        assert_eq!(wait(StatusCode::SERVICE_UNAVAILABLE, &headers, 0), None);
        assert!(wait(StatusCode::TOO_MANY_REQUESTS, &headers, 2) >= Some(Duration::from_secs(2)));
        headers.insert(RETRY_AFTER, reqwest::header::HeaderValue::from_static("3"));
        assert_eq!(
            wait(StatusCode::SERVICE_UNAVAILABLE, &headers, 0),
            Some(Duration::from_secs(3))
        );
        assert_eq!(wait(StatusCode::TOO_MANY_REQUESTS, &headers, 0), Some(Duration::from_secs(3)));
        assert_eq!(wait(StatusCode::BAD_GATEWAY, &headers, 0), None);
    }
}
