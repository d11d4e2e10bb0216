//! Cases are plain functions on plain threads; the client of Kubernetes is not. This is where they meet.

use std::{sync::LazyLock, time::Duration};

use anyhow::{Context, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::runtime::{Builder, Handle, Runtime};

/// No request to a server on loopback takes this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(120);
/// How many requests are sensible at a time: more do not make an API server quicker.
pub const SIXTEEN: usize = 16;

/// Waits for `future`.
///
/// # Errors
/// Its own, or that it did not end in two minutes.
pub fn wait<T, E: Into<anyhow::Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T> {
    let ended = handle()?.block_on(async { tokio::time::timeout(LIMIT, future).await });
    ended.with_context(|| format!("no answer within {LIMIT:?}"))?.map_err(Into::into)
}

/// Does `work` for every item, so many at a time, and gives the answers in no order.
///
/// # Errors
/// The first one.
pub fn at_once<I, T, F>(
    limit: usize,
    items: impl IntoIterator<Item = I>,
    work: impl Fn(I) -> F,
) -> Result<Vec<T>>
where
    F: Future<Output = Result<T>>,
{
    let all = stream::iter(items).map(work).buffer_unordered(limit).try_collect();
    handle()?.block_on(all)
}

/// Where futures run that nobody waits for.
pub(crate) fn handle() -> Result<&'static Handle> {
    static RUNTIME: LazyLock<std::io::Result<Runtime>> =
        LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build());
    match &*RUNTIME {
        Ok(runtime) => Ok(runtime.handle()),
        Err(error) => anyhow::bail!("start a runtime: {error}"),
    }
}
