//! What most cases with a controller begin with: a cluster, Chains installed, a key, a namespace.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    chains::{Chains, list},
    cluster::{Cluster, Request},
    controller::{Controller, Start},
    install::{Install, Mount},
    scene::Scene,
    sigstore::Keys,
    tekton::Namespace,
};

/// Runs are verified so many in a document.
const AT_ONCE: usize = 200;

/// A cluster with Chains installed and no controller that runs yet.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The case's folder.
    pub scene: &'a Scene<'a>,
    /// What is installed.
    pub install: Install<'a>,
    /// Where the key is mounted.
    pub mount: Mount,
    /// The key that is mounted.
    pub keys: Keys,
    /// Where the case makes its runs.
    pub namespace: Namespace<'a>,
}

impl<'a> Stage<'a> {
    /// Sets it: everything is stored on the runs themselves, and signed by the key of a mounted folder.
    ///
    /// # Errors
    /// If something of it fails.
    pub fn set(scene: &'a Scene<'a>, cluster: &'a Cluster) -> Result<Self> {
        let install = Install::apply(scene, cluster)?;
        install.configure(&[
            ("artifacts.taskrun.storage", "tekton"),
            ("artifacts.pipelinerun.storage", "tekton"),
            ("artifacts.oci.storage", ""),
        ])?;
        let (mount, keys) = Mount::with_key(scene)?;
        let namespace = Namespace::new(cluster, "ci")?;
        Ok(Self { scene, install, mount, keys, namespace })
    }

    /// A controller that is to be started.
    #[must_use]
    pub fn controller(&self, name: &str) -> Start<'_> {
        Start::new(self.scene, &self.install, name, &self.mount)
    }

    /// Starts a controller, and waits until it is ready.
    ///
    /// # Errors
    /// If it is not in time.
    pub fn start(&self) -> Result<Controller> {
        self.controller("controller").ready()
    }

    /// Expects that all these runs hold signatures by the mounted key over themselves.
    ///
    /// # Errors
    /// If one does not.
    pub fn verify(&self, runs: &[Value]) -> Result<()> {
        self.verify_by(&self.keys.public, runs)
    }

    /// Expects that all these runs hold signatures by this key over themselves.
    ///
    /// # Errors
    /// If one does not.
    pub fn verify_by(&self, public: &Path, runs: &[Value]) -> Result<()> {
        ensure!(!runs.is_empty(), "there are no runs to verify");
        for runs in runs.chunks(AT_ONCE) {
            let name = self.scene.fresh("signed.json");
            let file = self.scene.write(&name, list(runs.to_vec()).to_string())?;
            Chains::new(self.scene).verify(public, file).ok()?;
        }
        Ok(())
    }

    /// The provenance that a signed run holds: the statement in the envelope of its annotation.
    ///
    /// # Errors
    /// If it holds none.
    pub fn statement(&self, run: &Value) -> Result<Value> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let kind = run["kind"].as_str().unwrap_or_default().to_lowercase();
        let uid = run["metadata"]["uid"].as_str().unwrap_or_default();
        let name = format!("chains.tekton.dev/payload-{kind}-{uid}");
        let payload = run["metadata"]["annotations"][&name].as_str();
        let payload = payload.with_context(|| format!("{} has no payload", run["metadata"]))?;
        Ok(serde_json::from_slice(&STANDARD.decode(payload)?)?)
    }
}

/// How often each object of `resource` was asked for what, by its name.
#[must_use]
pub fn by_object(
    requests: &[Request],
    resource: &str,
) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut counts: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for request in requests.iter().filter(|request| request.resource() == resource) {
        let (_, name) = request.object();
        if !name.is_empty() {
            let verbs = counts.entry(name.to_owned()).or_default();
            *verbs.entry(request.verb.clone()).or_default() += 1;
        }
    }
    counts
}

/// Requests by what they were, for the notes of a case.
#[must_use]
pub fn told(requests: &[Request]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for request in requests {
        *counts.entry(request.what()).or_default() += 1;
    }
    let mut text = String::new();
    for (what, count) in counts {
        let _ = write!(text, "{}{count} {what}", if text.is_empty() { "" } else { ", " });
    }
    text
}

/// Runs that say who manages them.
#[must_use]
pub fn managed_by(mut run: Value, manager: &str) -> Value {
    run["spec"]["managedBy"] = json!(manager);
    run
}
