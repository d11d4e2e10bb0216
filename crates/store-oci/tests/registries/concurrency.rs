//! Many writers of one tag.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::http::Method;
use chains_core::{
    Digest, ErrorKind, Outcome, Record, RegistryCredential, RegistryCredentials, Result, RunRef,
    Signed, Store as _,
};
use chains_store_oci::{OciOptions, OciStore};
use serde_json::Value;

use crate::support::{
    Act, Image, Registry, anonymous, attestation, basic, options, push_image, reply,
};

/// The digest of the layer that a record becomes.
fn layer(record: &Record) -> String {
    let Some(Signed::Dsse(envelope)) = &record.signed else { panic!("an envelope") };
    Digest::sha256_of(envelope.to_json().as_bytes()).to_string()
}

fn layers(manifest: &Value) -> BTreeSet<String> {
    let layers = manifest["layers"].as_array().into_iter().flatten();
    layers.map(|layer| layer["digest"].as_str().expect("a digest").to_owned()).collect()
}

async fn put_all(stores: &[Arc<OciStore>], records: &[Record]) -> Vec<Result<Outcome>> {
    let tasks: Vec<_> = records
        .iter()
        .enumerate()
        .map(|(i, record)| {
            let (store, record) = (Arc::clone(&stores[i % stores.len()]), record.clone());
            tokio::spawn(async move { store.put(&record).await })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("no panic"));
    }
    results
}

/// `count` runs of one image, all at once through `stores` stores: all of them are there in the end.
async fn check(stores: Vec<Arc<OciStore>>, count: usize) {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let records: Vec<_> =
        (0..count).map(|i| attestation(&format!("run-{i}"), vec![image.subject()])).collect();
    for result in put_all(&stores, &records).await {
        let outcome = result.unwrap_or_else(|e| panic!("{}", e.report()));
        assert_eq!(outcome.as_str(), "stored");
    }
    let expect: BTreeSet<_> = records.iter().map(layer).collect();
    let manifest = registry.manifest("app", &image.tag("att")).await;
    assert_eq!(layers(&manifest), expect);
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(count));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_store_loses_nothing_and_writes_seldom() {
    let store = Arc::new(anonymous());
    check(vec![store], 32).await;
}

/// Other stores are to this one what other processes are.
#[tokio::test(flavor = "multi_thread")]
async fn four_stores_lose_nothing() {
    let one = || {
        let options = OciOptions { settle: OciOptions::default().settle, ..options() };
        Arc::new(crate::support::store(options, None))
    };
    check(vec![one(), one(), one(), one()], 32).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_are_written_together() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let records: Vec<_> =
        (0..32).map(|i| attestation(&format!("run-{i}"), vec![image.subject()])).collect();
    put_all(&[Arc::new(anonymous())], &records).await;
    let tag = image.tag("att");
    let writes = registry.take_seen().iter().filter(|seen| seen.is(&Method::PUT, &tag)).count();
    assert!((1..=16).contains(&writes), "{writes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_record_at_once_is_there_once() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let record = attestation("run", vec![image.subject()]);
    let results = put_all(&[Arc::new(anonymous())], &vec![record; 16]).await;
    assert!(results.iter().all(std::result::Result::is_ok));
    let manifest = registry.manifest("app", &image.tag("att")).await;
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
}

/// A registry where another writer undoes the first `lost` writes of a tag.
fn lose(registry: &Registry, image: &Image, lost: usize) -> Arc<AtomicUsize> {
    let writes = Arc::new(AtomicUsize::new(0));
    let (counted, tag) = (Arc::clone(&writes), image.tag("att"));
    registry.switch(move |seen| {
        if seen.is(&Method::PUT, &tag) && counted.fetch_add(1, Ordering::Relaxed) < lost {
            return reply(201, &[], "");
        }
        Act::Pass
    });
    writes
}

#[tokio::test]
async fn a_write_that_was_undone_is_done_again() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let writes = lose(&registry, &image, 2);
    let record = attestation("run", vec![image.subject()]);
    let outcome = anonymous().put(&record).await.unwrap_or_else(|e| panic!("{}", e.report()));
    assert_eq!(outcome.as_str(), "stored");
    assert_eq!(writes.load(Ordering::Relaxed), 3);
    let manifest = registry.manifest("app", &image.tag("att")).await;
    assert_eq!(layers(&manifest), [layer(&record)].into());
}

