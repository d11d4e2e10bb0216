//! The queue's order, bounds and hand-overs.

use std::sync::Arc;
use std::time::Duration;

use chains_cluster::{RunApi, Version};
use chains_core::RunKind;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::*;
use crate::ownership::Bucket;
use crate::watching::Todo;

const BUCKETS: u16 = 4;

fn queue(concurrency: usize, bytes: usize) -> Queue {
    let queue = Queue::new(Bounds { concurrency, bytes });
    queue.hold(Buckets::all(BUCKETS));
    queue.allow_signing(true);
    queue
}

fn item(name: &str, lane: Lane, second: i64) -> Item {
    let json = RawValue::from_string(format!("\"{}\"", "x".repeat(98))).unwrap();
    let todo = if lane == Lane::Finalizer { Todo::Guard } else { Todo::Sign };
    Item {
        key: Key {
            api: RunApi { kind: RunKind::TaskRun, version: Version::V1 },
            namespace: "ci".into(),
            name: name.into(),
            uid: name.into(),
            bucket: Bucket::of(name, BUCKETS),
        },
        todo,
        lane,
        when: Timestamp::from_second(second).unwrap(),
        version: Some(1),
        json: Some(Arc::from(json)),
        gone: false,
        not_before: None,
        give_up: None,
        waits: 0,
        retries: None,
        verdict: None,
        waiting_since: None,
    }
}

/// What can be taken at once, by name; a `+` where the object came with it.
async fn taken(queue: &Queue) -> Vec<String> {
    let mut names = Vec::new();
    while let Ok(item) = tokio::time::timeout(Duration::from_millis(1), queue.take()).await {
        names.push(format!("{}{}", item.key.name, if item.json.is_some() { "+" } else { "" }));
        queue.done(&item.key, Done::Finished(None), None);
    }
    names
}

#[tokio::test(start_paused = true)]
async fn new_completions_overtake_and_the_newest_is_first() {
    let queue = queue(1, 10_000);
    for (name, lane, second) in [
        ("old", Lane::Backlog, 10),
        ("older", Lane::Backlog, 5),
        ("guard", Lane::Finalizer, 1),
        ("fresh", Lane::Fresh, 2),
        ("fresher", Lane::Fresh, 3),
        ("new", Lane::Backlog, 20),
    ] {
        queue.offer(item(name, lane, second));
    }
    assert_eq!(taken(&queue).await, ["fresher+", "fresh+", "guard+", "new+", "old+", "older+"]);
}

#[tokio::test(start_paused = true)]
async fn the_backlog_leaves_room_while_new_completions_keep_coming() {
    let queue = queue(64, 100_000);
    let quick = Some(Duration::from_millis(5));
    // It learns that runs are quick.
    for number in 0..4 {
        queue.offer(item(&format!("first-{number}"), Lane::Backlog, 1));
        let item = queue.take().await;
        queue.done(&item.key, Done::Finished(None), quick);
    }
    let limit = queue.counts().limit;
    for number in 0..32 {
        queue.offer(item(&format!("old-{number}"), Lane::Backlog, 1));
    }
    queue.offer(item("fresh", Lane::Fresh, 2));
    let fresh = queue.take().await;
    assert_eq!(&*fresh.key.name, "fresh");
    let at_once = async || {
        let mut items = Vec::new();
        let some = Duration::from_millis(1);
        while let Ok(item) = tokio::time::timeout(some, queue.take()).await {
            items.push(item);
        }
        items.len()
    };
    assert_eq!(at_once().await + 1, limit / 2);
    // They have stopped. (None of those in hand ends, so that it is even more.)
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(at_once().await >= limit - limit / 2);
}

