//! The transparency log of a configuration.

use std::sync::Arc;

use chains_config::{Config, RekorVersion, Transparency as Section, TransparencyMode};
use chains_core::{Result, TransparencyLog};
use chains_engine::{LogMode, LogRoute, Metered, Resilient};
use chains_transparency as sigstore;
use chains_transparency::{HttpOptions, Transparency, TransparencyOptions, TrustSource};

use super::trust::{self, Roots};
use crate::Environment;

/// What a log is made of.
#[derive(PartialEq, Eq)]
struct Inputs {
    options: TransparencyOptions,
    trust: Option<trust::Inputs>,
}

/// The log, and when it is used; `None` where nothing is logged.
pub(crate) fn route(config: &Config, environment: &Environment) -> Result<Option<LogRoute>> {
    let mode = match config.transparency.mode {
        TransparencyMode::Enabled => LogMode::Always,
        TransparencyMode::Manual => LogMode::WhenAsked,
        _ => return Ok(None),
    };
    let log: Arc<dyn TransparencyLog> = build(config, environment)?;
    let mut resilient = Resilient::new(log, environment.policy);
    if let Some(limit) = environment.log_limit {
        resilient = resilient.within(limit);
    }
    let resilient = Arc::new(resilient);
    let log: Arc<dyn TransparencyLog> = match &environment.meter {
        Some(meter) => Arc::new(Metered::new(resilient, Arc::clone(meter))),
        None => resilient,
    };
    Ok(Some(LogRoute { log, mode, required: config.transparency.required }))
}

fn build(config: &Config, environment: &Environment) -> Result<Arc<Transparency>> {
    let section = &config.transparency;
    let is_public = section.url.as_str() == Section::PUBLIC;
    let inputs = Inputs {
        options: options(config, environment, is_public),
        trust: trust::inputs(config, environment, is_public),
    };
    environment.kept.get_or_make(inputs, |inputs| {
        let roots = inputs.trust.clone().map(|inputs| trust::roots(inputs, environment));
        let roots = roots.transpose()?.map(|roots: Arc<Roots>| -> Arc<dyn TrustSource> { roots });
        Transparency::new(inputs.options.clone(), roots).map_err(|e| e.context("`transparency`"))
    })
}

fn options(config: &Config, environment: &Environment, is_public: bool) -> TransparencyOptions {
    let section = &config.transparency;
    // A signing config that somebody names chooses, unless an address is named too.
    let chosen = is_public && config.sigstore.signing_config.is_some();
    TransparencyOptions {
        url: (!chosen).then(|| section.url.as_str().to_owned()),
        version: match section.rekor_version {
            RekorVersion::V1 => sigstore::RekorVersion::V1,
            RekorVersion::V2 => sigstore::RekorVersion::V2,
            _ => sigstore::RekorVersion::Auto,
        },
        timestamp_urls: section.timestamp_urls.iter().map(|url| url.as_str().to_owned()).collect(),
        http: http(environment),
        ..TransparencyOptions::default()
    }
}

/// How services are spoken to.
pub(super) fn http(environment: &Environment) -> HttpOptions {
    HttpOptions { ca_files: environment.ca_files.clone(), ..HttpOptions::default() }
}
