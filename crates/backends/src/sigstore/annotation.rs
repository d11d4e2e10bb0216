//! Log entries and timestamps in the annotations of cosign's layers. Anybody may have written them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::{Entry, Error, ErrorKind, Result};
use serde::Deserialize;

/// No annotation is longer: what a registry takes for a manifest is less.
const MAX: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RekorBundle {
    signed_entry_timestamp: String,
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    body: String,
    integrated_time: i64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    api_version: String,
    kind: String,
}

#[derive(Deserialize)]
struct Timestamp {
    #[serde(rename = "SignedRFC3161Timestamp")]
    signed: String,
}

/// The log entry of `dev.sigstore.cosign/bundle`.
pub(crate) fn entry(json: &str) -> Result<Entry> {
    let odd = |why: String| {
        let what = "reading the log entry in an annotation";
        Error::new(ErrorKind::InvalidInput, what).with_source(why)
    };
    if json.len() > MAX {
        return Err(odd(format!("it has more than {MAX} bytes")));
    }
    let raw: RekorBundle = serde_json::from_str(json).map_err(|e| odd(e.to_string()))?;
    let decode = |text: &str| STANDARD.decode(text).map_err(|e| odd(e.to_string()));
    let body = decode(&raw.payload.body)?;
    let Body { api_version, kind } =
        serde_json::from_slice(&body).map_err(|e| odd(e.to_string()))?;
    Ok(Entry {
        log_url: String::new(),
        log_id: hex::decode(&raw.payload.log_id).map_err(|e| odd(e.to_string()))?.into(),
        log_index: raw.payload.log_index,
        kind,
        version: api_version,
        integrated_time: Some(raw.payload.integrated_time),
        body: body.into(),
        inclusion_promise: Some(decode(&raw.signed_entry_timestamp)?.into()),
        inclusion_proof: None,
        timestamps: Vec::new(),
        others: Vec::new(),
    })
}

/// The timestamp of `dev.sigstore.cosign/rfc3161timestamp`.
pub(crate) fn timestamp(json: &str) -> Result<Bytes> {
    let odd = |why: String| {
        let what = "reading the timestamp in an annotation";
        Error::new(ErrorKind::InvalidInput, what).with_source(why)
    };
    let raw: Timestamp = serde_json::from_str(json).map_err(|e| odd(e.to_string()))?;
    STANDARD.decode(&raw.signed).map(Bytes::from).map_err(|e| odd(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_annotation_is_refused() {
        for json in [
            "",
            "{}",
            r#"{"SignedEntryTimestamp":"%","Payload":{"body":"e30=","integratedTime":1,"logIndex":1,"logID":"00"}}"#,
            r#"{"SignedEntryTimestamp":"","Payload":{"body":"e30=","integratedTime":1,"logIndex":1,"logID":"00"}}"#,
            r#"{"SignedEntryTimestamp":"","Payload":{"body":"","integratedTime":1,"logIndex":-1,"logID":"00"}}"#,
        ] {
            assert_eq!(entry(json).expect_err(json).kind(), ErrorKind::InvalidInput);
        }
        for json in ["", "{}", r#"{"SignedRFC3161Timestamp":"%"}"#] {
            assert_eq!(timestamp(json).expect_err(json).kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn an_entry_is_read() {
        let body = STANDARD.encode(r#"{"apiVersion":"0.0.1","kind":"dsse","spec":{}}"#);
        let json = format!(
            r#"{{"SignedEntryTimestamp":"AAAA","Payload":{{"body":"{body}","integratedTime":7,"logIndex":1,"logID":"0a"}}}}"#
        );
        let entry = entry(&json).expect("an entry");
        assert_eq!((entry.kind.as_str(), entry.version.as_str()), ("dsse", "0.0.1"));
        assert_eq!((entry.log_id.as_ref(), entry.integrated_time), ([10].as_slice(), Some(7)));
    }
}
