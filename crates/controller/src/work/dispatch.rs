//! Takes runs from the queue, as many at once as it allows, each in a task of its own.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::Instrument;

use super::Worker;
use crate::queue::{Done, Item, Queue};
use crate::watching::Todo;

/// How long a run waits at which the program failed: others are not to suffer.
const AFTER_PANIC: Duration = Duration::from_secs(300);

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
    let done = work.await.unwrap_or_else(|_| {
        span.in_scope(|| tracing::error!("the program failed at this run: please report it"));
        let not_before = Some(Instant::now() + AFTER_PANIC);
        Done::Later(Box::new(Item { not_before, waits: spare.waits.saturating_add(1), ..spare }))
    });
    // What was put off took no time that says anything.
    let took = (sign && matches!(done, Done::Finished(_))).then(|| begun.elapsed());
    queue.done(&key, done, took);
}
