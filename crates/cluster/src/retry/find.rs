//! Finding the runs: metadata only, page by page.

use chains_core::{Error, ErrorKind, Result, RunKind};
use kube::api::{Api, ListParams};
use kube::core::{DynamicObject, ObjectList, PartialObjectMeta};
use kube::{Client, ResourceExt as _};

use super::{Found, Marks, RunName, Selection, State};
use crate::{RunApi, Version};

/// How many runs are asked for at once.
const PAGE: u32 = 200;

/// How often a list is begun anew because the API server has forgotten where it was.
const RESTARTS: usize = 3;

pub(super) type Metadata = PartialObjectMeta<DynamicObject>;

/// The runs of the selection, with what their annotations say.
///
/// `seen` is told after each answer how many runs more were looked at. A run by name that is not there, or cannot
/// be read, is an error in its place. Of lists, runs in state [`New`](State::New) are left out: there may be many.
///
/// # Errors
/// Where the API server serves no runs, refuses the list or the label selector, or cannot be reached.
pub async fn find(
    client: &Client,
    selection: &Selection,
    mut seen: impl FnMut(usize),
) -> Result<Vec<Result<Found>>> {
    let Some(version) = Version::discover(client).await? else {
        let why = "the API server serves nothing of tekton.dev: Tekton is not installed there";
        return Err(Error::new(ErrorKind::NotFound, why));
    };
    let mut found = Vec::new();
    match selection {
        Selection::Named { namespace, runs } => {
            for run in runs {
                found.push(named(client, version, namespace, run).await);
                seen(1);
            }
        }
        Selection::Matching { namespace, labels } => {
            for kind in [RunKind::TaskRun, RunKind::PipelineRun] {
                let list = List {
                    api: RunApi { kind, version },
                    namespace: namespace.as_deref(),
                    labels: labels.as_deref(),
                };
                found.extend(list.read(client, &mut seen).await?.into_iter().map(Ok));
            }
        }
    }
    Ok(found)
}

async fn named(client: &Client, version: Version, namespace: &str, run: &RunName) -> Result<Found> {
    let api = RunApi { kind: run.kind, version };
    let metadata: Metadata = of(client, api, Some(namespace))
        .get_metadata(&run.name)
        .await
        .map_err(|e| crate::error(format!("reading {} {namespace}/{}", run.kind, run.name), e))?;
    Ok(Found::new(api, &metadata))
}

/// Runs of a kind, in one namespace or in all.
pub(super) fn of(client: &Client, runs: RunApi, namespace: Option<&str>) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &runs.resource()),
        None => Api::all_with(client.clone(), &runs.resource()),
    }
}

impl Found {
    fn new(api: RunApi, metadata: &Metadata) -> Self {
        Self {
            api,
            run: RunName { kind: api.kind, name: metadata.name_any() },
            namespace: metadata.namespace().unwrap_or_default(),
            marks: Marks::of(&metadata.metadata),
        }
    }
}

struct List<'a> {
    api: RunApi,
    namespace: Option<&'a str>,
    labels: Option<&'a str>,
}

impl List<'_> {
    async fn read(&self, client: &Client, seen: &mut impl FnMut(usize)) -> Result<Vec<Found>> {
        let runs = of(client, self.api, self.namespace);
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        let mut restarts = 0;
        loop {
            match runs.list_metadata(&self.parameters(next.as_deref())).await {
                Ok(page) => {
                    seen(page.items.len());
                    next = page.metadata.continue_.clone().filter(|token| !token.is_empty());
                    found.extend(self.worth_telling(page));
                    if next.is_none() {
                        return Ok(found);
                    }
                }
                Err(kube::Error::Api(status)) if status.code == 410 && restarts < RESTARTS => {
                    // It says where to go on, with runs as they are now, or it is begun anew.
                    next = status.metadata.as_ref().and_then(|list| list.continue_.clone());
                    if next.is_none() {
                        found.clear();
                    }
                    restarts += 1;
                }
                Err(error) => return Err(crate::error(self.what(), error)),
            }
        }
    }

    fn parameters(&self, next: Option<&str>) -> ListParams {
        let mut parameters = ListParams::default().limit(PAGE);
        parameters.label_selector = self.labels.map(str::to_owned);
        parameters.continue_token = next.map(str::to_owned);
        parameters
    }

    fn worth_telling(&self, page: ObjectList<Metadata>) -> impl Iterator<Item = Found> {
        let api = self.api;
        let found = page.items.into_iter().map(move |metadata| Found::new(api, &metadata));
        found.filter(|found| *found.state() != State::New)
    }

    fn what(&self) -> String {
        let kind = self.api.kind;
        match self.namespace {
            Some(namespace) => format!("listing the {kind}s of the namespace {namespace}"),
            None => format!("listing the {kind}s of all namespaces"),
        }
    }
}
