//! Requests to the API server: paths in, JSON out.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::Value;

use super::runtime::{handle, wait};

/// A merge patch, RFC 7396.
const MERGE: &str = "application/merge-patch+json";
/// Server-side apply.
const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";

/// The API server, as one user sees it.
#[derive(Clone)]
pub struct Api {
    client: Client,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    pub(super) fn new(folder: &Path, port: u16, token: &str) -> Result<Self> {
        let config = super::kubeconfig(port, &folder.join("ca.pem"), token).to_string();
        // Making a client starts a task.
        let _entered = handle()?.enter();
        let config: Kubeconfig = serde_json::from_str(&config)?;
        let config = wait(Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()))?;
        Ok(Self { client: Client::try_from(config)? })
    }

    /// As `kubectl` would with this kubeconfig.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn from_kubeconfig(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let _entered = handle()?.enter();
        let config: Kubeconfig = serde_json::from_str(&text)?;
        let config = wait(Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()))?;
        Ok(Self { client: Client::try_from(config)? })
    }

    /// The client beneath.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// One request.
    ///
    /// # Errors
    /// What the API server answers other than success.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let body = body.map_or_else(|| Ok(Vec::new()), serde_json::to_vec)?;
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .body(body)?;
        self.client.request(request).await.with_context(|| format!("{method} {path}"))
    }

    /// Reads an object or a list.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub fn get(&self, path: &str) -> Result<Value> {
        wait(self.send("GET", path, JSON, None))
    }

    /// Reads an object that may not be there.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub fn find(&self, path: &str) -> Result<Option<Value>> {
        found(self.get(path))
    }

    /// Reads a text, such as `/readyz`.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub fn text(&self, path: &str) -> Result<String> {
        let request = http::Request::get(path).body(Vec::new())?;
        wait(self.client.request_text(request))
    }

    /// Makes an object in the collection at `path`.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub async fn create_async(&self, path: &str, object: &Value) -> Result<Value> {
        self.send("POST", path, JSON, Some(object)).await
    }

    /// Makes an object in the collection at `path`.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub fn create(&self, path: &str, object: &Value) -> Result<Value> {
        wait(self.create_async(path, object))
    }

    /// Merges `patch` into the object at `path`.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub async fn merge_async(&self, path: &str, patch: &Value) -> Result<Value> {
        self.send("PATCH", path, MERGE, Some(patch)).await
    }

    /// Merges `patch` into the object at `path`.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub fn merge(&self, path: &str, patch: &Value) -> Result<Value> {
        wait(self.merge_async(path, patch))
    }

    /// Applies `object` as `manager`, in the place of the same from others.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub fn apply(&self, path: &str, manager: &str, object: &Value) -> Result<Value> {
        let path = format!("{path}?fieldManager={}&force=true", manager.replace('/', "%2F"));
        wait(self.send("PATCH", &path, APPLY, Some(object)))
    }

    /// Deletes the object at `path`, or every object of a collection.
    ///
    /// # Errors
    /// As [`Api::send`], except that nothing is there.
    pub fn delete(&self, path: &str) -> Result<()> {
        found(wait(self.send("DELETE", path, JSON, None))).map(drop)
    }
}

/// The code of the API server's answer, where that is what went wrong.
pub(crate) fn code(error: &anyhow::Error) -> Option<u16> {
    match error.downcast_ref() {
        Some(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

fn found(answer: Result<Value>) -> Result<Option<Value>> {
    match answer {
        Err(error) if code(&error) == Some(404) => Ok(None),
        answer => answer.map(Some),
    }
}
