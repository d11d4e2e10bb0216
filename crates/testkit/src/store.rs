//! The contract of a store.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use chains_core::{Capabilities, ErrorKind, Outcome, ReadBack, Record, Signed, Store, Stored};

use crate::fake::FakeSigner;
use crate::fixture;

/// How many write at once.
const CONCURRENT: usize = 32;
/// How often a put is tried again where the store says that it may succeed.
const RETRIES: usize = 3;
/// At how many of the points where it waits a put is broken off, at most.
const BREAKS: usize = 100;

/// Whether a store with these capabilities can hold the record.
#[must_use]
pub const fn holds(capabilities: Capabilities, record: &Record) -> bool {
    match &record.signed {
        Some(Signed::Dsse(_)) => capabilities.dsse,
        Some(Signed::Detached(_)) => capabilities.detached,
        None => capabilities.unsigned,
    }
}

/// Records of every kind that a store may be given, of the run with this name.
///
/// A store that keeps records beside images finds them for [`fixture::image`]`(name)`.
#[must_use]
pub fn records(name: &str) -> Vec<Record> {
    let run = fixture::run(name);
    vec![
        fixture::run_record(&run),
        fixture::image_record(&run, &fixture::image(name)),
        fixture::status_record(&fixture::run(&format!("{name}-status"))),
        fixture::unsigned_record(&fixture::run(&format!("{name}-unsigned"))),
    ]
}

/// Checks that a store keeps its contract, with the fixtures' records.
///
/// # Panics
/// Where the contract is broken.
pub async fn suite(store: Arc<dyn Store>) {
    suite_with(store, records("suite")).await;
}

/// Checks that a store keeps its contract, with these records: of different targets, at most one each.
///
/// What it can hold, it holds; holding it again changes nothing; 32 may write at once, the same record and
/// different ones; what it says it cannot hold it refuses as unsupported or skips, and never calls stored.
///
/// # Panics
/// Where the contract is broken.
pub async fn suite_with(store: Arc<dyn Store>, records: Vec<Record>) {
    assert!(!store.name().is_empty(), "a store has a name");
    let (held, refused): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| holds(store.capabilities(), record));
    assert!(!held.is_empty(), "a store holds something");
    for record in &refused {
        refuses(&*store, record).await;
    }
    for record in &held {
        idempotent(&*store, record).await;
    }
    concurrent(&store, &held).await;
}

/// Checks, besides [`suite`], that the store reads back what it wrote.
///
/// # Panics
/// Where the contract is broken.
pub async fn read_back_suite(store: Arc<dyn ReadBack>) {
    read_back_suite_with(store, records("suite")).await;
}

/// Checks, besides [`suite_with`], that the store reads back what it wrote, and nothing where nothing is.
///
/// # Panics
/// Where the contract is broken.
pub async fn read_back_suite_with(store: Arc<dyn ReadBack>, records: Vec<Record>) {
    let absent = fixture::run_record(&fixture::run("never-stored"));
    assert!(read(&*store, &absent).await.is_empty(), "nothing is read where nothing was stored");
    let as_store: Arc<dyn Store> = store.clone();
    suite_with(as_store, records.clone()).await;
    for record in records.iter().filter(|record| holds(store.capabilities(), record)) {
        let written = put(&*store, record).await;
        let found = read(&*store, &written).await;
        assert!(found.iter().any(|stored| same(stored, &written)), "{found:?} has not {written:?}");
        let again = read(&*store, &written).await;
        assert_eq!(found, again, "the order is stable");
    }
}

/// A record as a first attempt makes it, and as a second one does that signs anew: by
/// [`FakeSigner::new`]`(1)` and `(2)`.
#[must_use]
pub fn signed_twice(name: &str) -> [Record; 2] {
    let run = fixture::run(name);
    let payload = || fixture::statement(&run, &fixture::image(name));
    [1, 2].map(|seed| {
        fixture::signed(&run, chains_core::Target::Run, payload(), &FakeSigner::new(seed))
    })
}

