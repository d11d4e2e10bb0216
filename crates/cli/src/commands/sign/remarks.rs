//! What a reader of the summary should know of the stores besides: subjects that got no attestation, and records of
//! another key that were replaced.

use std::collections::BTreeSet;

use chains_backends::Formats;
use chains_config::{Config, StorageName};
use chains_core::{PublicKey, ReadBack as _, ReadQuery, Signed, Stored, Target};
use chains_store_local::LocalStore;
use chains_tekton::Run;
use chains_verify::{verify_detached, verify_envelope};

use super::outcome::RunOutcome;
use crate::settings;

/// Knows what to look at.
#[derive(Debug)]
pub(super) struct Remarks {
    /// The keys that sign.
    keys: Vec<PublicKey>,
    local: Option<LocalStore>,
    /// Where the registry gets attestations.
    formats: Option<Formats>,
}

/// Full keys of the targets whose records in the folder are by another key.
pub(super) type OfOthers = BTreeSet<String>;

impl Remarks {
    pub(super) fn new(config: &Config, keys: Vec<PublicKey>) -> anyhow::Result<Self> {
        let stores = config.storages_in_use();
        let local = stores.contains(&StorageName::Local);
        let formats = stores.contains(&StorageName::Oci).then(|| Formats::new(config)).transpose();
        Ok(Self {
            keys,
            local: local.then(|| LocalStore::new(&config.storage.local.path)),
            formats: formats.map_err(settings::report)?,
        })
    }

    /// Looks at what is there, before it is replaced.
    pub(super) async fn before(&self, run: &Run) -> OfOthers {
        let mut others = OfOthers::new();
        let Some(local) = self.local.as_ref().filter(|_| !self.keys.is_empty()) else {
            return others;
        };
        for target in run.targets(true) {
            let key = target.record_key(run.reference());
            let query =
                ReadQuery { run: run.reference(), target: &target, key: &key, subjects: &[] };
            // What cannot be read is told by the store, which replaces it or fails.
            let records = local.read_back(query).await.unwrap_or_default();
            if records.iter().any(|stored| is_by_another(stored, &self.keys)) {
                others.insert(key.full);
            }
        }
        others
    }

    /// Adds the remarks to what the stores told.
    pub(super) fn after(&self, run: &Run, others: &OfOthers, outcome: &mut RunOutcome) {
        for target in &mut outcome.targets {
            let of_run = target.target == Target::Run.to_string();
            for store in &mut target.stores {
                if store.store == StorageName::Local.as_str()
                    && store.outcome == "stored"
                    && others.contains(&target.full_key)
                {
                    store.outcome = "replaced";
                    store.notes.push("what was there was signed by another key".to_owned());
                }
                let in_registry = store.store == StorageName::Oci.as_str();
                if in_registry && of_run && store.location.is_some() {
                    let left_out = self.left_out(run).into_iter();
                    store.notes.extend(left_out.map(|one| format!("left out: {one}")));
                }
            }
        }
    }

    /// Subjects of the run's statement that are in no registry.
    fn left_out(&self, run: &Run) -> Vec<String> {
        let format = self.formats.as_ref().and_then(|formats| formats.chosen(run.kind()).run);
        let payload = format.and_then(|format| format.payload(run, &Target::Run).ok().flatten());
        payload.map(|made| chains_store_oci::left_out(&made.subjects)).unwrap_or_default()
    }
}

/// Whether it is signed, and by none of these keys; whether all else holds does not matter here.
fn is_by_another(stored: &Stored, keys: &[PublicKey]) -> bool {
    match &stored.signed {
        None => false,
        Some(Signed::Dsse(envelope)) => {
            verify_envelope(envelope, &envelope.payload_type, keys).is_err()
        }
        Some(Signed::Detached(signature)) => {
            verify_detached(&stored.payload, signature, keys).is_err()
        }
    }
}