#[tokio::test]
async fn a_writer_that_always_loses_says_so() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    lose(&registry, &image, usize::MAX);
    let store =
        crate::support::store(OciOptions { settle: std::time::Duration::ZERO, ..options() }, None);
    let error = store.put(&attestation("run", vec![image.subject()])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.is_retryable());
    assert!(error.report().contains("other writers undid it 12 times"), "{}", error.report());
}

/// Another writer who comes between the reading of a tag and its writing is noticed before.
#[tokio::test]
async fn what_comes_in_between_is_kept() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let other = attestation("other", vec![image.subject()]);
    let tag = image.tag("att");
    anonymous().put(&other).await.expect("stored");
    let there = registry.manifest("app", &tag).await;

    let ours = attestation("ours", vec![image.subject()]);
    let reads = AtomicUsize::new(0);
    registry.switch(move |seen| {
        // The first look finds nothing, as if the other one had not written yet.
        let first = seen.path.contains(&tag)
            && seen.method == Method::GET
            && reads.fetch_add(1, Ordering::Relaxed) == 0;
        if first { reply(404, &[], "") } else { Act::Pass }
    });
    anonymous().put(&ours).await.expect("stored");
    let now = registry.manifest("app", &image.tag("att")).await;
    assert_eq!(now["layers"][0], there["layers"][0]);
    assert_eq!(layers(&now), [layer(&other), layer(&ours)].into());
}

/// A writer that gives up in the middle does not hold up the others, nor does it leave anything behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_gives_up_holds_up_nobody() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    let store = Arc::new(anonymous());
    let (entered, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    let tag = image.tag("att");
    let held = AtomicUsize::new(0);
    registry.switch(move |seen| {
        let first = seen.is(&Method::PUT, &tag) && held.fetch_add(1, Ordering::Relaxed) == 0;
        if first {
            let _ = entered.send(());
            return reply(503, &[("retry-after", "20")], "");
        }
        Act::Pass
    });
    let stuck = {
        let (store, record) = (Arc::clone(&store), attestation("stuck", vec![image.subject()]));
        tokio::spawn(async move { store.put(&record).await })
    };
    waiting.recv().await.expect("a write");
    let next = {
        let (store, record) = (Arc::clone(&store), attestation("next", vec![image.subject()]));
        tokio::spawn(async move { store.put(&record).await })
    };
    tokio::task::yield_now().await;
    stuck.abort();
    assert!(stuck.await.expect_err("given up").is_cancelled());
    let outcome = next.await.expect("no panic").expect("stored");
    assert_eq!(outcome.as_str(), "stored");
}

/// Credentials by the run's name: `alice-1` is alice's.
#[derive(Debug)]
struct ByRun;

#[async_trait]
impl RegistryCredentials for ByRun {
    async fn credential(
        &self,
        run: Option<&RunRef>,
        _registry: &str,
        _repository: &str,
    ) -> Result<Option<RegistryCredential>> {
        let user = run.and_then(|run| Some(run.name.split_once('-')?.0.to_owned()));
        Ok(user.map(|user| basic(&user, "password")))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_written_with_the_right_of_another() {
    let registry = Registry::start().await;
    let image = push_image(&registry, "app", "a").await;
    registry.switch(|seen| match seen.authorization() {
        None => reply(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        Some(_) => Act::Pass,
    });
    let options = OciOptions { insecure_hosts: vec![registry.host()], ..options() };
    let store = Arc::new(OciStore::new(options, Arc::new(ByRun)).expect("a store"));
    let records: Vec<_> = (0..24)
        .map(|i| {
            let user = if i % 3 == 0 { "alice" } else { "bob" };
            attestation(&format!("{user}-{i}"), vec![image.subject()])
        })
        .collect();
    for result in put_all(&[store], &records).await {
        result.unwrap_or_else(|e| panic!("{}", e.report()));
    }
    let owners: BTreeMap<_, _> =
        records.iter().map(|r| (layer(r), r.run.name.split_once('-').expect("a user").0)).collect();
    let mut there = BTreeSet::new();
    let tag = image.tag("att");
    for seen in registry.take_seen().iter().filter(|seen| seen.is(&Method::PUT, &tag)) {
        let Some(shown) = seen.authorization() else { continue };
        let now = layers(&serde_json::from_slice(&seen.body).expect("JSON"));
        for new in now.difference(&there) {
            assert_eq!(shown, header(owners[new]), "{new}");
        }
        there = now;
    }
    assert_eq!(there.len(), 24);
}

fn header(user: &str) -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:password"));
    format!("Basic {encoded}")
}
