//! Tells what became of configuration and key: log, Event, health and metric, each thing once.

use std::sync::Arc;

use chains_config::X509Key;
use chains_core::Error;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};

use super::key::{KeyFault, KeyState};
use super::{Options, Subject};
use crate::events::Events;
use crate::telemetry::{Health, Part};

type SetValid = Arc<dyn Fn(Subject, bool) + Send + Sync>;

/// The ConfigMap as what Events are about.
fn reference(options: &Options) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("ConfigMap".to_owned()),
        namespace: Some(options.namespace.clone()),
        name: Some(options.config_map.clone()),
        ..ObjectReference::default()
    }
}

/// About the configuration.
pub(super) struct ConfigurationNews {
    events: Events,
    part: Part,
    set_valid: SetValid,
    about: ObjectReference,
    /// `NAMESPACE/NAME` of the ConfigMap.
    name: String,
    /// The version that was seen last.
    version: String,
    /// What is in force, in words.
    in_force: Option<String>,
    /// What is wrong with what the cluster has now.
    trouble: Option<Trouble>,
    /// Why it could not be looked at last.
    unknown: Option<String>,
}

/// What is wrong, and how that is told to health.
struct Trouble {
    why: String,
    detail: String,
}

impl ConfigurationNews {
    pub(super) fn new(options: &Options, events: Events, health: &Health) -> Self {
        let name = format!("{}/{}", options.namespace, options.config_map);
        let part = health.part("configuration");
        part.waiting(format!("reading the ConfigMap {name}"));
        Self {
            events,
            part,
            set_valid: Arc::clone(&options.set_valid),
            about: reference(options),
            name,
            version: String::new(),
            in_force: None,
            trouble: None,
            unknown: None,
        }
    }

    /// The ConfigMap is there, in this version.
    pub(super) fn seen(&mut self, map: &ConfigMap) {
        self.about.uid.clone_from(&map.metadata.uid);
        self.version = map.metadata.resource_version.clone().unwrap_or_default();
    }

    /// There is no ConfigMap, and there was none.
    pub(super) fn missing(&mut self) {
        let why = "there is no such ConfigMap: nothing is signed until there is one; without data it stands \
                   for the defaults";
        tracing::warn!(config_map = self.name, "{why}");
        self.trouble = None;
        self.tell();
        self.part.waiting(format!("{}: {why}", self.name));
    }

    /// What was seen last is in force.
    pub(super) fn accepted(&mut self) {
        let (config_map, version) = (&self.name, &self.version);
        let in_force = Some(format!("ConfigMap {config_map}, version {version}"));
        let mended = self.trouble.take().is_some();
        if self.in_force == in_force && !mended {
            return;
        }
        tracing::info!(config_map, version, "the configuration is in force");
        if mended {
            let note = "the configuration is in force".to_owned();
            self.events.normal(self.about.clone(), "ConfigurationApplied", note);
        }
        self.in_force = in_force;
        self.tell();
    }

    /// What was seen last has faults.
    pub(super) fn refused(&mut self, faults: &str) {
        let (config_map, version) = (&self.name, &self.version);
        let stays = match self.in_force {
            Some(_) => "refused, and the one before stays in force",
            None => "refused",
        };
        // The same faults in another version are no news.
        if self.trouble.as_ref().is_none_or(|known| known.why != faults) {
            tracing::error!(config_map, version, faults, "the configuration is {stays}");
            let note = format!("the configuration is {stays}: {faults}");
            self.events.warning(self.about.clone(), "ConfigurationRefused", note);
        }
        let detail = format!("version {version} is {stays}: {faults}");
        self.trouble = Some(Trouble { why: faults.to_owned(), detail });
        self.tell();
    }

    /// The ConfigMap was there and is no more.
    pub(super) fn deleted(&mut self) {
        if self.version.is_empty() {
            return;
        }
        self.version.clear();
        let why = "the ConfigMap was deleted, and what it said last stays in force until the \
                   controller starts again";
        tracing::warn!(config_map = self.name, "{why}");
        self.events.warning(self.about.clone(), "ConfigurationDeleted", why.to_owned());
        self.trouble = Some(Trouble { why: why.to_owned(), detail: why.to_owned() });
        self.tell();
    }

