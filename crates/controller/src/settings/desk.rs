//! Brings configuration and key together.

use std::collections::BTreeMap;
use std::sync::Arc;

use chains_config::{Config, Filter, X509Key};
use chains_engine::Engine;
use chains_signer_x509::X509Signer;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use tokio::sync::watch;

use super::configuration::{self, needs_key, same_engine};
use super::follow::{Sight, follow};
use super::key::KeyState;
use super::level::level;
use super::news::{ConfigurationNews, KeyNews};
use super::place::Watched;
use super::{Active, Options};
use crate::events::Events;
use crate::telemetry::Health;

/// Everything that settings are made of.
pub(super) struct Desk {
    client: Client,
    options: Options,
    settings: watch::Sender<Option<Arc<Active>>>,
    filter: watch::Sender<Option<Filter>>,
    configuration_news: ConfigurationNews,
    key_news: KeyNews,
    /// The last configuration without faults.
    accepted: Option<Config>,
    /// Where its key is; `None` where it needs none.
    key: Option<Watched>,
    /// What is in force.
    made: Option<Made>,
    /// Why the level of the log is not followed.
    logging_fault: Option<String>,
}

/// What the settings in force were made of.
struct Made {
    config: Config,
    signer: Option<Arc<X509Signer>>,
    engine: Engine,
}

impl Desk {
    pub(super) fn new(
        client: Client,
        options: Options,
        events: Events,
        health: &Health,
        settings: watch::Sender<Option<Arc<Active>>>,
        filter: watch::Sender<Option<Filter>>,
    ) -> Self {
        let configuration_news = ConfigurationNews::new(&options, events.clone(), health);
        let key_news = KeyNews::new(&options, events, health);
        Self {
            client,
            options,
            settings,
            filter,
            configuration_news,
            key_news,
            accepted: None,
            key: None,
            made: None,
            logging_fault: None,
        }
    }

    /// Follows everything for ever.
    pub(super) async fn run(mut self) {
        let Options { namespace, config_map, logging_config_map, .. } = &self.options;
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let what = |name: &str| format!("reading the ConfigMap {namespace}/{name}");
        let mut configuration = follow(maps.clone(), config_map, what(config_map));
        let mut logging = follow(maps, logging_config_map, what(logging_config_map));
        loop {
            tokio::select! {
                sight = configuration.next() => self.configuration(sight),
                () = changed(&mut self.key) => self.settle(),
                sight = logging.next() => self.logging(sight),
            }
        }
    }

    fn configuration(&mut self, sight: Sight<ConfigMap>) {
        match sight {
            Sight::There(map) => self.read(&map),
            // What runs are signed by can't be taken back, so nothing is guessed.
            Sight::Gone if self.accepted.is_none() => self.configuration_news.missing(),
            Sight::Gone => self.configuration_news.deleted(),
            Sight::Unknown(error) => self.configuration_news.unknown(&error),
        }
    }

    fn read(&mut self, map: &ConfigMap) {
        self.configuration_news.seen(map);
        self.key_news.about(map);
        let read =
            configuration::read(map, &self.options.environment.registry).and_then(|config| {
                if self.accepted.as_ref() != Some(&config) {
                    configuration::check(&config, &self.options.environment)?;
                }
                Ok(config)
            });
        match read {
            Ok(config) => {
                self.configuration_news.accepted();
                self.accept(config);
            }
            Err(faults) => self.configuration_news.refused(&faults),
        }
    }

    fn accept(&mut self, config: Config) {
        if self.accepted.as_ref() == Some(&config) {
            return;
        }
        let place = needs_key(&config).then(|| {
            let mounted = || X509Key::Folder(self.options.signing_secrets.clone());
            config.signers.x509.key.clone().unwrap_or_else(mounted)
        });
        if self.key.as_ref().map(|watched| &watched.place) != place.as_ref() {
            self.key = place.map(|place| Watched::new(&self.client, place));
        }
        self.filter.send_if_modified(|filter| {
            let changed = filter.as_ref() != Some(&config.filter);
            *filter = Some(config.filter.clone());
            changed
        });
        self.accepted = Some(config);
        self.settle();
    }

    /// Makes of configuration and key what is in force from now on.
    fn settle(&mut self) {
        let Some(config) = &self.accepted else { return };
        let signer = match &mut self.key {
            None => {
                self.key_news.not_needed();
                None
            }
            Some(watched) => {
                let state = watched.state();
                self.key_news.seen(&watched.place, state.as_ref());
                match state {
                    // What was in force before stays until the key was looked at.
                    None => return,
                    Some(KeyState { signer: None, .. }) => return self.withdraw(),
                    Some(KeyState { signer, .. }) => signer,
                }
            }
        };
        let same_signer = |made: &Made| match (&made.signer, &signer) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let kept = self.made.as_ref().filter(|made| same_signer(made));
        if kept.is_some_and(|made| made.config == *config) {
            return;
        }
        let kept = kept.filter(|made| same_engine(&made.config, config));
        let engine = match kept.map(|made| made.engine.clone()) {
            Some(engine) => Ok(engine),
            None => configuration::engine(config, &self.options.environment, signer.clone()),
        };
        let is_new = kept.is_none();
        match engine {
            Ok(engine) => {
                if is_new {
                    (self.options.set_backends)();
                }
                let config = config.clone();
                self.enact(Made { config, signer, engine });
            }
            // The configuration was checked: what could be had a moment ago cannot be had any more.
            Err(error) => self.configuration_news.refused(&error.report()),
        }
    }

    fn enact(&mut self, made: Made) {
        made.engine.start();
        let active = Active {
            engine: made.engine.clone(),
            filter: made.config.filter.clone(),
            retry: made.config.retry.into(),
        };
        self.made = Some(made);
        self.settings.send_replace(Some(Arc::new(active)));
    }

    fn withdraw(&mut self) {
        self.made = None;
        self.settings.send_if_modified(|active| active.take().is_some());
    }

    fn logging(&mut self, sight: Sight<ConfigMap>) {
        let data = match sight {
            Sight::There(map) => map.data.unwrap_or_default(),
            Sight::Gone => BTreeMap::new(),
            Sight::Unknown(error) => {
                let report = error.report();
                if self.logging_fault.as_ref() != Some(&report) {
                    tracing::warn!(error = report, "the level of the log is not followed");
                }
                self.logging_fault = Some(report);
                return;
            }
        };
        self.logging_fault = None;
        let (level, faults) = level(&data);
        for fault in faults {
            tracing::warn!(config_map = self.options.logging_config_map, fault, "not understood");
        }
        (self.options.set_log_level)(level);
    }
}

/// Waits for a change of the key; for ever where there is none.
async fn changed(key: &mut Option<Watched>) {
    match key {
        Some(watched) => watched.changed().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
