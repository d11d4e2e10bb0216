//! `invocation` of SLSA v0.2: what started the run, with which parameters.

use std::collections::BTreeMap;

use chains_tekton::types::RefSource;
use chains_tekton::{Json, Map, Run};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::materials::Digests;

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How a run was started.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Invocation<'a> {
    config_source: ConfigSource<'a>,
    parameters: BTreeMap<&'a str, &'a Json>,
    #[serde(skip_serializing_if = "Environment::is_empty")]
    environment: Environment<'a>,
}

impl<'a> Invocation<'a> {
    pub(crate) fn of(run: &'a Run) -> Self {
        let mut parameters = BTreeMap::new();
        let task = run.task_spec().into_iter().flat_map(|spec| spec.param_defaults());
        let pipeline = run.pipeline_spec().into_iter().flat_map(|spec| spec.param_defaults());
        for param in task.chain(pipeline).chain(run.params()) {
            parameters.insert(param.name, param.value);
        }
        Self {
            config_source: ConfigSource(run.provenance().ref_source()),
            parameters,
            environment: Environment {
                annotations: run.annotations().as_map().map(Annotations).filter(|a| !a.is_empty()),
                labels: run.labels().as_map().filter(|labels| !labels.is_empty()),
            },
        }
    }
}

#[derive(Debug)]
struct ConfigSource<'a>(Option<RefSource<'a>>);

impl Serialize for ConfigSource<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(source) = self.0 {
            if !source.uri().is_empty() {
                map.serialize_entry("uri", source.uri())?;
            }
            if source.digest().len() > 0 {
                map.serialize_entry("digest", &Digests::Of(source))?;
            }
            if !source.entry_point().is_empty() {
                map.serialize_entry("entryPoint", source.entry_point())?;
            }
        }
        map.end()
    }
}

#[derive(Debug, Serialize)]
struct Environment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Annotations<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a Map>,
}

impl Environment<'_> {
    const fn is_empty(&self) -> bool {
        self.annotations.is_none() && self.labels.is_none()
    }
}

/// Annotations without those that say nothing about the build: our own, which change while we work, and
/// kubectl's copy of the object.
#[derive(Debug)]
struct Annotations<'a>(&'a Map);

impl<'a> Annotations<'a> {
    fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Json)> {
        self.0.iter().filter(|(key, _)| {
            *key != LAST_APPLIED && !key.starts_with(chains_core::annotations::PREFIX)
        })
    }

    fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Serialize for Annotations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
