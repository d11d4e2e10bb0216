//! Following one named object of the API server.

use std::fmt::Debug;
use std::time::Duration;

use chains_core::{Error, ErrorKind};
use futures_util::{StreamExt as _, pin_mut};
use kube::Api;
use kube::runtime::watcher::{self, Event};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::pause::Backoff;

/// How long one watch request lasts. A connection that died without a word is noticed a little later.
const REQUEST_SECONDS: u32 = 240;
/// How many sights may wait to be looked at.
const QUEUE: usize = 4;

/// What is seen where an object is looked for.
#[derive(Debug)]
pub(super) enum Sight<K> {
    /// The object as it is now.
    There(Box<K>),
    /// There is none.
    Gone,
    /// It could not be looked for, and may be there.
    Unknown(Error),
}

/// Follows the object of this name for ever; `what` says in errors what it is.
///
/// Needs the rights to list and watch it by name. What passes by itself is told only until there was a first
/// answer.
pub(super) fn follow<K>(api: Api<K>, name: &str, what: String) -> Followed<K>
where
    K: kube::Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let (sights, seen) = mpsc::channel(QUEUE);
    // Lists from the API server's pages: one object is not worth a streamed list.
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(REQUEST_SECONDS);
    let task = tokio::spawn(async move {
        let stream = watcher::watcher(api, config);
        pin_mut!(stream);
        let mut follower = Follower { what, listed: false, answered: false };
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        while let Some(event) = stream.next().await {
            let failed = match &event {
                // It fell too far behind, and lists by itself.
                Err(watcher::Error::WatchError(status)) => status.code != 410,
                Err(_) => true,
                Ok(_) => {
                    backoff.reset();
                    false
                }
            };
            if let Some(sight) = follower.sight(event)
                && sights.send(sight).await.is_err()
            {
                return;
            }
            if failed {
                tokio::time::sleep(backoff.next()).await;
            }
        }
    });
    Followed { seen, task }
}

/// An object that is followed until this is dropped.
#[derive(Debug)]
pub(super) struct Followed<K> {
    seen: mpsc::Receiver<Sight<K>>,
    task: tokio::task::JoinHandle<()>,
}

impl<K> Followed<K> {
    /// The next thing that is seen.
    pub(super) async fn next(&mut self) -> Sight<K> {
        match self.seen.recv().await {
            Some(sight) => sight,
            // The task runs as long as it is followed.
            None => std::future::pending().await,
        }
    }
}

impl<K> Drop for Followed<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Turns the events of a watch of one object into what is seen.
struct Follower {
    what: String,
    /// Whether the list that is under way had the object.
    listed: bool,
    /// Whether the API server ever said whether it is there.
    answered: bool,
}

impl Follower {
    fn sight<K>(&mut self, event: watcher::Result<Event<K>>) -> Option<Sight<K>> {
        let sight = match event {
            Ok(Event::Init) => {
                self.listed = false;
                return None;
            }
            Ok(Event::InitApply(object)) => {
                self.listed = true;
                Sight::There(Box::new(object))
            }
            Ok(Event::InitDone) if self.listed => return None,
            Ok(Event::InitDone | Event::Delete(_)) => Sight::Gone,
            Ok(Event::Apply(object)) => Sight::There(Box::new(object)),
            Err(error) => return self.failed(error),
        };
        self.answered = true;
        Some(sight)
    }

    fn failed<K>(&self, error: watcher::Error) -> Option<Sight<K>> {
        let what = self.what.clone();
        let error = match error {
            watcher::Error::WatchError(status) if status.code == 410 => return None,
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => chains_cluster::error(what, error),
            watcher::Error::WatchError(status) => {
                chains_cluster::error(what, kube::Error::Api(status))
            }
            other => Error::new(ErrorKind::Protocol, what).with_source(other),
        };
        if self.answered && error.is_retryable() {
            // What was seen last holds meanwhile.
            tracing::debug!(error = %error.report(), "the watch broke, trying again");
            return None;
        }
        Some(Sight::Unknown(error))
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[derive(Clone, Copy)]
    enum Step {
        Init,
        Listed(u8),
        Done,
        Applied(u8),
        Deleted,
        Unreachable,
        Forbidden,
        Expired,
    }

    impl Step {
        fn event(self) -> watcher::Result<Event<u8>> {
            let status = |code| Status { code, ..Status::default() }.boxed();
            Ok(match self {
                Self::Init => Event::Init,
                Self::Listed(object) => Event::InitApply(object),
                Self::Done => Event::InitDone,
                Self::Applied(object) => Event::Apply(object),
                Self::Deleted => Event::Delete(0),
                Self::Expired => return Err(watcher::Error::WatchError(status(410))),
                Self::Unreachable => {
                    let refused = kube::Error::Service("connection refused".into());
                    return Err(watcher::Error::WatchStartFailed(refused));
                }
                Self::Forbidden => {
                    let forbidden = kube::Error::Api(status(403));
                    return Err(watcher::Error::InitialListFailed(forbidden));
                }
            })
        }
    }

    /// Checks what is seen at each step: a number, `gone`, `unknown` or nothing.
    #[track_caller]
    fn check(steps: &[(Step, &str)]) {
        let mut follower =
            Follower { what: "reading x".to_owned(), listed: false, answered: false };
        for (index, (step, expect)) in steps.iter().enumerate() {
            let seen = match follower.sight(step.event()) {
                None => String::new(),
                Some(Sight::There(object)) => object.to_string(),
                Some(Sight::Gone) => "gone".to_owned(),
                Some(Sight::Unknown(error)) => {
                    assert!(error.report().starts_with("reading x: "), "{}", error.report());
                    "unknown".to_owned()
                }
            };
            assert_eq!(seen, *expect, "step {index}");
        }
    }

    #[test]
    fn an_object_is_seen_come_and_go() {
        use Step::{Applied, Deleted, Done, Init, Listed};
        check(&[
            (Init, ""),
            (Done, "gone"),
            (Applied(1), "1"),
            (Applied(2), "2"),
            (Deleted, "gone"),
        ]);
        check(&[(Init, ""), (Listed(1), "1"), (Done, ""), (Applied(2), "2")]);
    }

    #[test]
    fn what_went_while_nobody_looked_is_gone() {
        use Step::{Done, Expired, Init, Listed};
        check(&[
            (Init, ""),
            (Listed(1), "1"),
            (Done, ""),
            (Expired, ""),
            (Init, ""),
            (Done, "gone"),
        ]);
    }

    #[test]
    fn what_passes_is_told_until_the_first_answer() {
        use Step::{Done, Forbidden, Init, Listed, Unreachable};
        check(&[(Unreachable, "unknown"), (Forbidden, "unknown"), (Init, ""), (Listed(1), "1")]);
        check(&[(Listed(1), "1"), (Done, ""), (Unreachable, ""), (Forbidden, "unknown")]);
    }
}
