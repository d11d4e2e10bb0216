//! Takes runs from the queue, as many at once as it allows, each in a task of its own.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::Instrument;

use super::Worker;
use crate::queue::{Done, Item, Queue};
use crate::watching::Todo;

/// Works for ever; ends when it is dropped. What is in hand goes on then: [`Work::drain`](crate::ownership::Work::drain) waits for it.
pub(crate) async fn dispatch(queue: Queue, worker: Worker) {
    loop {
        let item = queue.take().await;
        let key = item.key.clone();
        let task = tokio::spawn(one(queue.clone(), worker.clone(), item));
        queue.started(&key, task.abort_handle());
    }
}

async fn one(queue: Queue, worker: Worker, item: Item) {
    let key = item.key.clone();
    let span = tracing::info_span!(
        "run", kind = key.api.kind.as_lower(), run = %format_args!("{}/{}", key.namespace, key.name), uid = &*key.uid
    );
    let spare = Item { json: if item.gone { item.json.clone() } else { None }, ..item.clone() };
    let sign = item.todo == Todo::Sign;
    let begun = Instant::now();
    let work = AssertUnwindSafe(worker.work(item, queue.hurry(&key)))
        .catch_unwind()
        .instrument(span.clone());
    let done = match work.await {
        Ok(done) => done,
        Err(_panic) => worker.broken(spare).instrument(span).await,
    };
    // What was put off took no time that says anything.
    let took = (sign && matches!(done, Done::Finished(_))).then(|| begun.elapsed());
    queue.done(&key, done, took);
}
