//! `archivista`: a server of Archivista.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Result, Store};
use chains_store_archivista::{ArchivistaOptions, ArchivistaStore};

use crate::Environment;

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let section = &config.storage.archivista;
    let section = section.as_ref().ok_or_else(|| super::unset("storage.archivista.url"))?;
    // Engines made of the same share it: who uploads the same envelope waits in one line.
    let inputs = (section.clone(), environment.ca_files.clone());
    let store = environment.kept.get_or_make(inputs, |(section, ca_files)| {
        let options = ArchivistaOptions::new(section.url.as_str());
        ArchivistaStore::new(ArchivistaOptions { ca_files: ca_files.clone(), ..options })
    })?;
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
        let text =
            "artifacts.taskrun.storage=archivista\nstorage.archivista.url=https://a.example.com";
        let one = get(text);
        assert!(Arc::ptr_eq(&one, &get(&format!("{text}\nbuilder.id=other"))));
        assert!(!Arc::ptr_eq(&one, &get(&text.replace("//a.", "//b."))));
    }
}
