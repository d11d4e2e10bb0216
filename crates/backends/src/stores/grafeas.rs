//! `grafeas`: a project of Google's Container Analysis, or of a Grafeas server.

use std::path::PathBuf;
use std::sync::Arc;

use chains_config::{Config, Grafeas};
use chains_core::{Result, Secret, Store};
use chains_store_grafeas::{GrafeasOptions, GrafeasStore};

use crate::Environment;

/// What a store is made of. Engines made of the same share it: who writes about the same artifact waits in one line.
type Inputs = (Grafeas, Option<String>, Vec<PathBuf>);

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let section = &config.storage.grafeas;
    let section = section.as_ref().ok_or_else(|| super::unset("storage.grafeas.projectid"))?;
    let key_id = config.signers.kms.as_ref().map(|kms| kms.key.as_str().to_owned());
    let inputs = (section.clone(), key_id, environment.ca_files.clone());
    let make = |(section, key_id, ca_files): &Inputs| {
        GrafeasStore::new(GrafeasOptions {
            note_id: section.note_id.clone(),
            note_hint: section.note_hint.clone(),
            endpoint: section.endpoint.as_ref().map(|url| Secret::new(url.as_str())),
            key_id: key_id.clone(),
            ca_files: ca_files.clone(),
            ..GrafeasOptions::new(&section.project_id)
        })
    };
    let store = environment.kept.get_or_make(inputs, make)?;
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_of_the_same_have_the_same_store() {
        let environment = Environment::anonymous();
        let get = |text: &str| {
            let config = Config::read(text).unwrap_or_else(|faults| panic!("{faults}"));
            build(&config, &environment).expect("it is built")
        };
        let text = "artifacts.taskrun.storage=grafeas\nstorage.grafeas.projectid=p";
        let one = get(text);
        assert!(Arc::ptr_eq(&one, &get(&format!("{text}\nbuilder.id=other"))));
        assert!(!Arc::ptr_eq(&one, &get(&text.replace("=p", "=q"))));
    }
}
