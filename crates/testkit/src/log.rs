//! The contract of a transparency log.

use std::sync::Arc;

use chains_core::{Entry, Record, TransparencyLog};

use crate::fixture;

/// How many append at once.
const CONCURRENT: usize = 16;

/// Checks that a log keeps its contract, with the fixtures' records.
///
/// # Panics
/// Where the contract is broken.
pub async fn suite(log: Arc<dyn TransparencyLog>) {
    let run = fixture::run("log");
    let image = fixture::image("log");
    suite_with(log, vec![fixture::run_record(&run), fixture::image_record(&run, &image)]).await;
}

/// Checks that a log keeps its contract, with these signed records, which are different.
///
/// An entry comes out; appending again, also many at once, finds the same entry; another record has another.
///
/// # Panics
/// Where the contract is broken.
pub async fn suite_with(log: Arc<dyn TransparencyLog>, records: Vec<Record>) {
    assert!(!log.url().is_empty(), "a log has an address");
    let mut indices = Vec::new();
    for record in &records {
        let entry = append(&*log, record).await;
        assert!(!entry.body.is_empty(), "an entry has a body");
        assert!(!entry.kind.is_empty(), "an entry has a kind");
        assert_eq!(append(&*log, record).await.log_index, entry.log_index, "there is one entry");
        indices.push(entry.log_index);
        let tasks: Vec<_> = (0..CONCURRENT)
            .map(|_| {
                let (log, record) = (Arc::clone(&log), record.clone());
                tokio::spawn(async move { append(&*log, &record).await })
            })
            .collect();
        for task in tasks {
            let again = task.await.expect("every one of many appends succeeds");
            assert_eq!(again.log_index, entry.log_index, "there is one entry");
        }
    }
    let total = indices.len();
    indices.sort_unstable();
    indices.dedup();
    assert_eq!(indices.len(), total, "different records have different entries");
}

async fn append(log: &dyn TransparencyLog, record: &Record) -> Entry {
    let signed = record.signed.as_ref().expect("what is logged is signed");
    let material = record.material.as_ref().expect("what is signed has material");
    log.append(&record.payload, signed, material).await.expect("the log takes it in")
}
