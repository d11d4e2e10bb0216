//! Tells people in the cluster what happened: Kubernetes Events.
//!
//! # Guarantees
//! - Telling never blocks and never fails: what does not fit into the queue, or what the API server refuses, is
//!   logged in place.
//! - The same Event about the same object is one object in the cluster, however often it is told and by however
//!   many replicas: its name follows from what it says.
//!
//! # Assumptions
//! - The right to `create` and `patch` `events` of the core group, as the reference has it, in the namespaces of what is told about.

use std::time::Duration;

use chains_core::{Digest, Result};
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use tokio::sync::{mpsc, oneshot};

/// As it appears in `reportingController`.
const CONTROLLER: &str = "chains.tekton.dev/controller";
/// The API server refuses longer ones where Events are written as they are here.
const LONGEST_NOTE: usize = 1024;
/// Room for the name of the object within the 253 characters of an Event's name.
const LONGEST_NAME: usize = 200;
/// How many may wait.
const QUEUE: usize = 256;
/// How long the API server may take for one.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The namespace for Events about what has none, as Kubernetes has it.
const DEFAULT_NAMESPACE: &str = "default";

/// Tells Events; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    queue: mpsc::Sender<Message>,
}

#[derive(Debug)]
enum Message {
    Tell(Box<Event>),
    Flush(oneshot::Sender<()>),
}

impl Events {
    /// Starts the task that publishes; it ends when the last clone is gone.
    pub(crate) fn new(client: Client, instance: &str) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(publish_all(client, instance.to_owned(), waiting));
        Self { queue }
    }

    /// Something is wrong with `about`. `reason` is a word in `PascalCase`; the note must not hold secrets.
    pub(crate) fn warning(&self, about: ObjectReference, reason: &'static str, note: String) {
        self.tell("Warning", about, reason, note);
    }

    /// Something happened to `about` that people like to know. As [`Events::warning`].
    pub(crate) fn normal(&self, about: ObjectReference, reason: &'static str, note: String) {
        self.tell("Normal", about, reason, note);
    }

    /// Waits until everything that was told before is published, or for as long as `most`.
    pub(crate) async fn flush(&self, most: Duration) {
        let (done, wait) = oneshot::channel();
        let flush = async {
            if self.queue.send(Message::Flush(done)).await.is_ok() {
                let _ = wait.await;
            }
        };
        if tokio::time::timeout(most, flush).await.is_err() {
            tracing::warn!("some Events could not be published in time");
        }
    }

    fn tell(&self, kind: &'static str, about: ObjectReference, reason: &'static str, note: String) {
        let event = Box::new(event(kind, about, reason, note));
        if let Err(refused) = self.queue.try_send(Message::Tell(event))
            && let Message::Tell(event) = refused.into_inner()
        {
            let (about, note) = (event.involved_object, event.message);
            let (namespace, name) = (about.namespace, about.name);
            tracing::warn!(namespace, name, reason, note, "an Event was dropped: too many wait");
        }
    }
}

#[cfg(test)]
impl Events {
    /// Publishes nothing: whoever tests looks at what was told.
    pub(crate) fn for_tests() -> (Self, Told) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        (Self { queue }, Told(waiting))
    }
}

/// What was told in a test.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Told(mpsc::Receiver<Message>);

#[cfg(test)]
impl Told {
    /// Reasons and notes since the last call.
    pub(crate) fn take(&mut self) -> Vec<(String, String)> {
        let messages = std::iter::from_fn(|| self.0.try_recv().ok());
        let text = |field: Option<String>| field.unwrap_or_default();
        messages
            .filter_map(|message| match message {
                Message::Tell(event) => Some((text(event.reason), text(event.message))),
                Message::Flush(_) => None,
            })
            .collect()
    }
}

/// What is told, except by whom.
fn event(kind: &'static str, about: ObjectReference, reason: &str, note: String) -> Event {
    let note = cut(note);
    let namespace = about.namespace.clone().filter(|name| !name.is_empty());
    Event {
        metadata: ObjectMeta {
            name: Some(name(kind, &about, reason, &note)),
            namespace: Some(namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())),
            ..ObjectMeta::default()
        },
        action: Some(reason.to_owned()),
        event_time: Some(MicroTime(Timestamp::now())),
        message: Some(note),
        reason: Some(reason.to_owned()),
        involved_object: about,
        reporting_component: Some(CONTROLLER.to_owned()),
        type_: Some(kind.to_owned()),
        ..Event::default()
    }
}

/// A name that is the same for the same content.
fn name(kind: &str, about: &ObjectReference, reason: &str, note: &str) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let object = text(&about.name);
    // Unit separators, so that no two contents read the same.
    let content =
        [kind, &text(&about.kind), &object, &text(&about.uid), reason, note].join("\u{1f}");
    let digest = Digest::sha256_of(content.as_bytes());
    let hash = digest.hex().get(..16).unwrap_or_default().to_owned();
    let object = object.get(..LONGEST_NAME).unwrap_or(&object).trim_end_matches(['.', '-']);
    if object.is_empty() { format!("chains.{hash}") } else { format!("{object}.{hash}") }
}

