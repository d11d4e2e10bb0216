//! Names of images, normalised as registries and cosign know them.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, DigestAlgorithm, Error, ErrorKind};

const DEFAULT_REGISTRY: &str = "index.docker.io";
const MAX_REPOSITORY: usize = 255;
const MIN_REPOSITORY: usize = 2;

/// A registry and a repository in it, normalised: `alpine` is `index.docker.io/library/alpine`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageName {
    registry: String,
    repository: String,
}

impl ImageName {
    /// Host, with its port if it has one.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path within the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }
}

impl FromStr for ImageName {
    type Err = Error;

    /// Reads `[HOST[:PORT]/]PATH`, with Docker Hub as the default host.
    ///
    /// The first component is a host when it holds a dot or a colon or is `localhost`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] telling what is odd about the name.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (registry, path) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            _ => (DEFAULT_REGISTRY, text),
        };
        check_registry(registry)?;
        check_repository(path)?;
        let registry = if registry == "docker.io" { DEFAULT_REGISTRY } else { registry };
        let repository = if registry == DEFAULT_REGISTRY && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        Ok(Self { registry: registry.to_owned(), repository })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

fn check_registry(registry: &str) -> Result<(), Error> {
    let (host, port) = split_port(registry);
    let host_ok = !host.is_empty()
        && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':'));
    let port_ok = port.is_none_or(|port| port.parse::<u16>().is_ok());
    if host_ok && port_ok {
        Ok(())
    } else {
        Err(invalid(format!("{registry:?} is not a registry host")))
    }
}

/// Splits `HOST:PORT`; the colons of a bracketed IPv6 address belong to the host.
fn split_port(registry: &str) -> (&str, Option<&str>) {
    match registry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (registry, None),
    }
}

fn check_repository(path: &str) -> Result<(), Error> {
    let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '.' | '/');
    if let Some(odd) = path.chars().find(|c| !allowed(*c)) {
        return Err(invalid(format!("repository {path:?} holds {odd:?}, allowed are a-z 0-9 _ - . /")));
    }
    if !(MIN_REPOSITORY..=MAX_REPOSITORY).contains(&path.len()) {
        return Err(invalid(format!(
            "repository {path:?} has {} characters, allowed are {MIN_REPOSITORY} to {MAX_REPOSITORY}",
            path.len()
        )));
    }
    Ok(())
}

/// An image pinned by its SHA-256 digest.
///
/// ```
/// use chains_core::ImageDigest;
/// let image: ImageDigest = format!("alpine:3.20@sha256:{}", "ab".repeat(32)).parse()?;
/// assert_eq!(image.name.to_string(), "index.docker.io/library/alpine");
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageDigest {
    /// Registry and repository.
    pub name: ImageName,
    /// Digest of the manifest; always SHA-256.
    pub digest: Digest,
}

impl FromStr for ImageDigest {
    type Err = Error;

    /// Reads `NAME[:TAG]@sha256:HEX`; the tag is checked and dropped.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] telling what is odd about name, tag or digest.
    fn from_str(text: &str) -> Result<Self, Error> {
        let Some((base, digest)) = text.split_once('@') else {
            return Err(invalid(format!("{text:?} has no @ between name and digest")));
        };
        let digest: Digest = digest.parse()?;
        if digest.algorithm() != DigestAlgorithm::Sha256 {
            return Err(invalid(format!("images have sha256 digests, not {}", digest.algorithm())));
        }
        Ok(Self { name: without_tag(base)?.parse()?, digest })
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.digest)
    }
}

fn without_tag(base: &str) -> Result<&str, Error> {
    match base.rsplit_once(':') {
        // A colon before a slash parts host and port.
        Some((name, tag)) if !tag.contains('/') => {
            let ok = (1..=128).contains(&tag.len())
                && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
            if ok { Ok(name) } else { Err(invalid(format!("{tag:?} is not a tag"))) }
        }
        _ => Ok(base),
    }
}

fn invalid(why: String) -> Error {
    Error::new(ErrorKind::InvalidInput, why)
}
