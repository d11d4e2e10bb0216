//! Registry credentials from docker's configuration files and from Kubernetes' pull secrets.
//!
//! Which entry applies is decided as [Kubernetes does][k8s]: an entry's key is a host, perhaps with a port
//! and a path; `*` and `?` in the parts of the host stand for characters of that part; the path must be the
//! beginning of the image's. The longest path comes first, then the host with the fewest wildcards.
//!
//! [k8s]: https://kubernetes.io/docs/concepts/containers/images/#config-json

mod file;
mod helper;
mod pattern;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, RegistryCredential, RegistryCredentials, Result, RunRef};

use self::file::Source;
use self::helper::Helper;
use self::pattern::Rank;

/// Credentials from docker's configuration files; cheap to clone.
///
/// ```
/// use chains_store_oci::Keyring;
/// let json = br#"{"auths": {"registry.example.com/team": {"username": "u", "password": "p"}}}"#;
/// let mut keyring = Keyring::from_docker_config_json(json)?;
/// keyring.merge(Keyring::from_dockercfg(br#"{"*.example.org": {"auth": "dTpw"}}"#)?);
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    sources: Vec<Arc<Source>>,
}

/// Where one credential of several is to be had.
enum Candidate<'a> {
    Entry(&'a file::Entry),
    Helper(&'a Helper, String),
}

impl Keyring {
    /// Reads `.dockerconfigjson` of a Kubernetes Secret, or a `config.json` of whatever origin.
    ///
    /// Credential helpers that it names are not run: who writes a Secret has no business to start
    /// programs here. One entry that cannot be read is an error only for the images that it would be for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is not JSON of that form; never holds any of it.
    pub fn from_docker_config_json(json: &[u8]) -> Result<Self> {
        Ok(Self { sources: vec![Arc::new(Source::from_config_json(json, false)?)] })
    }

    /// Reads the legacy `.dockercfg`: the value of `auths` alone.
    ///
    /// # Errors
    /// As [`Keyring::from_docker_config_json`].
    pub fn from_dockercfg(json: &[u8]) -> Result<Self> {
        Ok(Self { sources: vec![Arc::new(Source::from_dockercfg(json)?)] })
    }

    /// Reads a `config.json` of the user who runs this; its credential helpers are run when needed.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where the file cannot be read or is not of that form.
    pub fn from_docker_config_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let what = || format!("reading registry credentials from {}", path.display());
        let json = std::fs::read(path)
            .map_err(|e| Error::new(ErrorKind::Configuration, what()).with_source(e))?;
        let source = Source::from_config_json(&json, true)
            .map_err(|e| Error::new(ErrorKind::Configuration, what()).with_source(e))?;
        Ok(Self { sources: vec![Arc::new(source)] })
    }

    /// Reads what docker would, or else what podman would; none of them is an empty keyring.
    ///
    /// The first that is there of `$DOCKER_CONFIG/config.json`, `~/.docker/config.json` (where
    /// `DOCKER_CONFIG` is not set), the file `$REGISTRY_AUTH_FILE`, `$XDG_RUNTIME_DIR/containers/auth.json`,
    /// `$XDG_CONFIG_HOME/containers/auth.json` (`~/.config` where that is not set).
    ///
    /// # Errors
    /// As [`Keyring::from_docker_config_file`].
    pub fn from_env() -> Result<Self> {
        let found =
            env_files(&|name| std::env::var_os(name)).into_iter().find(|path| path.is_file());
        found.map_or_else(|| Ok(Self::default()), Self::from_docker_config_file)
    }

    /// How many entries there are; helpers are none.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.sources.iter().map(|source| source.entries.len()).sum()
    }

    /// Adds another keyring's entries; where both have one of the same rank, its own come first.
    pub fn merge(&mut self, other: Self) {
        self.sources.extend(other.sources);
    }

    /// Every credential for the repository, best first.
    ///
    /// # Errors
    /// Where none can be read though there is one.
    pub async fn lookup(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Vec<RegistryCredential>> {
        let mut found = Vec::new();
        let mut fault = None;
        for (_, candidate) in self.candidates(registry, repository) {
            match candidate.get().await {
                Ok(credential) => found.extend(credential),
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        match fault {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    fn candidates(&self, registry: &str, repository: &str) -> Vec<(Rank, Candidate<'_>)> {
        let mut all: Vec<(Rank, Candidate<'_>)> = Vec::new();
        for source in &self.sources {
            if let Some((rank, helper, server)) = source.helper_for(registry) {
                all.push((rank, Candidate::Helper(helper, server)));
            }
            let entries = source.entries.iter();
            all.extend(entries.filter_map(|entry| {
                let rank = entry.pattern.matches(registry, repository)?;
                Some((rank, Candidate::Entry(entry)))
            }));
        }
        all.sort_by(|(left, _), (right, _)| right.cmp(left));
        all
    }
}

impl Candidate<'_> {
    async fn get(&self) -> Result<Option<RegistryCredential>> {
        match self {
            Self::Helper(helper, server) => helper.get(server).await,
            Self::Entry(entry) => match &entry.credential {
                Ok(credential) => Ok(Some(credential.clone())),
                Err(why) => Err(Error::new(
                    ErrorKind::Unauthorized,
                    format!("reading the registry credential for {:?}", entry.key),
                )
                .with_source(why.clone())),
            },
        }
    }
}

#[async_trait]
impl RegistryCredentials for Keyring {
    async fn credential(
        &self,
        _run: Option<&RunRef>,
        registry: &str,
        repository: &str,
    ) -> Result<Option<RegistryCredential>> {
        let mut fault = None;
        for (_, candidate) in self.candidates(registry, repository) {
            match candidate.get().await {
                Ok(Some(credential)) => return Ok(Some(credential)),
                Ok(None) => {}
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        fault.map_or(Ok(None), Err)
    }
}

fn env_files(env: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("HOME");
    let under_home = |path: &str| home.as_ref().map(|home| home.join(path));
    [
        set("DOCKER_CONFIG").or_else(|| under_home(".docker")).map(|dir| dir.join("config.json")),
        set("REGISTRY_AUTH_FILE"),
        set("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")),
        set("XDG_CONFIG_HOME")
            .or_else(|| under_home(".config"))
            .map(|dir| dir.join("containers/auth.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests;
