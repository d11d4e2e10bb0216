//! The little of a run that decides what is to be done, read without building the rest.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use chains_core::{RunKind, annotations};
use jiff::Timestamp;
use kube::api::ObjectMeta;
use kube::core::ApiResource;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::value::RawValue;

/// The finalizer that releases before 0.10 of the reference wrote, for both kinds.
const FINALIZER_OLD: &str = "chains.tekton.dev";

/// The finalizer that keeps a run from being deleted before it is signed.
pub(crate) const fn finalizer(kind: RunKind) -> &'static str {
    match kind {
        RunKind::TaskRun => "chains.tekton.dev/taskrun",
        RunKind::PipelineRun => "chains.tekton.dev/pipelinerun",
    }
}

/// What the annotation `chains.tekton.dev/signed` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing, or nothing that is known.
    None,
    /// `true`.
    Signed,
    /// `failed`.
    Failed,
}

/// What decides about a run.
#[derive(Debug, Clone)]
pub(crate) struct Glance {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) uid: Arc<str>,
    pub(crate) resource_version: Box<str>,
    pub(crate) finalizers: Vec<String>,
    /// When its deletion was asked for.
    pub(crate) deleting: Option<Timestamp>,
    pub(crate) mark: Mark,
    /// `chains.tekton.dev/retries`: how many retries failed; `None` before the first attempt.
    pub(crate) retries: Option<u32>,
    /// `chains.tekton.dev/next-attempt`.
    pub(crate) next_attempt: Option<Timestamp>,
    /// `chains.tekton.dev/transparency`.
    pub(crate) transparency: Option<Box<str>>,
    /// `spec.managedBy`.
    pub(crate) managed_by: Option<Box<str>>,
    /// Whether the condition `Succeeded` is `True` or `False`.
    pub(crate) complete: bool,
    /// `status.completionTime`, else the time of the condition `Succeeded`.
    pub(crate) completed_at: Option<Timestamp>,
}

impl Glance {
    /// Reads it from the JSON of a run.
    pub(crate) fn read(json: &str) -> Result<Self, serde_json::Error> {
        let object: Object<'_> = serde_json::from_str(json)?;
        let metadata = object.metadata;
        // Whatever else stands in spec and status, a finalizer must not be stuck for it.
        let spec: Spec<'_> = lenient(object.spec);
        let status: Status<'_> = lenient(object.status);
        let mut conditions = status.conditions.into_iter().map(|raw| lenient(Some(raw)));
        let succeeded = conditions.find(|it: &Condition<'_>| it.kind == "Succeeded");
        let succeeded = succeeded.as_ref();
        let complete = succeeded.is_some_and(|c| matches!(&*c.status, "True" | "False"));
        let time = |text: Option<&str>| text.and_then(|text| text.parse().ok());
        let completed_at = time(status.completion_time.as_deref())
            .or_else(|| time(succeeded?.last_transition_time.as_deref()));
        let mark = match metadata.annotations.signed.as_deref() {
            Some("true") => Mark::Signed,
            Some("failed") => Mark::Failed,
            _ => Mark::None,
        };
        Ok(Self {
            namespace: metadata.namespace.into(),
            name: metadata.name.into(),
            uid: metadata.uid.into(),
            resource_version: metadata.resource_version.into(),
            finalizers: metadata.finalizers,
            deleting: time(metadata.deletion_timestamp.as_deref()),
            mark,
            retries: metadata.annotations.retries.and_then(|text| text.parse().ok()),
            next_attempt: time(metadata.annotations.next_attempt.as_deref()),
            transparency: metadata.annotations.transparency.map(Into::into),
            managed_by: spec.managed_by.map(Into::into),
            complete,
            completed_at: completed_at.filter(|_| complete),
        })
    }

    /// Whether a finalizer of ours holds the run, of this release or an older one.
    pub(crate) fn is_held(&self, kind: RunKind) -> bool {
        self.finalizers.iter().any(|name| is_ours(name, kind))
    }

    /// The finalizers without ours.
    pub(crate) fn others(&self, kind: RunKind) -> Vec<&str> {
        self.finalizers.iter().map(String::as_str).filter(|name| !is_ours(name, kind)).collect()
    }
}

fn is_ours(name: &str, kind: RunKind) -> bool {
    name == finalizer(kind) || name == FINALIZER_OLD
}

/// What cannot be read is as good as absent: the engine tells what is wrong with it when the run is complete.
fn lenient<'a, T: Default + Deserialize<'a>>(part: Option<&'a RawValue>) -> T {
    part.and_then(|part| serde_json::from_str(part.get()).ok()).unwrap_or_default()
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow, default)]
    spec: Option<&'a RawValue>,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
    #[serde(default)]
    finalizers: Vec<String>,
    #[serde(borrow, default)]
    deletion_timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    annotations: Annotations<'a>,
}

