//! `signing_config.json` (v0.2): which services to use.
//!
//! After [`sigstore_trustroot.proto`](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto),
//! `SigningConfig` and `ServiceConfiguration`.

use chains_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::document::{self, TimeRange};
use crate::time::Validity;

const WHAT: &str = "signing config";
const TYPES: &[&str] = &["application/vnd.dev.sigstore.signingconfig.v0.2+json"];

/// Which services to use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SigningConfig {
    certificate_authorities: Vec<Service>,
    identity_providers: Vec<Service>,
    logs: Vec<Service>,
    log_choice: Select,
    timestamp_authorities: Vec<Service>,
    timestamp_choice: Select,
}

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceKind {
    /// Issues certificates: Fulcio.
    CertificateAuthority,
    /// Issues identity tokens.
    IdentityProvider,
    /// Keeps a log: Rekor.
    Log,
    /// Tells the time.
    TimestampAuthority,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its address; a timestamp authority's is the whole one.
    pub url: String,
    /// Which version of its interface it has.
    pub version: u32,
    /// When it may be used.
    pub valid: Validity,
    /// Who runs it.
    pub operator: String,
}

/// How many of the services to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Select {
    /// Each.
    All,
    /// One. It is always the newest: another one each time would log what is logged already.
    #[default]
    Any,
    /// So many.
    Exact(u32),
}

impl SigningConfig {
    /// Reads the document. Fields that are not known are ignored, as the format grows.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is not JSON, of another type, or a service has no address or version.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let raw: Raw = document::read(json, WHAT, TYPES)?;
        let all = |raw: Vec<RawService>| raw.into_iter().map(Service::from).collect();
        Ok(Self {
            certificate_authorities: all(raw.ca_urls),
            identity_providers: all(raw.oidc_urls),
            logs: all(raw.rekor_tlog_urls),
            log_choice: choice(raw.rekor_tlog_config)?,
            timestamp_authorities: all(raw.tsa_urls),
            timestamp_choice: choice(raw.tsa_config)?,
        })
    }

    /// The version that the document tells of the log at this address; `None` where it does not list it.
    #[must_use]
    pub fn log_version(&self, url: &str) -> Option<u32> {
        let bare = |url: &str| url.trim_end_matches('/').to_owned();
        self.logs.iter().find(|log| bare(&log.url) == bare(url)).map(|log| log.version)
    }

    /// Whether the document has any service of this kind.
    #[must_use]
    pub fn has(&self, kind: ServiceKind) -> bool {
        !self.of(kind).0.is_empty()
    }

    /// The services to use at this moment, in seconds since 1970: of the highest of these versions that any has,
    /// the newest of each operator, and of these as many as the document wants.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where none fits, or fewer than the document wants.
    pub fn select(&self, kind: ServiceKind, versions: &[u32], now: i64) -> Result<Vec<&Service>> {
        let (services, choice) = self.of(kind);
        let usable =
            |service: &&Service| versions.contains(&service.version) && service.valid.contains(now);
        let mut usable: Vec<_> = services.iter().filter(usable).collect();
        let highest = usable.iter().map(|service| service.version).max();
        usable.retain(|service| Some(service.version) == highest);
        usable.sort_by_key(|service| std::cmp::Reverse(service.valid.start));
        let mut chosen: Vec<&Service> = Vec::new();
        for service in usable {
            if !chosen.iter().any(|other| other.operator == service.operator) {
                chosen.push(service);
            }
        }
        let wanted = match choice {
            Select::All => chosen.len().max(1),
            Select::Any => 1,
            Select::Exact(count) => usize::try_from(count).unwrap_or(usize::MAX),
        };
        if chosen.len() < wanted || wanted == 0 {
            let found = chosen.len();
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "the signing config has {found} services of kind {kind:?} for now, {wanted} are wanted"
                ),
            ));
        }
        chosen.truncate(wanted);
        Ok(chosen)
    }

    fn of(&self, kind: ServiceKind) -> (&[Service], Select) {
        match kind {
            ServiceKind::CertificateAuthority => (&self.certificate_authorities, Select::Any),
            ServiceKind::IdentityProvider => (&self.identity_providers, Select::Any),
            ServiceKind::Log => (&self.logs, self.log_choice),
            ServiceKind::TimestampAuthority => (&self.timestamp_authorities, self.timestamp_choice),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    ca_urls: Vec<RawService>,
    #[serde(default)]
    oidc_urls: Vec<RawService>,
    #[serde(default)]
    rekor_tlog_urls: Vec<RawService>,
    rekor_tlog_config: Option<RawChoice>,
    #[serde(default)]
    tsa_urls: Vec<RawService>,
    tsa_config: Option<RawChoice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawService {
    url: String,
    major_api_version: u32,
    #[serde(default)]
    valid_for: TimeRange,
    #[serde(default)]
    operator: String,
}

#[derive(Deserialize)]
struct RawChoice {
    #[serde(default)]
    selector: String,
    #[serde(default)]
    count: u32,
}

impl From<RawService> for Service {
    fn from(raw: RawService) -> Self {
        Self {
            url: raw.url,
            version: raw.major_api_version,
            valid: raw.valid_for.into(),
            operator: raw.operator,
        }
    }
}

fn choice(raw: Option<RawChoice>) -> Result<Select> {
    let Some(raw) = raw else {
        return Ok(Select::Any);
    };
    match raw.selector.as_str() {
        "ALL" => Ok(Select::All),
        "" | "ANY" => Ok(Select::Any),
        "EXACT" => Ok(Select::Exact(raw.count)),
        other => {
            let why = format!("the selector {} is not known", crate::fault::quoted(other));
            Err(document::unusable(WHAT, why))
        }
    }
}
