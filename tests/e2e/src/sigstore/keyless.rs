//! cosign without keys: with certificates of an instance, and its logs.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Cosign, Sigstore, Version};
use crate::tool::Tool;

/// Who must have signed, by the word of which issuer.
#[derive(Clone, Debug)]
pub struct Identity {
    /// An email address or a URI.
    pub name: String,
    /// The issuer.
    pub issuer: String,
}

impl Identity {
    /// The flags by which cosign and Chains are told.
    #[must_use]
    pub fn flags(&self) -> [String; 4] {
        let flags =
            ["--certificate-identity", &self.name, "--certificate-oidc-issuer", &self.issuer];
        flags.map(str::to_owned)
    }
}

/// What cosign needs of an instance.
#[derive(Debug)]
pub struct Keyless<'a> {
    cosign: &'a Cosign<'a>,
    sigstore: &'a Sigstore<'a>,
    trusted_root: PathBuf,
}

impl<'a> Keyless<'a> {
    /// cosign that uses and trusts this instance.
    ///
    /// # Errors
    /// If the instance does not tell whom to trust.
    pub fn new(cosign: &'a Cosign<'a>, sigstore: &'a Sigstore<'a>) -> Result<Self> {
        Ok(Self { cosign, sigstore, trusted_root: sigstore.trusted_root_file()? })
    }

    /// cosign that trusts what this file says.
    #[must_use]
    pub fn trusting(mut self, trusted_root: &Path) -> Self {
        self.trusted_root = trusted_root.to_owned();
        self
    }

    /// Signs `image` as the owner of `token`: a tag in version 2, a bundle in version 3.
    ///
    /// # Errors
    /// As [`Cosign::command`].
    pub fn sign(&self, token: &str, image: &str) -> Result<Tool> {
        Ok(self.signing("sign", token)?.arg(image))
    }

    /// Attests a predicate for `image` as the owner of `token`.
    ///
    /// # Errors
    /// As [`Cosign::command`].
    pub fn attest(&self, token: &str, kind: &str, predicate: &Path, image: &str) -> Result<Tool> {
        let tool = self.signing("attest", token)?.args(["--type", kind]).arg("--predicate");
        Ok(tool.arg(predicate).arg(image))
    }

    /// Verifies the signatures of `image`, which somebody must have made.
    ///
    /// # Errors
    /// As [`Cosign::command`].
    pub fn verify(&self, who: &Identity, image: &str) -> Result<Tool> {
        Ok(self.verifying("verify")?.args(who.flags()).arg(image))
    }

    /// Verifies the attestations of `image` of the type `kind`, which somebody must have made.
    ///
    /// # Errors
    /// As [`Cosign::command`].
    pub fn verify_attestation(&self, who: &Identity, kind: &str, image: &str) -> Result<Tool> {
        let tool = self.verifying("verify-attestation")?.args(["--type", kind]);
        Ok(tool.args(who.flags()).arg(image))
    }

    /// Verifies the signatures of `image` by a key, and that they are in the log.
    ///
    /// # Errors
    /// As [`Cosign::command`].
    pub fn verify_by_key(&self, public: &Path, image: &str) -> Result<Tool> {
        Ok(self.verifying("verify")?.arg("--key").arg(public).arg(image))
    }

    /// Verifies the attestations of `image` of the type `kind` by a key, and that they are in the log.
    ///
    /// # Errors
    /// As [`Cosign::command`].
    pub fn verify_attestation_by_key(
        &self,
        public: &Path,
        kind: &str,
        image: &str,
    ) -> Result<Tool> {
        let tool = self.verifying("verify-attestation")?.args(["--type", kind]);
        Ok(tool.arg("--key").arg(public).arg(image))
    }

    /// Signs `image` with a key and a certificate that somebody has got for it: a tag, by version 2.
    ///
    /// # Errors
    /// As [`Cosign::command`].
    pub fn sign_certified(&self, key: &Path, certificate: &Path, image: &str) -> Result<Tool> {
        let tool = self.cosign.command("sign")?.args(["--allow-http-registry", "--yes"]);
        let tool = tool.arg("--key").arg(key).arg("--certificate").arg(certificate);
        let tool = tool.arg("--certificate-chain").arg(&self.sigstore.authority.chain);
        Ok(self.trusted_keys(tool.args(["--rekor-url", &self.sigstore.log.url()])).arg(image))
    }

    fn signing(&self, command: &str, token: &str) -> Result<Tool> {
        let scene = self.cosign.scene;
        let token = scene.write(&scene.fresh("token"), token)?;
        let tool = self.cosign.command(command)?.arg("--identity-token").arg(token);
        let tool = tool.args(["--allow-http-registry", "--yes"]);
        if self.cosign.version == Version::V3 {
            let config = self.sigstore.signing_config_file()?;
            let tool = tool.arg("--signing-config").arg(config);
            return Ok(tool.arg("--trusted-root").arg(&self.trusted_root));
        }
        let (fulcio, log) = (self.sigstore.fulcio.url(), self.sigstore.log.url());
        Ok(self.trusted_keys(tool.args(["--fulcio-url", &fulcio, "--rekor-url", &log])))
    }

    fn verifying(&self, command: &str) -> Result<Tool> {
        let tool = self.cosign.command(command)?.arg("--allow-http-registry");
        if self.cosign.version == Version::V3 {
            return Ok(tool.arg("--trusted-root").arg(&self.trusted_root));
        }
        // Version 2 takes a trusted root for bundles only.
        Ok(self.trusted_keys(tool).args(["--rekor-url", &self.sigstore.log.url(), "--offline"]))
    }

    /// What version 2 knows in place of a trusted root.
    fn trusted_keys(&self, tool: Tool) -> Tool {
        tool.env("SIGSTORE_ROOT_FILE", &self.sigstore.authority.chain)
            .env("SIGSTORE_REKOR_PUBLIC_KEY", self.sigstore.log_public_key())
            .env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", self.sigstore.ct_public_key())
    }
}
