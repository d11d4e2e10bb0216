//! The contract of every store.

use std::sync::Arc;

use chains_store_oci::OciOptions;
use chains_testkit::store;

use crate::support::{self, Registry, options};

/// The images of the suite are in no registry: all records go to one repository.
#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    let registry = Registry::start().await;
    let repository = format!("{}/records", registry.host()).parse().ok();
    let ours = support::store(OciOptions { repository, ..options() }, None);
    // A run's status with a signature beside it is refused, though signatures beside images are held.
    let records = store::records("suite").into_iter().filter(|r| r.payload.format != "tekton");
    store::read_back_suite_with(Arc::new(ours), records.collect()).await;
}
