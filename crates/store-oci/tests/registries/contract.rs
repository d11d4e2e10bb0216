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
    store::read_back_suite(Arc::new(ours)).await;
}