/// Checks that a store resumes after a failure in the middle: puts are broken off wherever they wait, as they are when a
/// process ends or the time for an attempt is over, and put again, as they were and signed anew.
///
/// `twice` makes, of a name, a record and the same one signed anew ([`signed_twice`]). What is read back afterwards is
/// the one or the other, never something of both.
///
/// # Panics
/// Where the contract is broken.
pub async fn resume_suite(store: Arc<dyn ReadBack>, twice: impl Fn(&str) -> [Record; 2]) {
    for times in 1..=BREAKS {
        let [first, _] = twice(&format!("broken-off-{times}"));
        let done = break_off(store.put(&first), times).await;
        put_again(&*store, &first).await;
        idempotent(&*store, &first).await;
        let found = read(&*store, &first).await;
        assert!(found.iter().any(|stored| same(stored, &first)), "{found:?} has not {first:?}");

        let [first, second] = twice(&format!("signed-anew-{times}"));
        let _ = break_off(store.put(&first), times).await;
        put_again(&*store, &second).await;
        // Where the first one was still on its way, the second may have come too early.
        put_again(&*store, &second).await;
        idempotent(&*store, &second).await;
        let found = read(&*store, &second).await;
        assert!(found.iter().any(|stored| same(stored, &second)), "{found:?} has not {second:?}");
        for stored in &found {
            let whole = same(stored, &first) || same(stored, &second) || stored.signed.is_none();
            assert!(whole, "{stored:?} is of both {first:?} and {second:?}");
        }
        if done.is_some() {
            return;
        }
    }
}

/// Puts a record as those do who retry: what was broken off may still be on its way, and in the way.
async fn put_again(store: &dyn Store, record: &Record) {
    for _ in 0..RETRIES {
        match store.put(record).await {
            Err(error) if error.is_retryable() => {}
            _ => break,
        }
    }
    put(store, record).await;
}

/// Drives a future until it waits for so many times; `None` where that breaks it off.
async fn break_off<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = times;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left <= 1 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Puts a record, and answers it as it is once whoever owns the run has written what it should.
///
/// # Panics
/// Where the store fails or skips.
pub async fn put(store: &dyn Store, record: &Record) -> Record {
    match store.put(record).await.expect("the store keeps what it can hold") {
        Outcome::Skipped(reason) => panic!("{} was skipped: {reason}", record.key.full),
        Outcome::OnRun { annotations } => on_run(record, annotations),
        Outcome::Stored { .. } | Outcome::AlreadyStored { .. } => record.clone(),
    }
}

async fn refuses(store: &dyn Store, record: &Record) {
    match store.put(record).await {
        Ok(Outcome::Skipped(_)) => {}
        Ok(outcome) => panic!("{} cannot be held and was {outcome}", record.key.full),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{}", error.report());
            assert!(!error.is_retryable(), "it will never be held: {}", error.report());
        }
    }
}

async fn idempotent(store: &dyn Store, record: &Record) {
    let written = put(store, record).await;
    let again = store.put(&written).await.expect("putting again succeeds");
    let already = matches!(again, Outcome::AlreadyStored { .. });
    assert!(already, "{} was there already and was {again}", record.key.full);
}

async fn concurrent(store: &Arc<dyn Store>, held: &[Record]) {
    let tasks: Vec<_> = (0..CONCURRENT)
        .filter_map(|number| held.get(number % held.len()))
        .map(|record| {
            let (store, record) = (Arc::clone(store), record.clone());
            tokio::spawn(async move { put(&*store, &record).await })
        })
        .collect();
    for task in tasks {
        let written = task.await.expect("every one of many writers succeeds");
        idempotent(&**store, &written).await;
    }
}

async fn read(store: &dyn ReadBack, record: &Record) -> Vec<Stored> {
    store.read_back(record.into()).await.expect("the store reads")
}

/// Key ids are hints that a store's format may not have room for; all else is as it was.
fn same(stored: &Stored, record: &Record) -> bool {
    let signature = |signed: &Option<Signed>| signed.as_ref().map(|s| s.signature().to_vec());
    let material = record.material.as_deref();
    stored.payload == record.payload.bytes
        && signature(&stored.signed) == signature(&record.signed)
        && stored.certificate.as_ref() == material.and_then(|m| m.certificate.as_ref())
        && stored.chain.as_ref() == material.and_then(|m| m.chain.as_ref())
        && !stored.location.is_empty()
}

fn on_run(record: &Record, added: BTreeMap<String, String>) -> Record {
    assert!(!added.is_empty(), "what goes on the run is something");
    let mut annotations = (*record.run.annotations).clone();
    annotations.extend(added);
    fixture::with_annotations(record.clone(), annotations)
}

/// Different targets of different runs, for tests that want many.
#[must_use]
pub fn many(count: usize) -> Vec<Record> {
    (0..count).map(|number| fixture::run_record(&fixture::run(&format!("many-{number}")))).collect()
}