    /// Whether there is a ConfigMap is not known.
    pub(super) fn unknown(&mut self, error: &Error) {
        let report = error.report();
        if self.unknown.as_ref() != Some(&report) {
            tracing::warn!(error = report, "the configuration is not followed");
        }
        if self.in_force.is_none() && self.trouble.is_none() {
            (self.set_valid)(Subject::Configuration, false);
            self.part.waiting(report.clone());
        }
        self.unknown = Some(report);
    }

    fn tell(&mut self) {
        self.unknown = None;
        (self.set_valid)(Subject::Configuration, self.in_force.is_some() && self.trouble.is_none());
        match (&self.in_force, &self.trouble) {
            (Some(in_force), None) => self.part.ok(in_force.clone()),
            // It works, and somebody has something to mend all the same.
            (Some(in_force), Some(Trouble { detail, .. })) => {
                self.part.ok(format!("{in_force}; {detail}"));
            }
            (None, Some(Trouble { detail, .. })) => self.part.faulty(detail.clone()),
            (None, None) => {}
        }
    }
}

/// About the key behind `x509`.
pub(super) struct KeyNews {
    events: Events,
    part: Part,
    set_valid: SetValid,
    about: ObjectReference,
    /// What was told last.
    told: Option<Told>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    NotNeeded,
    Looking(String),
    /// The public key's id and where it is.
    Loaded(String),
    Trouble {
        missing: bool,
        still: Option<String>,
        why: String,
    },
}

impl KeyNews {
    pub(super) fn new(options: &Options, events: Events, health: &Health) -> Self {
        let part = health.part("signing-key");
        part.waiting("the configuration tells where it is");
        let set_valid = Arc::clone(&options.set_valid);
        Self { events, part, set_valid, about: reference(options), told: None }
    }

    /// The ConfigMap is there: Events are about this one.
    pub(super) fn about(&mut self, map: &ConfigMap) {
        self.about.uid.clone_from(&map.metadata.uid);
    }

    /// The configuration signs nothing with a key at hand.
    pub(super) fn not_needed(&mut self) {
        self.tell(Told::NotNeeded);
    }

    /// What was found at the place of the key; `None` while it is looked at.
    pub(super) fn seen(&mut self, place: &X509Key, state: Option<&KeyState>) {
        let id = |state: &KeyState| {
            let signer = state.signer.as_ref()?;
            Some(format!("{} in {place}", signer.public_key().id()))
        };
        self.tell(match state {
            None => Told::Looking(place.to_string()),
            Some(state) => match (&state.fault, id(state)) {
                (Some(KeyFault::Missing(why)), still) => {
                    Told::Trouble { missing: true, still, why: why.clone() }
                }
                (Some(KeyFault::Unusable(why)), still) => {
                    Told::Trouble { missing: false, still, why: why.clone() }
                }
                (None, Some(id)) => Told::Loaded(id),
                (None, None) => Told::Looking(place.to_string()),
            },
        });
    }

    fn tell(&mut self, news: Told) {
        if self.told.as_ref() == Some(&news) {
            return;
        }
        let valid = matches!(news, Told::NotNeeded | Told::Loaded(_));
        (self.set_valid)(Subject::SigningKey, valid);
        match &news {
            Told::NotNeeded => self.part.ok("not needed: nothing is signed with `x509`"),
            Told::Looking(place) => self.part.waiting(format!("reading the key in {place}")),
            Told::Loaded(id) => {
                tracing::info!(key = id, "the signing key is loaded");
                let first = matches!(self.told, None | Some(Told::NotNeeded | Told::Looking(_)));
                if !first {
                    let note = format!("signing with {id}");
                    self.events.normal(self.about.clone(), "SigningKeyLoaded", note);
                }
                self.part.ok(id.clone());
            }
            Told::Trouble { missing, still, why } => self.trouble(*missing, still.as_deref(), why),
        }
        self.told = Some(news);
    }

    fn trouble(&self, missing: bool, still: Option<&str>, why: &str) {
        let reason = if missing { "SigningKeyMissing" } else { "SigningKeyUnusable" };
        let note = match still {
            Some(id) => format!("{why}: the key before, {id}, still signs"),
            None => format!("{why}: signing waits"),
        };
        tracing::error!(reason, "{note}");
        self.events.warning(self.about.clone(), reason, note.clone());
        match (still, missing) {
            (Some(_), _) => self.part.ok(note),
            (None, true) => self.part.waiting(note),
            (None, false) => self.part.faulty(note),
        }
    }
}
