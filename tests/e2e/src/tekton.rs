//! Runs in a cluster, made as Tekton makes them: created, and completed through the `status` subresource.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cluster::{Api, Cluster, SIXTEEN, Watch, at_once};

/// How long an Event may take after what it tells of.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// A namespace in which runs are made and looked at.
#[derive(Debug)]
pub struct Namespace<'c> {
    cluster: &'c Cluster,
    name: String,
}

impl<'c> Namespace<'c> {
    /// Makes one that no other case has.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn new(cluster: &'c Cluster, prefix: &str) -> Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{prefix}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let object = json!({ "metadata": { "name": name } });
        cluster.api().create("/api/v1/namespaces", &object)?;
        Ok(Self { cluster, name })
    }

    /// The one that every cluster has.
    #[must_use]
    pub fn default_of(cluster: &'c Cluster) -> Self {
        Self { cluster, name: "default".to_owned() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster that it is in.
    #[must_use]
    pub fn cluster(&self) -> &'c Cluster {
        self.cluster
    }

    /// Path of the collection `plural` of Tekton's API.
    #[must_use]
    pub fn path(&self, plural: &str) -> String {
        let version =
            if plural == "customruns" { "v1beta1" } else { self.cluster.tekton_version() };
        format!("/apis/tekton.dev/{version}/namespaces/{}/{plural}", self.name)
    }

    fn path_of(&self, run: &Value) -> Result<(String, String)> {
        let kind = run["kind"].as_str().context("a run without a kind")?;
        let name = run["metadata"]["name"].as_str().context("a run without a name")?;
        Ok((self.path(&format!("{}s", kind.to_lowercase())), name.to_owned()))
    }

    /// Makes runs that still run, whatever `status` they have; several at a time.
    ///
    /// # Errors
    /// If the API server refuses one.
    pub fn create(&self, runs: &[Value]) -> Result<()> {
        at_once(SIXTEEN, runs, |run| self.create_one(run)).map(drop)
    }

    /// Completes runs that were created: gives each the `status` that it has here.
    ///
    /// # Errors
    /// If the API server refuses one.
    pub fn complete(&self, runs: &[Value]) -> Result<()> {
        at_once(SIXTEEN, runs, |run| self.complete_one(run)).map(drop)
    }

    /// Makes runs and completes each as soon as it is there.
    ///
    /// # Errors
    /// If the API server refuses one.
    pub fn run(&self, runs: &[Value]) -> Result<()> {
        at_once(SIXTEEN, runs, |run| async move {
            self.create_one(run).await?;
            self.complete_one(run).await
        })
        .map(drop)
    }

    /// Creates one run.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn create_one(&self, run: &Value) -> Result<Value> {
        let (path, _) = self.path_of(run)?;
        let mut object = run.clone();
        object["metadata"]["namespace"] = self.name.as_str().into();
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        // The document says v1; a server that only knows v1beta1 is told so.
        object["apiVersion"] = path
            .split('/')
            .nth(3)
            .map(|version| format!("tekton.dev/{version}"))
            .context("a path without a version")?
            .into();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("uid");
        }
        self.api().create_async(&path, &object).await
    }

    /// Completes one run, now: whatever times its status has.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn complete_one(&self, run: &Value) -> Result<()> {
        let (path, name) = self.path_of(run)?;
        let path = format!("{path}/{name}/status?fieldManager=tekton-pipelines-controller");
        let mut status = run["status"].clone();
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        status["completionTime"] = now.as_str().into();
        status["conditions"][0]["lastTransitionTime"] = now.into();
        self.api().merge_async(&path, &json!({ "status": status })).await?;
        Ok(())
    }

    /// Reads a run.
    ///
    /// # Errors
    /// If it is not there.
    pub fn get(&self, plural: &str, name: &str) -> Result<Value> {
        self.api().get(&format!("{}/{name}", self.path(plural)))
    }

    /// Reads all runs of a kind.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn list(&self, plural: &str) -> Result<Vec<Value>> {
        let mut list = self.api().get(&self.path(plural))?;
        Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Merges `patch` into the run `name`.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn merge(&self, plural: &str, name: &str, patch: &Value) -> Result<Value> {
        self.api().merge(&format!("{}/{name}", self.path(plural)), patch)
    }

    /// Gives a run annotations of Chains, by their names after the slash, and finalizers, as another
    /// controller would have left them.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn leave(
        &self,
        plural: &str,
        name: &str,
        annotations: &[(&str, &str)],
        finalizers: &[&str],
    ) -> Result<()> {
        let annotations: serde_json::Map<String, Value> = annotations
            .iter()
            .map(|(name, value)| (format!("chains.tekton.dev/{name}"), json!(value)))
            .collect();
        let metadata = json!({ "annotations": annotations, "finalizers": finalizers });
        self.merge(plural, name, &json!({ "metadata": metadata })).map(drop)
    }

    /// Deletes a run: at once, or when the last finalizer goes.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn delete(&self, plural: &str, name: &str) -> Result<()> {
        self.api().delete(&format!("{}/{name}", self.path(plural)))
    }

    /// Deletes many runs.
    ///
    /// # Errors
    /// If the API server refuses one.
    pub fn delete_all(&self, plural: &str, names: &[String]) -> Result<()> {
        let path = self.path(plural);
        at_once(SIXTEEN, names, |name| {
            let path = format!("{path}/{name}");
            async move { self.api().send("DELETE", &path, "application/json", None).await }
        })
        .map(drop)
    }

    /// The Events about the object `name`: their reasons with their notes.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn events(&self, name: &str) -> Result<Vec<(String, String)>> {
        let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.name);
        let list = self.api().get(&path)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events = list["items"].as_array().into_iter().flatten();
        Ok(events
            .filter(|event| event["regarding"]["name"] == name)
            .map(|event| (text(&event["reason"]), text(&event["note"])))
            .collect())
    }

    /// What is told of the run: waits for something, as Events are published after what they tell of.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn told(&self, name: &str) -> Result<Vec<(String, String)>> {
        let deadline = Instant::now() + TOLD_WITHIN;
        loop {
            let events = self.events(name)?;
            if !events.is_empty() || Instant::now() > deadline {
                return Ok(events);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Follows what becomes of the runs of a kind.
    ///
    /// # Errors
    /// If there is no runtime.
    pub fn watch(&self, plural: &str) -> Result<Watch> {
        Watch::start(self.cluster, &self.name, plural)
    }

    fn api(&self) -> &'c Api {
        self.cluster.api()
    }
}

/// The names of runs.
#[must_use]
pub fn names(runs: &[Value]) -> Vec<String> {
    let name = |run: &Value| run["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    runs.iter().map(name).collect()
}
