//! URIs of materials, put together from parts of the run without copying them.

use std::fmt;

use serde::{Serialize, Serializer};

const OCI: &str = "oci://";
const GIT: &str = "git+";
const DOT_GIT: &str = ".git";
const DOCKER_PULLABLE: &str = "docker-pullable://";

/// A URI. Two are equal exactly when they read the same, however they were put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Uri<'a> {
    /// [`OCI`], [`GIT`] or empty: never a part of `rest` that could stand here.
    scheme: &'static str,
    rest: &'a str,
    /// Whether [`DOT_GIT`] ends it: never a part of `rest`.
    dot_git: bool,
}

impl<'a> Uri<'a> {
    pub(crate) const EMPTY: Self = Self { scheme: "", rest: "", dot_git: false };

    /// A URI as it stands.
    pub(crate) fn plain(text: &'a str) -> Self {
        for scheme in [OCI, GIT] {
            if let Some(rest) = text.strip_prefix(scheme) {
                return Self::new(scheme, rest);
            }
        }
        Self::new("", text)
    }

    /// The name of an image that a container ran.
    pub(crate) fn image(name: &'a str) -> Self {
        Self::new(OCI, name.strip_prefix(DOCKER_PULLABLE).unwrap_or(name))
    }

    /// A git repository, in the [SPDX form](https://spdx.github.io/spdx-spec/v2.3/package-information/#77-package-download-location-field):
    /// `git+https://example.com/repository.git`.
    pub(crate) fn git(url: &'a str) -> Self {
        Self { dot_git: true, ..Self::new(GIT, url.strip_prefix(GIT).unwrap_or(url)) }
    }

    fn new(scheme: &'static str, text: &'a str) -> Self {
        let (rest, dot_git) = text.strip_suffix(DOT_GIT).map_or((text, false), |rest| (rest, true));
        Self { scheme, rest, dot_git }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.scheme.is_empty() && self.rest.is_empty() && !self.dot_git
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme)?;
        f.write_str(self.rest)?;
        f.write_str(if self.dot_git { DOT_GIT } else { "" })
    }
}

impl Serialize for Uri<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.scheme.is_empty() && !self.dot_git {
            serializer.serialize_str(self.rest)
        } else {
            serializer.collect_str(self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_text_is_same_uri() {
        let same = [
            (Uri::plain("oci://reg.io/app"), Uri::image("reg.io/app")),
            (Uri::plain("oci://reg.io/app.git"), Uri::image("docker-pullable://reg.io/app.git")),
            (Uri::plain("git+https://g/x.git"), Uri::git("https://g/x")),
            (Uri::git("git+https://g/x.git"), Uri::git("https://g/x.git")),
            (Uri::plain("git+.git"), Uri::git("")),
        ];
        for (a, b) in same {
            assert_eq!(a, b);
            assert_eq!(a.to_string(), b.to_string());
        }
        let texts =
            ["", ".git", "git+", "oci://", "x", "oci://oci://x", "git+git+x.git.git", "u://x"];
        for text in texts {
            assert_eq!(Uri::plain(text).to_string(), text);
            assert_eq!(serde_json::to_string(&Uri::plain(text)).unwrap(), format!("{text:?}"));
            assert_eq!(Uri::plain(text).is_empty(), text.is_empty());
        }
    }
}
