//! `local`: a folder.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Result, Store};
use chains_store_local::LocalStore;

use crate::Environment;

pub(super) fn build(config: &Config, _: &Environment) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(LocalStore::new(&config.storage.local.path)))
}
