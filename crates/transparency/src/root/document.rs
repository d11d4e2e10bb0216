//! What both documents have in common: protocol buffers as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::time::{self, Validity};

/// No document is larger: the public one has some 10 KiB.
const MAX_JSON: usize = 4 * 1024 * 1024;

/// Reads a document of one of these types.
pub(super) fn read<T: DeserializeOwned>(json: &[u8], what: &str, types: &[&str]) -> Result<T> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: String,
    }
    if json.len() > MAX_JSON {
        return Err(unusable(what, format!("it has more than {MAX_JSON} bytes")));
    }
    let typed: Typed = serde_json::from_slice(json).map_err(|e| unusable(what, e.to_string()))?;
    if !types.contains(&typed.media_type.as_str()) {
        let found = crate::fault::quoted(&typed.media_type);
        return Err(unusable(what, format!("documents of type {found} are not supported")));
    }
    serde_json::from_slice(json).map_err(|e| unusable(what, e.to_string()))
}

pub(super) fn unusable(what: &str, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("reading a {what}")).with_source(why.into())
}

/// From when to when, as both documents have it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TimeRange {
    #[serde(default, deserialize_with = "moment")]
    pub(super) start: Option<i64>,
    #[serde(default, deserialize_with = "moment")]
    pub(super) end: Option<i64>,
}

impl From<TimeRange> for Validity {
    fn from(range: TimeRange) -> Self {
        Self { start: range.start, end: range.end }
    }
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let moment = time::read(&text)
        .ok_or_else(|| D::Error::custom(format!("{} is no moment", crate::fault::quoted(&text))))?;
    Ok(Some(moment))
}

/// Bytes in base64 of either alphabet.
pub(super) fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    engine.decode(text).map(Bytes::from).map_err(D::Error::custom)
}
