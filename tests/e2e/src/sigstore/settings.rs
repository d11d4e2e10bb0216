//! How Chains is told of an instance: keys of its configuration.

use std::path::Path;

use anyhow::Result;

use super::{Log, Sigstore};

/// Keys of the configuration and their values.
pub type Settings = Vec<(&'static str, String)>;

impl Sigstore<'_> {
    /// Logs all that is signed, and believes what `trusted_root` says.
    #[must_use]
    pub fn log_settings(&self, trusted_root: &Path) -> Settings {
        let mut settings = vec![
            ("transparency.enabled", "true".to_owned()),
            ("transparency.url", self.log.url()),
            ("sigstore.trusted-root", trusted_root.display().to_string()),
        ];
        if self.has_timestamps() {
            settings.push(("transparency.tsa.url", self.timestamps_url()));
        }
        settings
    }

    /// Signs without a key, by the word of `issuer` in the file `token`, and logs it.
    ///
    /// # Errors
    /// As [`Self::trusted_root`].
    pub fn keyless_settings(&self, issuer: &str, token: &Path) -> Result<Settings> {
        let mut settings = self.log_settings(&self.trusted_root_file()?);
        settings.extend([
            ("signers.x509.fulcio.enabled", "true".to_owned()),
            ("signers.x509.fulcio.address", self.fulcio.url()),
            ("signers.x509.fulcio.issuer", issuer.to_owned()),
            ("signers.x509.fulcio.provider", "filesystem".to_owned()),
            ("signers.x509.identity.token.file", token.display().to_string()),
        ]);
        Ok(settings)
    }

    /// The version of the log.
    #[must_use]
    pub fn log_version(&self) -> Log {
        self.parts.log
    }
}

/// These settings, with another value for one key, or one key more.
#[must_use]
pub fn with(mut settings: Settings, key: &'static str, value: impl Into<String>) -> Settings {
    settings.retain(|(name, _)| *name != key);
    settings.push((key, value.into()));
    settings
}
