//! `archivista`: a server of Archivista.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Result, Store};
use chains_store_archivista::{ArchivistaOptions, ArchivistaStore};

use crate::Environment;

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let section = &config.storage.archivista;
    let section = section.as_ref().ok_or_else(|| super::unset("storage.archivista.url"))?;
    let ca_files = environment.ca_files.clone();
    let options = ArchivistaOptions { ca_files, ..ArchivistaOptions::new(section.url.as_str()) };
    Ok(Arc::new(ArchivistaStore::new(options)?))
}
