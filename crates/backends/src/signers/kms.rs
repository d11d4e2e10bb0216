//! `kms`: a key in a key management service.

use std::path::PathBuf;
use std::sync::Arc;

use chains_config::{Config, Kms, KmsScheme};
use chains_core::{Error, ErrorKind, Result, Signer};
use chains_signer_kms::{KmsOptions, KmsSigner, Spire, VaultOptions};

use crate::Environment;

/// What the signer is made of.
type Inputs = (Kms, Vec<PathBuf>);

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Option<Arc<dyn Signer>>> {
    let Some(section) = &config.signers.kms else {
        let why = "`signers.kms.kmsref`: must be set where a signer is `kms`";
        return Err(Error::new(ErrorKind::Configuration, why));
    };
    let inputs = (section.clone(), environment.ca_files.clone());
    let signer = environment.kept.get_or_make(inputs, |inputs| {
        let options = options(inputs);
        options.and_then(KmsSigner::new).map_err(|e| e.context("`signers.kms.kmsref`"))
    })?;
    Ok(Some(signer))
}

/// The services whose keys can be used.
pub(crate) const SERVICES: &[KmsScheme] = &[
    #[cfg(feature = "kms-aws")]
    KmsScheme::Aws,
    #[cfg(feature = "kms-azure")]
    KmsScheme::Azure,
    #[cfg(feature = "kms-gcp")]
    KmsScheme::Gcp,
    #[cfg(feature = "kms-vault")]
    KmsScheme::HashiVault,
    #[cfg(feature = "kms-vault")]
    KmsScheme::OpenBao,
];

fn options((section, ca_files): &Inputs) -> Result<KmsOptions> {
    let auth = &section.auth;
    let spire = auth.spire.as_ref().map(|spire| Spire {
        socket: spire.socket.clone(),
        audience: spire.audience.clone().unwrap_or_default(),
    });
    let vault = VaultOptions {
        address: auth.address.as_ref().map(|address| address.as_str().to_owned()),
        token: auth.token.clone(),
        token_path: auth.token_path.clone(),
        oidc_path: auth.oidc.path.clone(),
        oidc_role: auth.oidc.role.clone(),
        oidc_token_path: Some(auth.oidc.token_path.clone()),
        spire,
        ..VaultOptions::default()
    };
    let key = section.key.as_str().parse()?;
    Ok(KmsOptions { vault, ca_files: ca_files.clone(), ..KmsOptions::new(key) })
}
