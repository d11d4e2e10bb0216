//! `tekton`: annotations of the run.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Result, Store};
use chains_store_tekton::TektonStore;

use crate::Environment;

pub(super) fn build(_: &Config, _: &Environment) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(TektonStore::new()))
}