/// Cuts what the API server would refuse to take, and makes one line of it.
fn cut(note: String) -> String {
    const MARK: &str = "…";
    let note = note.replace(char::is_control, " ");
    if note.len() <= LONGEST_NOTE {
        return note;
    }
    let end = note.floor_char_boundary(LONGEST_NOTE - MARK.len());
    format!("{}{MARK}", note.get(..end).unwrap_or_default())
}

async fn publish_all(client: Client, instance: String, mut waiting: mpsc::Receiver<Message>) {
    // One refusal is news, a thousand are noise.
    let mut refused = false;
    while let Some(message) = waiting.recv().await {
        let mut event = match message {
            Message::Tell(event) => *event,
            Message::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        event.reporting_instance = Some(instance.clone());
        match publish(&client, &event).await {
            Ok(()) => refused = false,
            Err(error) => {
                let (error, note) = (error.report(), event.message.unwrap_or_default());
                if refused {
                    tracing::debug!(error, note, "an Event could not be published");
                } else {
                    tracing::warn!(error, note, "an Event could not be published");
                }
                refused = true;
            }
        }
    }
}

async fn publish(client: &Client, event: &Event) -> Result<()> {
    let (namespace, name) = (event.metadata.namespace.as_deref(), event.metadata.name.as_deref());
    let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or_default());
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let attempt = async {
        match api.create(&PostParams::default(), event).await {
            // It was told before, or by another replica.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let again = Patch::Merge(again());
                api.patch(name, &PatchParams::default(), &again).await.map(drop)
            }
            done => done.map(drop),
        }
    };
    let what = || format!("publishing an Event in the namespace {namespace}");
    match tokio::time::timeout(TIMEOUT, attempt).await {
        Ok(done) => done.map_err(|error| chains_cluster::error(what(), error)),
        Err(_) => Err(chains_core::Error::new(
            chains_core::ErrorKind::Timeout,
            format!("{}: no answer within {TIMEOUT:?}", what()),
        )),
    }
}

/// That it happened again: how often is not known without asking, and two is the least that is allowed.
fn again() -> serde_json::Value {
    serde_json::json!({
        "series": {"count": 2, "lastObservedTime": MicroTime(Timestamp::now())},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(name: &str, uid: &str) -> ObjectReference {
        ObjectReference {
            kind: Some("TaskRun".to_owned()),
            name: Some(name.to_owned()),
            namespace: Some("ci".to_owned()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        }
    }

    fn named(name: &str, uid: &str, reason: &str, note: &str) -> String {
        event("Warning", about(name, uid), reason, note.to_owned()).metadata.name.expect("a name")
    }

    #[test]
    fn names_follow_from_what_is_said() {
        let first = named("build", "1", "SigningFailed", "no");
        assert!(first.starts_with("build."), "{first}");
        assert_eq!(first, named("build", "1", "SigningFailed", "no"));
        for other in [
            named("build", "2", "SigningFailed", "no"),
            named("build", "1", "SigningWaits", "no"),
            named("build", "1", "SigningFailed", "yes"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn names_are_names_of_objects() {
        let check = |name: &str, start: &str| {
            let event = named(name, "1", "Reason", "note");
            assert!(event.starts_with(start) && event.len() <= 253, "{event}");
        };
        check(&"a".repeat(253), &"a".repeat(LONGEST_NAME));
        check(&format!("{}.{}", "a".repeat(LONGEST_NAME - 1), "b".repeat(50)), "aaa");
        check("", "chains.");
        let cluster_wide = event("Normal", ObjectReference::default(), "Reason", String::new());
        assert_eq!(cluster_wide.metadata.namespace.as_deref(), Some(DEFAULT_NAMESPACE));
    }

    #[test]
    fn notes_fit() {
        let check = |note: String, expect: &str| assert_eq!(cut(note), expect);
        check("short".to_owned(), "short");
        check("two\nlines\u{7}".to_owned(), "two lines ");
        check("x".repeat(LONGEST_NOTE), &"x".repeat(LONGEST_NOTE));
        check("x".repeat(2000), &format!("{}…", "x".repeat(LONGEST_NOTE - 3)));
        let wide = cut("ü".repeat(600));
        assert!(wide.len() <= LONGEST_NOTE && wide.ends_with("ü…"), "{wide}");
    }

    #[tokio::test]
    async fn telling_neither_blocks_nor_fails() {
        let (queue, mut waiting) = mpsc::channel(1);
        let events = Events { queue };
        events.warning(about("a", "1"), "First", "kept".to_owned());
        events.normal(about("b", "2"), "Second", "dropped".to_owned());
        let Some(Message::Tell(first)) = waiting.recv().await else { panic!("nothing waits") };
        assert_eq!(first.reason.as_deref(), Some("First"));
        assert!(waiting.try_recv().is_err());
        drop(waiting);
        events.normal(about("c", "3"), "Third", "nobody listens".to_owned());
        events.flush(Duration::from_secs(5)).await;
    }
}