#[tokio::test(start_paused = true)]
async fn objects_are_kept_within_the_budget_and_first_those_that_come_first() {
    let queue = queue(1, 250);
    for second in 1..=5 {
        queue.offer(item(&format!("r{second}"), Lane::Backlog, second));
    }
    assert_eq!(queue.counts().bytes, 200);
    assert_eq!(taken(&queue).await, ["r5+", "r4+", "r3", "r2", "r1"]);
    assert_eq!(queue.counts().bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_is_in_hand_once() {
    let queue = queue(8, 10_000);
    queue.offer(item("a", Lane::Fresh, 1));
    let first = queue.take().await;
    queue.offer(Item { version: Some(2), ..item("a", Lane::Fresh, 1) });
    assert!(taken(&queue).await.is_empty());
    queue.done(&first.key, Done::Finished(Some(2)), None);
    assert!(taken(&queue).await.is_empty(), "what was seen is older than what was written");
    // A watch that lags behind tells of the state before.
    queue.offer(Item { version: Some(2), ..item("a", Lane::Fresh, 1) });
    assert!(taken(&queue).await.is_empty());
    queue.offer(item("b", Lane::Fresh, 1));
    let second = queue.take().await;
    queue.offer(Item { version: Some(3), ..item("b", Lane::Fresh, 1) });
    queue.done(&second.key, Done::Finished(Some(2)), None);
    assert_eq!(taken(&queue).await, ["b+"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_time_is_read_again_then() {
    let queue = queue(8, 10_000);
    queue.offer(item("a", Lane::Fresh, 1));
    let taken_item = queue.take().await;
    let later = Item {
        version: Some(5),
        not_before: Some(Instant::now() + Duration::from_secs(10)),
        ..taken_item.clone()
    };
    queue.done(&taken_item.key, Done::Later(Box::new(later)), None);
    // A watch that lags behind tells of the state before.
    queue.offer(Item { version: Some(4), ..item("a", Lane::Fresh, 1) });
    assert!(taken(&queue).await.is_empty());
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(taken(&queue).await, ["a"]);
    // Somebody took the annotation off: it is tried at once.
    queue.offer(Item {
        not_before: Some(Instant::now() + Duration::from_secs(10)),
        ..item("b", Lane::Backlog, 1)
    });
    queue.offer(Item { version: Some(2), ..item("b", Lane::Backlog, 1) });
    assert_eq!(taken(&queue).await, ["b+"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_key_only_finalizers_move() {
    let queue = queue(8, 10_000);
    queue.allow_signing(false);
    queue.offer(item("sign", Lane::Fresh, 1));
    queue.offer(item("guard", Lane::Finalizer, 1));
    let give_up = Some(Instant::now() + Duration::from_secs(60));
    queue.offer(Item { give_up, ..item("deleted", Lane::Fresh, 1) });
    assert_eq!(taken(&queue).await, ["guard+"]);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(taken(&queue).await, ["deleted"], "somebody waits for its deletion");
    queue.allow_signing(true);
    assert_eq!(taken(&queue).await, ["sign+"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_back_in_time_saves_the_deleted() {
    let queue = queue(8, 10_000);
    queue.allow_signing(false);
    let give_up = Some(Instant::now() + Duration::from_secs(60));
    queue.offer(Item { give_up, ..item("deleted", Lane::Fresh, 1) });
    queue.allow_signing(true);
    assert_eq!(taken(&queue).await, ["deleted"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_vanished_is_kept_until_it_is_signed() {
    let queue = queue(8, 150);
    let gone = |name: &str| Item { gone: true, ..item(name, Lane::Fresh, 1) };
    queue.vanished(gone("held, and done before"), true);
    queue.vanished(gone("never held"), false);
    queue.offer(item("waiting", Lane::Backlog, 1));
    queue.vanished(gone("waiting"), true);
    let mut names = taken(&queue).await;
    names.sort();
    assert_eq!(names, ["never held+", "waiting+"], "there is no other copy");
    queue.offer(item("in hand", Lane::Fresh, 1));
    let in_hand = queue.take().await;
    queue.vanished(gone("in hand"), false);
    queue.done(&in_hand.key, Done::Finished(None), None);
    assert!(taken(&queue).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn buckets_that_leave_take_their_runs_along() {
    let queue = queue(8, 10_000);
    for name in ["a", "b", "c", "d", "e", "f"] {
        queue.offer(item(name, Lane::Fresh, 1));
    }
    let in_hand = queue.take().await;
    let all = Buckets::all(BUCKETS);
    let drained = tokio::time::timeout(Duration::from_secs(5), queue.drain(&all)).await;
    assert!(drained.is_err(), "one is in hand");
    assert!(taken(&queue).await.is_empty());
    queue.done(&in_hand.key, Done::Finished(None), None);
    queue.drain(&all).await;
    queue.offer(item("g", Lane::Fresh, 1));
    assert!(taken(&queue).await.is_empty(), "not ours");
    queue.hold(all);
    queue.offer(item("g", Lane::Fresh, 1));
    assert_eq!(taken(&queue).await, ["g+"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_stopped_even_before_it_has_begun() {
    let queue = queue(8, 10_000);
    queue.offer(item("a", Lane::Fresh, 1));
    queue.offer(item("b", Lane::Fresh, 1));
    let (first, second) = (queue.take().await, queue.take().await);
    let task = tokio::spawn(std::future::pending::<()>());
    queue.started(&first.key, task.abort_handle());
    queue.abort(&Buckets::all(BUCKETS));
    assert!(task.await.unwrap_err().is_cancelled());
    let late = tokio::spawn(std::future::pending::<()>());
    queue.started(&second.key, late.abort_handle());
    assert!(late.await.unwrap_err().is_cancelled());
    assert_eq!(queue.counts().in_hand, 0);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_hangs_leaves_room_for_others() {
    let queue = queue(4, 10_000);
    for number in 0..20 {
        queue.offer(item(&format!("old-{number}"), Lane::Backlog, number));
    }
    let mut hanging = Vec::new();
    while let Ok(item) = tokio::time::timeout(Duration::from_secs(10), queue.take()).await {
        hanging.push(item);
    }
    assert_eq!(hanging.len(), 3, "as many as one namespace may have, for nothing ends");
    let mut new = item("new", Lane::Backlog, 1);
    new.key.namespace = "other".into();
    queue.offer(new);
    assert_eq!(&*queue.take().await.key.name, "new");
}
