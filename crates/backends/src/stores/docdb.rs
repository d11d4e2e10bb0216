//! `docdb`: a collection of MongoDB or Firestore, or a table of DynamoDB.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Error, ErrorKind, Result, Store};
use chains_store_docdb::{Collection, DocDbOptions, DocDbStore, MongoServer, Variables};

use crate::Environment;

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let Some(section) = &config.storage.docdb else {
        let why = "`storage.docdb.url`: must be set where `docdb` is a store";
        return Err(Error::new(ErrorKind::Configuration, why));
    };
    // Engines made of the same share it, with its connections.
    let inputs = (section.clone(), environment.ca_files.clone());
    let store = environment.kept.get_or_make(inputs, |(section, ca_files)| {
        let options = DocDbOptions::new(Collection::parse(&section.url)?);
        let from = section.mongo.clone();
        let mongo = MongoServer::first_of(from.path, from.dir, from.url, &Variables::of_process());
        DocDbStore::new(DocDbOptions { mongo, ca_files: ca_files.clone(), ..options })
    })?;
    Ok(store)
}
