//! The requests that ownership sends.

use std::fmt::Debug;

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, Result};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt as _};

use super::record::LEASE_LABEL;

/// Who the API server is told to have written a Lease.
const FIELD_MANAGER: &str = "tekton-chains-controller";

/// All Leases of ours at one time.
#[derive(Debug)]
pub(super) struct Listing {
    /// In no particular order.
    pub(super) leases: Vec<Lease>,
    /// Version of the list: from here a watch goes on.
    pub(super) version: String,
}

/// A change that a watch tells of.
#[derive(Debug)]
pub(super) enum Change {
    /// The Lease is new, or not as before.
    There(Lease),
    /// The Lease is gone.
    Gone(Lease),
}

/// Leases of ours: read as they are, written only where nobody else wrote in between.
#[async_trait]
pub(super) trait Leases: Debug + Send + Sync + 'static {
    /// All of them, as they are when asked, not as they were.
    async fn list(&self) -> Result<Listing>;

    /// Makes one; [`ErrorKind::Conflict`] where it is there already.
    async fn create(&self, lease: &Lease) -> Result<Lease>;

    /// Replaces the very version that was read; [`ErrorKind::Conflict`] where that is gone or changed.
    async fn replace(&self, lease: &Lease) -> Result<Lease>;

    /// Deletes the very version that was read.
    async fn delete(&self, lease: &Lease) -> Result<()>;

    /// Tells of changes since `version`, until the stream ends or fails. Only hints: it may lag.
    fn watch(&self, version: String) -> BoxStream<'static, Result<Change>>;
}

/// Leases of one namespace, on an API server.
#[derive(Debug, Clone)]
pub(super) struct ApiLeases {
    api: Api<Lease>,
}

impl ApiLeases {
    /// Of this namespace.
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace) }
    }
}

#[async_trait]
impl Leases for ApiLeases {
    async fn list(&self) -> Result<Listing> {
        // Without a resource version the API server answers with what it has stored last.
        let list = self.api.list(&ListParams::default().labels(LEASE_LABEL)).await;
        let list = list.map_err(|e| chains_cluster::error("listing the Leases of replicas", e))?;
        let version = list.metadata.resource_version.unwrap_or_default();
        Ok(Listing { leases: list.items, version })
    }

    async fn create(&self, lease: &Lease) -> Result<Lease> {
        let created = self.api.create(&parameters(), lease).await;
        created.map_err(|e| chains_cluster::error(format!("creating {}", named(lease)), e))
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease> {
        // The API server makes a Lease anew where a replacement names a version and no UID, and the Lease is gone.
        if lease.metadata.uid.is_none() || lease.metadata.resource_version.is_none() {
            let what = format!("replacing {}: it has no UID or no version", named(lease));
            return Err(Error::new(ErrorKind::Protocol, what));
        }
        let replaced = self.api.replace(&lease.name_any(), &parameters(), lease).await;
        replaced.map_err(|e| chains_cluster::error(format!("writing {}", named(lease)), e))
    }

    async fn delete(&self, lease: &Lease) -> Result<()> {
        let preconditions = Preconditions {
            resource_version: lease.metadata.resource_version.clone(),
            uid: lease.metadata.uid.clone(),
        };
        let delete = DeleteParams { preconditions: Some(preconditions), ..Default::default() };
        let deleted = self.api.delete(&lease.name_any(), &delete).await;
        deleted
            .map(drop)
            .map_err(|e| chains_cluster::error(format!("deleting {}", named(lease)), e))
    }

    fn watch(&self, version: String) -> BoxStream<'static, Result<Change>> {
        let api = self.api.clone();
        let watch = async move {
            let only_ours = WatchParams::default().labels(LEASE_LABEL);
            api.watch(&only_ours, &version).await
        };
        let events = stream::once(watch).try_flatten();
        let changes = events.try_filter_map(|event| async {
            match event {
                WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
                    Ok(Some(Change::There(lease)))
                }
                WatchEvent::Deleted(lease) => Ok(Some(Change::Gone(lease))),
                WatchEvent::Bookmark(_) => Ok(None),
                WatchEvent::Error(status) => Err(kube::Error::Api(status)),
            }
        });
        changes.map_err(|e| chains_cluster::error("watching the Leases of replicas", e)).boxed()
    }
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

fn named(lease: &Lease) -> String {
    format!("Lease {}", lease.name_any())
}
