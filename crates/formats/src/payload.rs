//! From a document to the bytes that are signed.

use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result};
use serde::Serialize;

/// How many bytes to make room for: most statements fit.
const ROOM: usize = 4096;

/// Compact JSON.
pub(crate) fn to_bytes(document: &impl Serialize, format: &'static str) -> Result<Bytes> {
    let mut bytes = Vec::with_capacity(ROOM);
    serde_json::to_writer(&mut bytes, document).map_err(|e| {
        Error::new(ErrorKind::Internal, format!("writing a payload of format {format}"))
            .with_source(e)
    })?;
    Ok(Bytes::from(bytes))
}
