//! Following one named object of the API server.

use std::fmt::Debug;
use std::time::Duration;

use chains_core::{Error, ErrorKind};
use futures_util::{StreamExt as _, pin_mut};
use kube::Api;
use kube::runtime::watcher::{self, Event};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::pause::Backoff;

/// How long one watch request lasts. A connection that died without a word is noticed a little later.
const REQUEST_SECONDS: u32 = 240;
/// Pauses between attempts where the API server refuses or cannot be reached.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// For how long a refusal is put up with where the object was seen before: an API server that has just started
/// refuses everything, until it knows who has which rights.
const PATIENCE: Duration = Duration::from_secs(30);
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
/// Needs the rights to list and watch it by name. What may pass by itself is told only until there was a first
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
        let mut follower = Follower::new(what);
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        while let Some(event) = stream.next().await {
            let failed = match &event {
                // It fell too far behind, and lists by itself.
                Err(watcher::Error::WatchError(status)) => status.code != 410,
                Err(_) => true,
                // Comes before every attempt to list.
                Ok(Event::Init) => false,
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
    /// Since when it refuses.
    refused: Option<Instant>,
}

impl Follower {
    const fn new(what: String) -> Self {
        Self { what, listed: false, answered: false, refused: None }
    }

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
        self.refused = None;
        Some(sight)
    }

    fn failed<K>(&mut self, error: watcher::Error) -> Option<Sight<K>> {
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
        if self.answered && (error.is_retryable() || self.is_patient()) {
            // What was seen last holds meanwhile.
            tracing::debug!(error = %error.report(), "the watch broke, trying again");
            return None;
        }
        Some(Sight::Unknown(error))
    }

    fn is_patient(&mut self) -> bool {
        self.refused.get_or_insert_with(Instant::now).elapsed() < PATIENCE
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
        Later(Duration),
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
                Self::Expired | Self::Later(_) => {
                    return Err(watcher::Error::WatchError(status(410)));
                }
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
    async fn check(steps: &[(Step, &str)]) {
        let mut follower = Follower::new("reading x".to_owned());
        for (index, (step, expect)) in steps.iter().enumerate() {
            if let Step::Later(time) = step {
                tokio::time::advance(*time).await;
                continue;
            }
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

    #[tokio::test]
    async fn an_object_is_seen_come_and_go() {
        use Step::{Applied, Deleted, Done, Init, Listed};
        check(&[
            (Init, ""),
            (Done, "gone"),
            (Applied(1), "1"),
            (Applied(2), "2"),
            (Deleted, "gone"),
        ])
        .await;
        check(&[(Init, ""), (Listed(1), "1"), (Done, ""), (Applied(2), "2")]).await;
    }

    #[tokio::test]
    async fn what_went_while_nobody_looked_is_gone() {
        use Step::{Done, Expired, Init, Listed};
        check(&[
            (Init, ""),
            (Listed(1), "1"),
            (Done, ""),
            (Expired, ""),
            (Init, ""),
            (Done, "gone"),
        ])
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_told_until_the_first_answer() {
        use Step::{Done, Forbidden, Init, Later, Listed, Unreachable};
        check(&[(Unreachable, "unknown"), (Forbidden, "unknown"), (Init, ""), (Listed(1), "1")])
            .await;
        let long = Later(PATIENCE);
        let seen = [(Listed(1), "1"), (Done, ""), (Unreachable, ""), (long, ""), (Unreachable, "")];
        check(&seen).await;
        let refused = [
            (Forbidden, ""),
            (long, ""),
            (Forbidden, "unknown"),
            (Listed(1), "1"),
            (Forbidden, ""),
        ];
        check(&[&seen[..], &refused[..]].concat()).await;
    }
}
