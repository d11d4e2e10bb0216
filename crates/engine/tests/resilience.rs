//! Timeouts and retries around a store, with the clock held still.

use std::sync::Arc;
use std::time::Duration;

use chains_core::{ErrorKind, Store};
use chains_engine::{Policy, Resilient};
use chains_testkit::fake::{FailingStore, MemoryStore, SlowStore};
use chains_testkit::fixture;

const POLICY: Policy =
    Policy { timeout: Duration::from_secs(5), retries: 3, pause: Duration::from_millis(100) };

/// How often the store was called, and what came of it.
async fn check(failures: usize, kind: ErrorKind) -> (usize, Result<(), ErrorKind>) {
    let failing = Arc::new(FailingStore::new(Arc::new(MemoryStore::new("m")), failures, kind));
    let resilient: Resilient<dyn Store> = Resilient::new(failing.clone(), POLICY);
    let result = resilient.put(&fixture::run_record(&fixture::run("build"))).await;
    (failing.calls(), result.map(|_| ()).map_err(|e| e.kind()))
}

#[tokio::test(start_paused = true)]
async fn three_retries_are_three() {
    assert_eq!(check(0, ErrorKind::Unavailable).await, (1, Ok(())));
    assert_eq!(check(3, ErrorKind::Unavailable).await, (4, Ok(())));
    assert_eq!(check(4, ErrorKind::Unavailable).await, (4, Err(ErrorKind::Unavailable)));
}

#[tokio::test(start_paused = true)]
async fn what_will_not_get_better_is_tried_once() {
    assert_eq!(check(1, ErrorKind::Unauthorized).await, (1, Err(ErrorKind::Unauthorized)));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_given_up() {
    let slow = SlowStore::new(Arc::new(MemoryStore::new("slow")), Duration::from_secs(6));
    let resilient: Resilient<dyn Store> = Resilient::new(Arc::new(slow), POLICY);
    let error = resilient.put(&fixture::run_record(&fixture::run("build"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.report().contains("`slow`"), "{}", error.report());
}
