//! `x509` with `signers.x509.fulcio.enabled`: certificates of Fulcio in place of a key at hand.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use chains_config::{Config, Fulcio, X509};
use chains_core::{Error, ErrorKind, Result, Secret, Signer};
use chains_signer_fulcio::{
    Connection, FulcioOptions, FulcioSigner, Given, IdentitySource, IdentityToken, Provider,
    SourceOptions, TrustSource, Variables, identity_source,
};
use chains_transparency::ServiceKind;

use crate::Environment;
use crate::sigstore::keyless::Adapted;
use crate::sigstore::trust;

/// The issuer that the reference has by default and looks at for browsers only: tokens of clusters and of CI are of
/// others.
const ANY_ISSUER: &str = "https://oauth2.sigstore.dev/auth";
/// The versions of Fulcio that are spoken.
const VERSIONS: &[u32] = &[1];

/// What the signer is made of.
#[derive(PartialEq, Eq)]
struct Inputs {
    fulcio: Fulcio,
    address: String,
    token_file: Option<PathBuf>,
    token: Option<Secret>,
    ca_files: Vec<PathBuf>,
    trust: Option<trust::Inputs>,
}

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Signer>> {
    let section = &config.signers.x509;
    let address = address(config)?;
    let inputs = Inputs {
        trust: trust::inputs(config, environment, address == Fulcio::PUBLIC),
        fulcio: section.fulcio.clone(),
        address,
        token_file: section.identity_token_file.clone(),
        token: environment.identity_token.clone(),
        ca_files: environment.ca_files.clone(),
    };
    Ok(environment.kept.get_or_make(inputs, |inputs| make(inputs, section, environment))?)
}

fn make(inputs: &Inputs, section: &X509, environment: &Environment) -> Result<FulcioSigner> {
    let connection = Connection { ca_files: inputs.ca_files.clone(), ..Connection::default() };
    let trust = match &inputs.trust {
        Some(inputs) => {
            let roots = trust::roots(inputs.clone(), environment)?;
            let adapted: Arc<dyn TrustSource> = Arc::new(Adapted(roots));
            Some(adapted)
        }
        None => {
            let address = &inputs.address;
            tracing::warn!(
                address,
                "nothing tells which certificates of this Fulcio to trust: set `sigstore.trusted-root`"
            );
            None
        }
    };
    let issuer = section.fulcio.issuer.as_str();
    let options = FulcioOptions {
        address: inputs.address.clone(),
        issuer: (issuer != ANY_ISSUER).then(|| issuer.to_owned()),
        audience: section.fulcio.audience.clone(),
        connection: connection.clone(),
        ..FulcioOptions::default()
    };
    FulcioSigner::new(options, source(inputs, connection)?, trust)
        .map_err(|e| e.context("`signers.x509.fulcio`"))
}

/// The address that is configured, or else that of the signing config.
fn address(config: &Config) -> Result<String> {
    let address = config.signers.x509.fulcio.address.as_str();
    let Some(path) = config.sigstore.signing_config.as_ref().filter(|_| address == Fulcio::PUBLIC)
    else {
        return Ok(address.to_owned());
    };
    let services = trust::signing_config(path)?;
    if !services.has(ServiceKind::CertificateAuthority) {
        return Ok(address.to_owned());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let chosen = services.select(ServiceKind::CertificateAuthority, VERSIONS, now)?;
    Ok(chosen.first().map_or(address, |service| service.url.as_str()).to_owned())
}

fn source(inputs: &Inputs, connection: Connection) -> Result<Arc<dyn IdentitySource>> {
    if let Some(token) = &inputs.token {
        let token = IdentityToken::parse(token.expose())?;
        return Ok(Arc::new(Given::new(token)));
    }
    let provider = inputs.fulcio.provider.map(|provider| {
        let name = provider.as_str();
        Provider::ALL.into_iter().find(|one| one.as_str() == name).ok_or_else(|| {
            let why = format!("`signers.x509.fulcio.provider`: `{name}` is not known");
            Error::new(ErrorKind::Configuration, why)
        })
    });
    let options = SourceOptions {
        provider: provider.transpose()?,
        token_file: inputs.token_file.clone(),
        connection,
    };
    identity_source(&options, &Variables::of_process())
}
