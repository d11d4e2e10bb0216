//! Where tokens come from.

use std::path::{Path, PathBuf};

use chains_core::{Error, ErrorKind, Result, Secret};

use super::jwt::{Jwt, SERVICE_ACCOUNT};
use super::server::two;
use crate::KmsOptions;

/// Where `vault login` leaves the token, in the home folder.
const LEFT_BY_LOGIN: &str = ".vault-token";

/// Where the token comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// A text.
    Given(Secret),
    /// A file, read again when it changes.
    File(PathBuf),
    /// A login.
    Login(Login),
    /// None: an agent adds one.
    Agent,
}

/// A login with a JWT.
#[derive(Debug)]
pub(super) struct Login {
    /// Where the method is mounted.
    pub(super) path: String,
    pub(super) role: String,
    pub(super) jwt: Jwt,
}

impl Source {
    /// The first that is set, in the order of the reference; see [`crate::VaultOptions`].
    pub(super) fn of(options: &KmsOptions, is_agent: bool) -> Result<Self> {
        let vault = &options.vault;
        if let Some(spire) = &vault.spire {
            let path = vault.oidc_path.clone().unwrap_or_else(|| "jwt".to_owned());
            let role = vault.oidc_role.clone().unwrap_or_default();
            return Ok(Self::Login(Login { path, role, jwt: spire_jwt(spire)? }));
        }
        if let Some(path) = &vault.token_path {
            return Ok(Self::File(path.clone()));
        }
        if let Some(token) = vault.token.as_ref().filter(|token| !token.is_empty()) {
            return Ok(Self::Given(token.clone()));
        }
        if let (Some(path), Some(role)) = (&vault.oidc_path, &vault.oidc_role) {
            let file = vault.oidc_token_path.clone();
            let jwt = Jwt::File(file.unwrap_or_else(|| PathBuf::from(SERVICE_ACCOUNT)));
            return Ok(Self::Login(Login { path: path.clone(), role: role.clone(), jwt }));
        }
        Self::ambient(options, is_agent)
    }

    /// What Vault's own tools would use.
    fn ambient(options: &KmsOptions, is_agent: bool) -> Result<Self> {
        if let Some(token) = two(&options.variables, "TOKEN") {
            return Ok(Self::Given(Secret::new(token)));
        }
        let home = options.variables.get("HOME").map(PathBuf::from);
        if let Some(file) = home.map(|home| home.join(LEFT_BY_LOGIN)).filter(|file| file.is_file())
        {
            return Ok(Self::File(file));
        }
        if is_agent {
            return Ok(Self::Agent);
        }
        let why = "no token is known: set `signers.kms.auth.token-path`, `signers.kms.auth.oidc.path` \
                   with `signers.kms.auth.oidc.role`, or VAULT_TOKEN";
        Err(Error::new(ErrorKind::Configuration, format!("using {}", options.key)).with_source(why))
    }
}

#[cfg(feature = "spire")]
fn spire_jwt(spire: &crate::Spire) -> Result<Jwt> {
    Ok(Jwt::Spire(spire.clone()))
}

#[cfg(not(feature = "spire"))]
fn spire_jwt(spire: &crate::Spire) -> Result<Jwt> {
    let what = format!("asking SPIRE at {} for a JWT", spire.socket);
    let why = "this program is built without SPIRE";
    Err(Error::new(ErrorKind::Configuration, what).with_source(why))
}

/// Reads a token from a file: without the space and the newline around it that files have.
pub(super) fn read(path: &Path, what: &str) -> Result<Secret> {
    let refused = |why: Box<dyn std::error::Error + Send + Sync>| {
        let what = format!("reading {what} from {}", path.display());
        Error::new(ErrorKind::Unauthorized, what).with_source(why)
    };
    let text = Secret::new(std::fs::read_to_string(path).map_err(|e| refused(e.into()))?);
    let token = Secret::new(text.expose().trim());
    if token.is_empty() {
        return Err(refused("it is empty".into()));
    }
    Ok(token)
}
