//! Points in time as the formats write them: in UTC.

use chains_tekton::Json;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// A time of the run's status, which [`chains_tekton`] has checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time<'a> {
    text: &'a str,
    fraction: Fraction,
}

/// How fractions of a second are written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fraction {
    /// With as many digits as it takes.
    Shortest,
    /// With 3, 6 or 9 digits, as the JSON form of protobuf's
    /// [Timestamp](https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp) has them.
    Thirds,
}

impl<'a> Time<'a> {
    /// The time, if there is one.
    pub(crate) fn of(json: &'a Json, fraction: Fraction) -> Option<Self> {
        json.as_text().map(|text| Self { text, fraction })
    }

    /// Whether it is written as it is to be already, as the API server does.
    fn is_plain(self) -> bool {
        const SHAPE: &[u8] = b"0000-00-00T00:00:00Z";
        self.text.len() == SHAPE.len()
            && self.text.bytes().zip(SHAPE).all(|(found, shape)| match shape {
                b'0' => found.is_ascii_digit(),
                other => found == *other,
            })
    }
}

impl Serialize for Time<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_plain() {
            return serializer.serialize_str(self.text);
        }
        let time: Timestamp = self.text.parse().map_err(serde::ser::Error::custom)?;
        let nanoseconds = time.subsec_nanosecond();
        match self.fraction {
            Fraction::Thirds if nanoseconds % 1_000 != 0 => {
                serializer.collect_str(&format_args!("{time:.9}"))
            }
            Fraction::Thirds if nanoseconds % 1_000_000 != 0 => {
                serializer.collect_str(&format_args!("{time:.6}"))
            }
            Fraction::Thirds if nanoseconds != 0 => {
                serializer.collect_str(&format_args!("{time:.3}"))
            }
            _ => serializer.collect_str(&time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_utc() {
        let check = |text: &str, shortest: &str, thirds: &str| {
            let json = Json::from(text);
            let told = |fraction| serde_json::to_string(&Time::of(&json, fraction)).unwrap();
            assert_eq!(told(Fraction::Shortest), format!("{shortest:?}"), "{text}");
            assert_eq!(told(Fraction::Thirds), format!("{thirds:?}"), "{text}");
        };
        let plain = "2026-03-29T09:50:15Z";
        check(plain, plain, plain);
        check("2026-03-29T11:50:15+02:00", plain, plain);
        check("2026-03-29t09:50:15z", plain, plain);
        check("2026-03-29T09:50:15.50Z", "2026-03-29T09:50:15.5Z", "2026-03-29T09:50:15.500Z");
        check(
            "2026-03-29T09:50:15.0001Z",
            "2026-03-29T09:50:15.0001Z",
            "2026-03-29T09:50:15.000100Z",
        );
        check(
            "2026-03-29T09:50:15.000000001Z",
            "2026-03-29T09:50:15.000000001Z",
            "2026-03-29T09:50:15.000000001Z",
        );
    }
}