#[derive(Default, Deserialize)]
struct Annotations<'a> {
    #[serde(borrow, default, rename = "chains.tekton.dev/signed")]
    signed: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "chains.tekton.dev/retries")]
    retries: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "chains.tekton.dev/next-attempt")]
    next_attempt: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "chains.tekton.dev/transparency")]
    transparency: Option<Cow<'a, str>>,
}

// `rename` takes no constants: these hold the two together.
const _: () = {
    assert!(matches!(annotations::SIGNED.as_bytes(), b"chains.tekton.dev/signed"));
    assert!(matches!(annotations::RETRIES.as_bytes(), b"chains.tekton.dev/retries"));
    assert!(matches!(annotations::NEXT_ATTEMPT.as_bytes(), b"chains.tekton.dev/next-attempt"));
    assert!(matches!(annotations::TRANSPARENCY.as_bytes(), b"chains.tekton.dev/transparency"));
};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow, default)]
    managed_by: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow, default)]
    conditions: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    completion_time: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    last_transition_time: Option<Cow<'a, str>>,
}

/// A run as a watch brings it: the glance, and the JSON that it was read from.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) glance: Glance,
    pub(crate) json: Arc<RawValue>,
    /// What `kube` wants to know of every object.
    metadata: ObjectMeta,
}

impl Seen {
    /// Glances at the JSON of a run.
    pub(crate) fn read(json: Arc<RawValue>) -> Result<Self, serde_json::Error> {
        let glance = Glance::read(json.get())?;
        let metadata = ObjectMeta {
            name: Some(glance.name.to_string()),
            namespace: Some(glance.namespace.to_string()),
            resource_version: Some(glance.resource_version.to_string()),
            ..ObjectMeta::default()
        };
        Ok(Self { glance, json, metadata })
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        Self::read(json.into()).map_err(D::Error::custom)
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("glance", &self.glance).finish_non_exhaustive()
    }
}

impl kube::Resource for Seen {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: &str = r#"{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"build",
        "namespace":"ci","uid":"u-1","resourceVersion":"7","finalizers":["chains.tekton.dev/taskrun","other/one"],
        "annotations":{"chains.tekton.dev/retries":"1","a\n":"b"},"managedFields":[{"manager":"x"}]},
        "spec":{"managedBy":"tekton.dev/pipeline","params":[1,2,{"a":"}"}]},
        "status":{"completionTime":"2026-01-02T03:04:05Z","conditions":[{"type":"Ready","status":"x"},
        {"type":"Succeeded","status":"False","lastTransitionTime":"2026-01-02T03:04:06Z"}]}}"#;

    #[test]
    fn what_decides_is_read() {
        let glance = Glance::read(COMPLETE).unwrap();
        assert_eq!((&*glance.namespace, &*glance.name, &*glance.uid), ("ci", "build", "u-1"));
        assert!(glance.complete && glance.deleting.is_none() && glance.mark == Mark::None);
        assert_eq!(glance.completed_at, Some("2026-01-02T03:04:05Z".parse().unwrap()));
        assert_eq!(glance.retries, Some(1));
        assert!(glance.is_held(RunKind::TaskRun) && !glance.is_held(RunKind::PipelineRun));
        assert_eq!(glance.others(RunKind::TaskRun), ["other/one"]);
        assert_eq!(glance.managed_by.as_deref(), Some("tekton.dev/pipeline"));
    }

    #[test]
    fn a_broken_part_costs_only_itself() {
        let glance = Glance::read(
            r#"{"metadata":{"name":"n","uid":"u","finalizers":["chains.tekton.dev"]},"spec":7,
                "status":{"conditions":"none"}}"#,
        )
        .unwrap();
        assert!(!glance.complete && glance.is_held(RunKind::PipelineRun));
        let odd = COMPLETE.replace(r#""conditions":["#, r#""conditions":[7,{"type":null},"#);
        assert!(Glance::read(&odd).unwrap().complete);
    }

    #[test]
    fn an_object_of_a_watch_keeps_its_json() {
        let line = format!(r#"{{"type":"ADDED","object":{COMPLETE}}}"#);
        let event: kube::core::WatchEvent<Seen> = serde_json::from_str(&line).unwrap();
        let kube::core::WatchEvent::Added(seen) = event else { panic!("not added") };
        assert_eq!(seen.json.get(), COMPLETE);
        assert_eq!(kube::Resource::meta(&seen).resource_version.as_deref(), Some("7"));
    }
}
