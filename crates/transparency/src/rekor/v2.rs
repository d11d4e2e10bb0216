//! Rekor v2: a log of tiles, which answers when a checkpoint that has the entry in it is out.
//!
//! After [its notes for clients](https://github.com/sigstore/rekor-tiles/blob/main/CLIENTS.md).

use chains_core::bundle::TransparencyLogEntry;
use chains_core::{Entry, Result};
use chains_http::Answer;
use reqwest::StatusCode;

use super::{proposal, tiles};
use crate::entry::{Evidence, TrustedLog, entry_of_bundle, verify_entry};
use crate::fault::protocol;
use crate::http::{self, Http, Service};
use crate::logged::Logged;

const ENTRIES: &str = "/api/v2/log/entries";
/// Names the entry that was there before.
const DUPLICATE: &str = "x-log-index";
/// No answer is larger: an entry, a proof and a checkpoint.
const MAX_ANSWER: usize = 1024 * 1024;

/// A client of one log.
#[derive(Debug, Clone)]
pub(crate) struct RekorV2 {
    http: Http,
    service: Service,
    /// Where checkpoint and tiles are.
    read: Service,
}

impl RekorV2 {
    /// A client of the log at `service`, whose tiles are at `read` or where a log has them by itself.
    pub(crate) fn new(http: Http, service: Service, read: Option<Service>) -> Self {
        let read = read.unwrap_or_else(|| service.below("/api/v2"));
        Self { http, service, read }
    }

    /// Logs it, or finds the entry that is there. The entry is verified.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](chains_core::ErrorKind::NotFound) where there is no log of this version at the address;
    /// else as for [`TransparencyLog::append`](chains_core::TransparencyLog::append).
    pub(crate) async fn append(&self, logged: &Logged<'_>, logs: &[TrustedLog]) -> Result<Entry> {
        let what = format!("logging at {}", self.service.shown());
        let proposal = proposal::v2(logged)?.to_string().into_bytes();
        let request = self.http.post(self.service.at(ENTRIES), "application/json", proposal);
        let answer = http::send(&what, request, MAX_ANSWER).await?;
        let entry = match answer.status {
            StatusCode::CREATED | StatusCode::OK => read(&what, &answer)?,
            StatusCode::CONFLICT => {
                let index = index_of(&answer).ok_or_else(|| {
                    protocol(&what, "it has the entry already and does not say where")
                })?;
                tiles::read_entry(&self.http, &self.read, index, logs).await?
            }
            _ => return Err(http::refused(&what, &answer)),
        };
        let entry = Entry { log_url: self.service.shown().to_owned(), ..entry };
        verify_entry(&entry, logged, logs, Evidence::Proof).map_err(|e| {
            let (index, log) = (entry.log_index, self.service.shown());
            e.context(format!("verifying entry {index} of {log}"))
        })?;
        Ok(entry)
    }
}

fn read(what: &str, answer: &Answer) -> Result<Entry> {
    let entry: TransparencyLogEntry =
        serde_json::from_slice(&answer.body).map_err(|e| protocol(what, e.to_string()))?;
    let mut entry = entry_of_bundle(&entry).map_err(|e| protocol(what, e.to_string()))?;
    // A log of version 2 signs neither of them.
    entry.integrated_time = None;
    entry.inclusion_promise = None;
    Ok(entry)
}

fn index_of(answer: &Answer) -> Option<u64> {
    answer.headers.get(DUPLICATE)?.to_str().ok()?.parse().ok()
}
