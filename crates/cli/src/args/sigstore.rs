//! Options about Sigstore: keyless signing, logs, timestamps, and whom to trust.

use std::convert::Infallible;
use std::path::PathBuf;

use anyhow::Context as _;
use chains_backends::{IdentityPolicy, Pattern};
use chains_core::Secret;
use clap::Args;

/// How `chains sign` uses Sigstore's services.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keyless signing, logs and timestamps")]
pub(crate) struct SigstoreArgs {
    /// Signs with a certificate of Fulcio in place of a key: an identity token, or a file that holds one and is read again
    /// when it changes. Logged too, unless the configuration says otherwise.
    #[arg(long, value_name = "TOKEN|FILE", conflicts_with = "key", value_parser = secret)]
    pub(crate) identity_token: Option<Secret>,
    /// Signs with a certificate of this Fulcio; without --identity-token, tokens come from where the configuration says.
    #[arg(long, value_name = "URL", conflicts_with = "key")]
    pub(crate) fulcio_url: Option<String>,
    /// Logs what is signed, at this Rekor.
    #[arg(long, value_name = "URL")]
    pub(crate) rekor_url: Option<String>,
    /// Has what is logged timestamped by this authority; repeats.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub(crate) tsa_url: Vec<String>,
    /// `signing_config.json`: which Fulcio, Rekor and timestamp authorities to use.
    #[arg(long, value_name = "FILE")]
    pub(crate) signing_config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

/// Whom to trust.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keyless signing, logs and timestamps")]
pub(crate) struct TrustArgs {
    /// `trusted_root.json`: which certificate authorities, logs and timestamp authorities are trusted, in place of what
    /// Sigstore's TUF repository tells.
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
}

/// Who must have signed, for `chains verify`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Keyless signatures")]
pub(crate) struct IdentityArgs {
    /// Whose certificate must have signed: an address of mail, a URI, as it stands there.
    #[arg(long, value_name = "IDENTITY", conflicts_with = "certificate_identity_regexp")]
    pub(crate) certificate_identity: Option<String>,
    /// The same as a regular expression that is searched for; `^…$` for the whole.
    #[arg(long, value_name = "REGEXP")]
    pub(crate) certificate_identity_regexp: Option<String>,
    /// The issuer of the identity token, as it stands in the certificate.
    #[arg(long, value_name = "URL", conflicts_with = "certificate_oidc_issuer_regexp")]
    pub(crate) certificate_oidc_issuer: Option<String>,
    /// The same as a regular expression that is searched for.
    #[arg(long, value_name = "REGEXP")]
    pub(crate) certificate_oidc_issuer_regexp: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "clap takes it so")]
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

impl SigstoreArgs {
    /// Whether it asks for a certificate in place of a key.
    pub(crate) const fn is_keyless(&self) -> bool {
        self.identity_token.is_some() || self.fulcio_url.is_some()
    }

    /// The file with the identity token, where a file is named.
    pub(crate) fn token_file(&self) -> Option<PathBuf> {
        let token = self.identity_token.as_ref()?;
        let path = PathBuf::from(token.expose());
        path.is_file().then_some(path)
    }

    /// The identity token, where it is given itself.
    pub(crate) fn token(&self) -> Option<Secret> {
        self.identity_token.clone().filter(|_| self.token_file().is_none())
    }

    /// Keys of the configuration with their values; `logs` says whether it tells by itself what is logged.
    pub(crate) fn overrides(&self, logs: bool) -> Vec<(&'static str, String)> {
        let path = |path: PathBuf| path.display().to_string();
        let mut all = Vec::new();
        if self.is_keyless() {
            all.push(("signers.x509.fulcio.enabled", "true".to_owned()));
        }
        if self.rekor_url.is_some() || (self.is_keyless() && !logs) {
            all.push(("transparency.enabled", "true".to_owned()));
        }
        if !self.tsa_url.is_empty() {
            all.push(("transparency.tsa.url", self.tsa_url.join(",")));
        }
        let others = [
            ("signers.x509.identity.token.file", self.token_file().map(path)),
            ("signers.x509.fulcio.address", self.fulcio_url.clone()),
            ("transparency.url", self.rekor_url.clone()),
            ("sigstore.signing-config", self.signing_config.clone().map(path)),
            ("sigstore.trusted-root", self.trust.trusted_root.clone().map(path)),
        ];
        all.extend(others.into_iter().filter_map(|(key, value)| Some((key, value?))));
        all
    }
}

impl IdentityArgs {
    /// Who must have signed; `None` where nothing is said of that.
    pub(crate) fn policy(&self) -> anyhow::Result<Option<IdentityPolicy>> {
        let of = |exact: &Option<String>, regexp: &Option<String>| match (exact, regexp) {
            (Some(text), _) => Ok(Some(Pattern::Is(text.clone()))),
            (None, Some(text)) => {
                Pattern::regexp(text).map(Some).map_err(|e| anyhow::anyhow!(e.report()))
            }
            (None, None) => Ok(None),
        };
        let subject = of(&self.certificate_identity, &self.certificate_identity_regexp)?;
        let issuer = of(&self.certificate_oidc_issuer, &self.certificate_oidc_issuer_regexp)?;
        match (subject, issuer) {
            (None, None) => Ok(None),
            (subject, issuer) => Ok(Some(IdentityPolicy {
                subject: subject.context(
                    "--certificate-oidc-issuer alone says not whose signature is wanted: give --certificate-identity too",
                )?,
                issuer: issuer.context(
                    "--certificate-identity alone says not who vouches for it: give --certificate-oidc-issuer too",
                )?,
            })),
        }
    }
}
