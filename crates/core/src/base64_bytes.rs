//! Serde for bytes that JSON holds as base64: written in the standard alphabet, read in either.
//!
//! Whoever reads [DSSE envelopes] or [protocol buffers as JSON][proto], as Sigstore bundles are, must take the alphabet
//! for addresses as well as the standard one. Padding is no choice in DSSE, which follows [RFC 4648 §3.2].
//!
//! [DSSE envelopes]: https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md
//! [proto]: https://protobuf.dev/programming-guides/json/
//! [RFC 4648 §3.2]: https://www.rfc-editor.org/rfc/rfc4648#section-3.2

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: From<Vec<u8>>,
{
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    // Text that mixes the alphabets is of neither.
    let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    engine.decode(text.as_bytes()).map(T::from).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    #[derive(Debug, Serialize, serde::Deserialize)]
    struct Bytes(#[serde(with = "crate::base64_bytes")] Vec<u8>);

    fn check(text: &str, expect: Result<&[u8], &str>) {
        let json = serde_json::Value::from(text);
        match (serde_json::from_value::<Bytes>(json), expect) {
            (Ok(bytes), Ok(expect)) => assert_eq!(bytes.0, expect, "{text}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn either_alphabet_is_read() {
        check("", Ok(b""));
        check("+/+/", Ok(b"\xfb\xff\xbf"));
        check("-_-_", Ok(b"\xfb\xff\xbf"));
        check("+/8=", Ok(b"\xfb\xff"));
        check("-_8=", Ok(b"\xfb\xff"));
        check("-_8", Err("padding"));
        check("+/8", Err("padding"));
        check("YQ==", Ok(b"a"));
        check("+/-_", Err("Invalid symbol"));
        check("YQ=", Err("padding"));
        check("YR==", Err("Invalid last symbol"));
        check("Y", Err("Invalid input length"));
        check("YQ==\n", Err("Invalid"));
        check("YQ ==", Err("Invalid"));
    }

    #[test]
    fn the_standard_alphabet_is_written() {
        let json = serde_json::to_string(&Bytes(b"\xfb\xff".to_vec())).expect("JSON");
        assert_eq!(json, "\"+/8=\"");
    }
}
