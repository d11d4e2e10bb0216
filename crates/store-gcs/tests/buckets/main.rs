//! What the stores make of servers that refuse, break the rules, or do not answer: what no real one can be made to
//! show. Everything else is shown by the end-to-end cases, against real ones.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod google;
mod others;
mod server;

use chains_core::{Error, Outcome, Store as _};
use chains_store_gcs::BucketStore;
use chains_testkit::fixture;

/// Puts a record.
async fn put(store: &BucketStore) -> Result<Outcome, Error> {
    store.put(&fixture::run_record(&fixture::run("build"))).await
}

/// Puts a record, and gives the error with all that it says.
async fn refused(store: &BucketStore) -> (Error, String) {
    let error = put(store).await.unwrap_err();
    let report = error.report();
    assert!(!report.contains("hunter2"), "a secret is told: {report}");
    (error, report)
}
