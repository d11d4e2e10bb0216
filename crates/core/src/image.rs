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

/// Checks a host with its port, as [RFC 3986 §3.2](https://www.rfc-editor.org/rfc/rfc3986#section-3.2) has it
/// without user information. An empty port is one: `https:` in front of a path counts as a host here, as it does
/// to cosign and the registries' own tools.
fn check_registry(registry: &str) -> Result<(), Error> {
    let (host, port) = split_port(registry);
    let host_ok = match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(is_ip_literal),
        None => !host.is_empty() && host.chars().all(is_reg_name),
    };
    if host_ok && port.is_none_or(|port| port.chars().all(|c| c.is_ascii_digit())) {
        Ok(())
    } else {
        Err(invalid(format!("{registry:?} is not a registry host")))
    }
}

fn is_reg_name(c: char) -> bool {
    let sub_delimiter =
        |c| matches!(c, '!' | '$' | '&' | '\'' | '(' | ')' | '*' | '+' | ',' | ';' | '=');
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') || sub_delimiter(c)
}

fn is_ip_literal(address: &str) -> bool {
    !address.is_empty() && address.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'))
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
        return Err(invalid(format!(
            "repository {path:?} holds {odd:?}, allowed are a-z 0-9 _ - . /"
        )));
    }
    if !(MIN_REPOSITORY..=MAX_REPOSITORY).contains(&path.len()) {
        return Err(invalid(format!(
            "repository {path:?} has {} characters, allowed are {MIN_REPOSITORY} to {MAX_REPOSITORY}",
            path.len()
        )));
    }
    // Clients resolve these away before they ask, and would ask for another repository than the one named.
    if path.split('/').any(|component| matches!(component, "." | "..")) {
        return Err(invalid(format!("repository {path:?} has `.` or `..` as a component")));
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

impl ImageDigest {
    /// Puts `NAME[:TAG]` and `sha256:HEX` together; the tag is checked and dropped.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] telling what is odd about name, tag or digest.
    pub fn from_parts(base: &str, digest: &str) -> Result<Self, Error> {
        if base.contains('@') || digest.contains('@') {
            return Err(invalid(format!(
                "{base:?} and {digest:?} together have more than one @ between name and digest"
            )));
        }
        let digest: Digest = digest.parse()?;
        if digest.algorithm() != DigestAlgorithm::Sha256 {
            return Err(invalid(format!("images have sha256 digests, not {}", digest.algorithm())));
        }
        Ok(Self { name: without_tag(base)?.parse()?, digest })
    }
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
        Self::from_parts(base, digest)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str, expect: Result<&str, &str>) {
        match (text.parse::<ImageName>(), expect) {
            (Ok(name), Ok(expect)) => assert_eq!(name.to_string(), expect, "{text}"),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{text}: {error}");
            }
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    fn image(text: &str, expect: Result<&str, &str>) {
        let hex = "ab".repeat(32);
        match (text.replace("HEX", &hex).parse::<ImageDigest>(), expect) {
            (Ok(image), Ok(expect)) => {
                assert_eq!(image.to_string(), expect.replace("HEX", &hex), "{text}");
            }
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{text}: {error}");
            }
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn names_are_normalised() {
        name("nginx", Ok("index.docker.io/library/nginx"));
        name("team/nginx", Ok("index.docker.io/team/nginx"));
        name("docker.io/nginx", Ok("index.docker.io/library/nginx"));
        name("docker.io/team/nginx", Ok("index.docker.io/team/nginx"));
        name("index.docker.io/nginx", Ok("index.docker.io/library/nginx"));
        name("localhost/app", Ok("localhost/app"));
        name("localhost:5000/app", Ok("localhost:5000/app"));
        name("Registry.Example.com/team/app", Ok("Registry.Example.com/team/app"));
        name("reg.io:5000/a_b-c.d/e", Ok("reg.io:5000/a_b-c.d/e"));
        name("[::1]:5000/app", Ok("[::1]:5000/app"));
        name("[fe80::1]/app", Ok("[fe80::1]/app"));
    }

    /// What the registries' own tools take for a name, odd as it is.
    #[test]
    fn schemes_are_hosts_with_an_empty_port() {
        name("https://reg.io/team/app", Ok("https://reg.io/team/app"));
        name("u://thing", Ok("u://thing"));
        name("reg.io//app", Ok("reg.io//app"));
    }

    #[test]
    fn odd_names_are_refused() {
        name("", Err("0 characters"));
        name("a", Err("1 characters"));
        name("reg.io/", Err("0 characters"));
        name("reg.io/Team/App", Err("'T'"));
        name("reg.io/a b", Err("' '"));
        name("reg.io/é", Err("'é'"));
        name("reg.io/a%2fb", Err("'%'"));
        name("reg.io/a?b", Err("'?'"));
        name(&format!("reg.io/{}", "a".repeat(256)), Err("256 characters"));
        name("re g.io/app", Err("not a registry host"));
        name("reg.io\n/app", Err("not a registry host"));
        name("reg.io?x/app", Err("not a registry host"));
        name("user%40reg.io/app", Err("not a registry host"));
        name("reg.io:+80/app", Err("not a registry host"));
        name("reg.io:80:80/app", Err("not a registry host"));
        name(":5000/app", Err("not a registry host"));
        name("[::1/app", Err("not a registry host"));
        name("[]:5000/app", Err("not a registry host"));
        name("reg.io/team/../other", Err("component"));
        name("reg.io/./app", Err("component"));
    }

    #[test]
    fn digests_pin_names() {
        image("nginx@sha256:HEX", Ok("index.docker.io/library/nginx@sha256:HEX"));
        image("ghcr.io/o/r:v1@sha256:HEX", Ok("ghcr.io/o/r@sha256:HEX"));
        image("localhost:5000/app@sha256:HEX", Ok("localhost:5000/app@sha256:HEX"));
        image("localhost:5000/app:v1@sha256:HEX", Ok("localhost:5000/app@sha256:HEX"));
    }

    #[test]
    fn odd_images_are_refused() {
        image("nginx", Err("no @"));
        image("nginx:v1", Err("no @"));
        image("@sha256:HEX", Err("0 characters"));
        image("nginx@sha256:HEX@sha256:HEX", Err("more than one @"));
        image("nginx@", Err("no colon"));
        image("nginx@sha256:abcd", Err("64 hex digits, not 4"));
        image("nginx@sha512:HEXHEX", Err("sha256 digests, not sha512"));
        image("nginx@SHA256:HEX", Err("unknown digest algorithm"));
        image("nginx@sha256:HEX\n", Err("hex digit"));
        image("reg.io/app:@sha256:HEX", Err("not a tag"));
        image("reg.io/app:v 1@sha256:HEX", Err("not a tag"));
        image(&format!("reg.io/app:{}@sha256:HEX", "v".repeat(129)), Err("not a tag"));
        image("app:5000@sha256:HEX", Ok("index.docker.io/library/app@sha256:HEX"));
    }
}
