//! Registries that ask to slow down, or that stumble.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How often a request is sent again to who asks to slow down.
const MAX_WAITS: u32 = 4;
/// How often a request is sent again to who stumbles.
const MAX_STUMBLES: u32 = 3;
/// What asks for a longer wait fails at once: whoever called knows better what to do meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Seconds since 1970 of some day in 2001: greater numbers are dates, as Docker Hub sends them.
const EARLIEST_DATE: u64 = 1_000_000_000;

/// What to do about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Take it.
    Take,
    /// Send the same request again after this time.
    Wait(Duration),
    /// Give up: it asks to wait for so long, or too often.
    GiveUp(Duration),
}

/// When a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// When the registry asks for time, or stumbles.
    Freely,
    /// When it asks for time: else what came through the first time would be there twice.
    WhenAsked,
    /// Not at all: there is something to look at before.
    Never,
}

/// What to do about an answer to a request that was sent `before` times before.
///
/// 429 asks to slow down, and 503 where it says for how long ([RFC 9110 §10.2.3]). Other failures of the
/// server are given a second chance soon: registries that keep tags in files answer 500 while another writer
/// writes one.
///
/// [RFC 9110 §10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
pub(super) fn next(status: StatusCode, headers: &HeaderMap, before: u32, again: Again) -> Next {
    if again == Again::Never {
        return Next::Take;
    }
    let asked = headers.get(RETRY_AFTER);
    let asked = asked.and_then(|value| parse(value.to_str().ok()?, SystemTime::now()));
    let backoff = |first| {
        let base = Duration::from_millis(first) * 2u32.saturating_pow(before);
        base + jitter(base)
    };
    let wait = match (status, asked) {
        (StatusCode::TOO_MANY_REQUESTS, asked) => asked.unwrap_or_else(|| backoff(500)),
        (StatusCode::SERVICE_UNAVAILABLE, Some(asked)) => asked,
        _ if status.is_server_error() && again == Again::Freely && before < MAX_STUMBLES => {
            return Next::Wait(backoff(50));
        }
        _ => return Next::Take,
    };
    if wait > LONGEST_WAIT || before >= MAX_WAITS { Next::GiveUp(wait) } else { Next::Wait(wait) }
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
    fn what_asks_for_time_gets_some() {
        let secs = |secs| Next::Wait(Duration::from_secs(secs));
        let mut headers = HeaderMap::new();
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(next(unavailable, &headers, 0, Again::WhenAsked), Next::Take);
        assert!(matches!(next(StatusCode::TOO_MANY_REQUESTS, &headers, 2, Again::WhenAsked),
            Next::Wait(wait) if wait >= Duration::from_secs(2)));
        headers.insert(RETRY_AFTER, reqwest::header::HeaderValue::from_static("3"));
        assert_eq!(next(unavailable, &headers, 0, Again::WhenAsked), secs(3));
        assert_eq!(next(StatusCode::TOO_MANY_REQUESTS, &headers, 3, Again::Freely), secs(3));
        assert_eq!(
            next(unavailable, &headers, 4, Again::Freely),
            Next::GiveUp(Duration::from_secs(3))
        );
        headers.insert(RETRY_AFTER, reqwest::header::HeaderValue::from_static("31"));
        assert_eq!(
            next(unavailable, &headers, 0, Again::Freely),
            Next::GiveUp(Duration::from_secs(31))
        );
        assert_eq!(next(StatusCode::NOT_FOUND, &headers, 0, Again::Freely), Next::Take);
    }

    #[test]
    fn who_stumbles_gets_another_chance() {
        let headers = HeaderMap::new();
        for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::BAD_GATEWAY] {
            assert!(matches!(next(status, &headers, 0, Again::Freely), Next::Wait(_)));
            assert_eq!(next(status, &headers, 0, Again::WhenAsked), Next::Take);
            assert_eq!(next(status, &headers, 3, Again::Freely), Next::Take);
            assert_eq!(next(status, &headers, 0, Again::Never), Next::Take);
        }
    }
}
