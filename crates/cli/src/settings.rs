//! From `--config` options to a configuration, and from a configuration to an engine's environment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use chains_backends::Environment;
use chains_config::{Config, Faults, Layers, Origin};
use chains_core::{ErrorKind, Secret, Signer};
use chains_store_oci::{Keyring, OciOptions};

use crate::args::RegistryArgs;
use crate::input;

/// Lays the files and pairs over each other, in their order, and `overrides` over all.
pub(crate) fn configuration(
    given: &[String],
    overrides: &[(&str, String)],
) -> anyhow::Result<Config> {
    let overrides = overrides.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    let layers = layers(given)?.pairs(Origin::CommandLine, overrides);
    let config = layers.resolve().map_err(|faults| error_of(&faults))?;
    for setting in config.settings().iter().filter(|setting| setting.origin != Origin::Default) {
        let (value, origin) = (setting.value.as_deref().unwrap_or_default(), setting.origin);
        tracing::debug!(key = setting.key, value, origin = origin.as_str(), "configured");
    }
    Ok(config)
}

/// Lays the files and pairs over each other, in their order.
pub(crate) fn layers(given: &[String]) -> anyhow::Result<Layers> {
    let mut layers = Layers::new();
    for one in given {
        layers = match one.split_once('=') {
            // A file may have an equals sign in its name.
            Some((key, value)) if !Path::new(one).exists() => {
                let pair = (key.trim().to_owned(), value.trim().to_owned());
                layers.pairs(Origin::CommandLine, [pair])
            }
            None if one != "-" && !Path::new(one).exists() => {
                bail!("reading the configuration {one}: neither a file nor KEY=VALUE")
            }
            _ => layers.text(&input::text(Path::new(one))?),
        };
    }
    Ok(layers)
}

/// All faults, one a line.
pub(crate) fn error_of(faults: &Faults) -> anyhow::Error {
    let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    anyhow::anyhow!("the configuration has faults:{}", lines.concat())
}

/// The environment of the engine: the user's own registry credentials apply.
pub(crate) fn environment(
    registry: &RegistryArgs,
    x509: Option<Arc<dyn Signer>>,
    identity_token: Option<Secret>,
) -> anyhow::Result<Environment> {
    Ok(Environment {
        x509,
        identity_token,
        cache: cache(),
        registry_credentials: Arc::new(keyring()?),
        insecure_registries: registry.insecure_registry.clone(),
        allow_loopback_http: true,
        ca_files: registry.ca_file.clone(),
        ..Environment::anonymous()
    })
}

/// The user's folder for what can be fetched again.
pub(crate) fn cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|text| !text.is_empty());
    let cache = folder("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || folder("HOME").map(|home| Path::new(&home).join(".cache"));
    cache.or_else(home).map(|cache| cache.join("chains"))
}

/// The user's docker configuration.
pub(crate) fn keyring() -> anyhow::Result<Keyring> {
    Keyring::from_env().map_err(report).context("reading the registry credentials")
}

/// How `chains verify` reaches registries.
pub(crate) fn oci_options(
    registry: &RegistryArgs,
    repository: Option<&str>,
) -> anyhow::Result<OciOptions> {
    let repository = repository
        .map(str::parse)
        .transpose()
        .map_err(|e: chains_core::Error| anyhow::anyhow!("--repository: {}", e.report()))?;
    Ok(OciOptions {
        repository,
        insecure_hosts: registry.insecure_registry.clone(),
        allow_loopback_http: true,
        ca_files: registry.ca_file.clone(),
        ..OciOptions::default()
    })
}

/// An error of the libraries as one of the command, with a hint where there is one.
pub(crate) fn report(error: chains_core::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::Unauthorized => anyhow::anyhow!(
            "{}; credentials are read from DOCKER_CONFIG or ~/.docker/config.json",
            error.report()
        ),
        _ => anyhow::anyhow!(error.report()),
    }
}

/// As a shell takes it.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
