//! cosign, versions 2 and 3, with a key and offline: no transparency log, no trust root. And, below, an
//! [instance](Sigstore) of Sigstore, for those who sign without keys.

pub mod authority;
pub mod bundles;
pub mod front;
pub mod instance;
pub mod issuer;
pub mod keyless;
pub mod services;
pub mod settings;
mod trust;
pub mod tuf;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{registry::Access, scene::Scene, tool::Tool};

pub use instance::{Log, Parts, Sigstore};
pub use keyless::{Identity, Keyless};
pub use settings::Settings;

/// The password of every key that a case makes.
pub const PASSWORD: &str = "correct horse";

/// A major version of cosign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Version 2: tags.
    V2,
    /// Version 3: tags and bundles.
    V3,
}

impl Version {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::V2, Self::V3];

    /// The name of the peer.
    #[must_use]
    pub fn peer(self) -> &'static str {
        match self {
            Self::V2 => "cosign-2",
            Self::V3 => "cosign-3",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2 => "2",
            Self::V3 => "3",
        })
    }
}

/// A key pair, as files.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The private key; where cosign or Chains made it, encrypted by [`PASSWORD`].
    pub private: PathBuf,
    /// The public key.
    pub public: PathBuf,
}

/// cosign, as one user of a registry calls it.
#[derive(Debug)]
pub struct Cosign<'s> {
    scene: &'s Scene<'s>,
    version: Version,
    access: Access,
}

impl<'s> Cosign<'s> {
    /// cosign as anyone calls it.
    #[must_use]
    pub fn new(scene: &'s Scene<'s>, version: Version) -> Self {
        Self { scene, version, access: Access::default() }
    }

    /// cosign with this access to registries.
    #[must_use]
    pub fn with(mut self, access: &Access) -> Self {
        self.access = access.clone();
        self
    }

    /// `cosign COMMAND`.
    ///
    /// # Errors
    /// If the case does not name this version among its peers.
    pub fn command(&self, command: &str) -> Result<Tool> {
        let tool = self.scene.peer(self.version.peer())?.env("COSIGN_PASSWORD", PASSWORD);
        Ok(self.access.give(tool).arg(command))
    }

    /// Makes a key pair in files that begin with `name`.
    ///
    /// # Errors
    /// If cosign fails.
    pub fn generate_key_pair(&self, name: &str) -> Result<Keys> {
        let prefix = self.scene.path(name);
        self.command("generate-key-pair")?.arg("--output-key-prefix").arg(&prefix).ok()?;
        Ok(Keys { private: prefix.with_extension("key"), public: prefix.with_extension("pub") })
    }

    /// Signs `image` as tags hold it, in either version.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub fn sign(&self, key: &Path, image: &str) -> Result<Tool> {
        Ok(self.signing("sign", key)?.arg(image))
    }

    /// Attests `predicate` of the type `kind` for `image`, as tags hold it.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub fn attest(&self, key: &Path, kind: &str, predicate: &Path, image: &str) -> Result<Tool> {
        let tool = self.signing("attest", key)?.args(["--type", kind]).arg("--predicate");
        Ok(tool.arg(predicate).arg(image))
    }

    /// Verifies the signatures of `image`.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub fn verify(&self, public: &Path, image: &str) -> Result<Tool> {
        Ok(self.verifying("verify", public)?.arg("--allow-http-registry").arg(image))
    }

    /// Verifies the attestations of `image` that have the type `kind`.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub fn verify_attestation(&self, public: &Path, kind: &str, image: &str) -> Result<Tool> {
        let tool = self.verifying("verify-attestation", public)?.args(["--type", kind]);
        Ok(tool.arg("--allow-http-registry").arg(image))
    }

    /// Verifies a bundle of the type `kind` over the file or the digest that the caller adds.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub fn verify_bundle(&self, public: &Path, kind: &str, bundle: &Path) -> Result<Tool> {
        let mut tool = self.verifying("verify-blob-attestation", public)?.args(["--type", kind]);
        if self.version == Version::V2 {
            // Without a trust root it fetches the public one, though a key needs none.
            let root =
                r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
            let root = self.scene.write("trusted-root.json", root)?;
            tool = tool.arg("--new-bundle-format").arg("--trusted-root").arg(root);
        }
        Ok(tool.arg("--bundle").arg(bundle))
    }

    fn signing(&self, command: &str, key: &Path) -> Result<Tool> {
        let mut tool = self.command(command)?.arg("--key").arg(key);
        // Version 3 goes to the public trust root and log unless it is told not to.
        if self.version == Version::V3 {
            tool = tool.args(["--use-signing-config=false", "--new-bundle-format=false"]);
        }
        Ok(tool.args(["--tlog-upload=false", "--allow-http-registry", "--yes"]))
    }

    fn verifying(&self, command: &str, public: &Path) -> Result<Tool> {
        Ok(self.command(command)?.arg("--insecure-ignore-tlog=true").arg("--key").arg(public))
    }
}
