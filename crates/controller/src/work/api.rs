//! The requests about runs: one function each.

use std::future::Future;
use std::time::Duration;

use chains_cluster::error;
use chains_core::{Error, ErrorKind, Result, RunKind};
use http::header::ACCEPT;
use kube::Client;
use kube::api::{GetParams, ListParams, Patch, PatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::queue::Key;
use crate::watching::{Seen, finalizer};

/// The field manager of the reference's finalizers: whoever comes after the other goes on with its own.
const FINALIZERS: &str = "tekton-chains-controller/finalizers";
/// The field manager of everything else.
const MANAGER: &str = "tekton-chains-controller";
/// Longest duration of a request, with the retries of the client where the server asks to slow down.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Of what was written only the metadata is sent back.
const METADATA_ONLY: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
/// How many children are read at once.
const CHILDREN_PAGE: u32 = 250;
const PIPELINE_RUN_LABEL: &str = "tekton.dev/pipelineRun";

/// The runs of the API server.
#[derive(Clone)]
pub(crate) struct Runs {
    client: Client,
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runs")
    }
}

#[derive(Deserialize)]
struct Written {
    metadata: WrittenMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMetadata {
    #[serde(default)]
    resource_version: String,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(default)]
    items: Vec<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(default, rename = "continue")]
    next: String,
}

/// A page of a list.
pub(crate) struct Page {
    pub(crate) items: Vec<Box<RawValue>>,
    /// How to get the next one.
    pub(crate) next: Option<String>,
}

impl Runs {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Reads a run as it is now.
    pub(crate) async fn get(&self, key: &Key) -> Result<Seen> {
        let what = || format!("reading {}", described(key));
        let request = requests(key).get(&key.name, &GetParams::default());
        let request = request.map_err(|e| error(what(), kube::Error::BuildRequest(e)))?;
        timed(what, self.client.request(request)).await
    }

    /// Lists TaskRuns of a PipelineRun, as JSON, by the label that Tekton gives them: so many at once that one page
    /// is all for nearly every PipelineRun.
    pub(crate) async fn children(&self, key: &Key, page: Option<&str>) -> Result<Page> {
        let what = || format!("listing the TaskRuns of {}", described(key));
        let api = chains_cluster::RunApi { kind: RunKind::TaskRun, ..key.api };
        let mut params = ListParams::default()
            .labels(&format!("{PIPELINE_RUN_LABEL}={}", key.name))
            .limit(CHILDREN_PAGE);
        params.continue_token = page.map(str::to_owned);
        let request = Request::new(api.path(Some(&key.namespace))).list(&params);
        let request = request.map_err(|e| error(what(), kube::Error::BuildRequest(e)))?;
        let list: List = timed(what, self.client.request(request)).await?;
        let next = Some(list.metadata.next).filter(|next| !next.is_empty());
        Ok(Page { items: list.items, next })
    }

    /// Puts the finalizer on, by server-side apply; answers the new resource version.
    pub(crate) async fn guard(&self, key: &Key) -> Result<Option<u64>> {
        let what = format!("putting the finalizer on {}", described(key));
        let resource = key.api.resource();
        let patch = Patch::Apply(json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            // Without the UID, an apply would make anew what was deleted meanwhile.
            "metadata": {
                "name": &*key.name, "uid": &*key.uid, "finalizers": [finalizer(key.api.kind)],
            },
        }));
        self.patch(key, what, &PatchParams::apply(FINALIZERS).force(), &patch).await
    }

    /// Changes the metadata, where the run still is at that resource version; answers the new one.
    pub(crate) async fn merge(&self, key: &Key, patch: Value) -> Result<Option<u64>> {
        let what = format!("writing on {}", described(key));
        let params =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        self.patch(key, what, &params, &Patch::Merge(patch)).await
    }

    async fn patch(
        &self,
        key: &Key,
        what: String,
        params: &PatchParams,
        patch: &Patch<Value>,
    ) -> Result<Option<u64>> {
        let what = || what.clone();
        let request = requests(key).patch(&key.name, params, patch);
        let mut request = request.map_err(|e| error(what(), kube::Error::BuildRequest(e)))?;
        request.headers_mut().insert(ACCEPT, http::HeaderValue::from_static(METADATA_ONLY));
        let written: Written = timed(what, self.client.request(request)).await?;
        Ok(written.metadata.resource_version.parse().ok())
    }
}

fn requests(key: &Key) -> Request {
    Request::new(key.api.path(Some(&key.namespace)))
}

pub(super) fn described(key: &Key) -> String {
    format!("{} {}/{}", key.api.kind, key.namespace, key.name)
}

async fn timed<T>(
    what: impl Fn() -> String,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|e| error(what(), e)),
        Err(_) => {
            let why = format!("{}: the API server did not answer within {TIMEOUT:?}", what());
            Err(Error::new(ErrorKind::Timeout, why))
        }
    }
}
