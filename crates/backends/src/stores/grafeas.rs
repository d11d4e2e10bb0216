//! `grafeas`: a project of Google's Container Analysis, or of a Grafeas server.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Result, Secret, Store};
use chains_store_grafeas::{GrafeasOptions, GrafeasStore};

use crate::Environment;

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let section = &config.storage.grafeas;
    let section = section.as_ref().ok_or_else(|| super::unset("storage.grafeas.projectid"))?;
    let options = GrafeasOptions {
        note_id: section.note_id.clone(),
        note_hint: section.note_hint.clone(),
        endpoint: section.endpoint.as_ref().map(|url| Secret::new(url.as_str())),
        key_id: config.signers.kms.as_ref().map(|kms| kms.key.as_str().to_owned()),
        ca_files: environment.ca_files.clone(),
        ..GrafeasOptions::new(&section.project_id)
    };
    Ok(Arc::new(GrafeasStore::new(options)?))
}
