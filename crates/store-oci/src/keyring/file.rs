//! Docker's configuration files.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use chains_core::{Error, ErrorKind, RegistryCredential, Result, Secret};
use serde::Deserialize;
use serde_json::Value;

use super::helper::Helper;
use super::pattern::{Pattern, Rank, helper_server};

/// What docker puts in place of the user where the password is an identity token.
pub(super) const TOKEN_USER: &str = "<token>";

/// One file.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) entries: Vec<Entry>,
    helpers: Vec<(Pattern, Helper)>,
    default_helper: Option<Helper>,
}

/// One entry of `auths`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) pattern: Pattern,
    /// The credential, or what is wrong with it.
    pub(super) credential: Result<RegistryCredential, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    auths: Option<BTreeMap<String, Value>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Auth {
    username: Option<String>,
    password: Option<String>,
    auth: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Source {
    /// A whole `config.json`.
    pub(super) fn from_config_json(json: &[u8], with_helpers: bool) -> Result<Self> {
        let config: Config = parse(json)?;
        let mut source = Self::from_auths(config.auths.unwrap_or_default());
        if with_helpers {
            let named = config.cred_helpers.unwrap_or_default();
            source.helpers = named
                .into_iter()
                .filter_map(|(key, name)| Some((Pattern::parse(&key)?, Helper::new(name))))
                .collect();
            let default = config.creds_store.filter(|name| !name.is_empty());
            source.default_helper = default.map(Helper::new);
        }
        Ok(source)
    }

    /// A `.dockercfg`.
    pub(super) fn from_dockercfg(json: &[u8]) -> Result<Self> {
        parse(json).map(Self::from_auths)
    }

    fn from_auths(auths: BTreeMap<String, Value>) -> Self {
        let entries = auths.into_iter().filter_map(|(key, value)| {
            let Some(pattern) = Pattern::parse(&key) else {
                tracing::debug!(key, "no registry has the name of this credential");
                return None;
            };
            let credential = credential(value).transpose()?;
            Some(Entry { key, pattern, credential })
        });
        Self { entries: entries.collect(), helpers: Vec::new(), default_helper: None }
    }

    /// The helper that answers for the registry, and the name it knows the registry by.
    pub(super) fn helper_for(&self, registry: &str) -> Option<(Rank, &Helper, String)> {
        let named = self.helpers.iter().filter_map(|(pattern, helper)| {
            Some((pattern.matches_host(registry)?, helper, helper_server(registry)))
        });
        let default = || {
            let helper = self.default_helper.as_ref()?;
            Some(((true, 0, registry.len(), true), helper, helper_server(registry)))
        };
        named.max_by_key(|(rank, _, _)| *rank).or_else(default)
    }
}

#[cfg(test)]
impl Source {
    pub(super) fn helpers_mut(&mut self) -> impl Iterator<Item = &mut Helper> {
        self.helpers.iter_mut().map(|(_, helper)| helper).chain(&mut self.default_helper)
    }
}

/// Says where it went wrong and not what was there: that may be a password.
fn parse<T: for<'de> Deserialize<'de>>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|e| {
        let why = format!("{:?} error at line {}, column {}", e.classify(), e.line(), e.column());
        Error::new(ErrorKind::InvalidInput, "reading a docker configuration as JSON")
            .with_source(why)
    })
}

/// The credential of an entry; none where the entry is empty, as docker leaves them when a helper has it.
fn credential(value: Value) -> Result<Option<RegistryCredential>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let auth: Auth = serde_json::from_value(value)
        .map_err(|_| "the entry is not an object whose values are strings".to_owned())?;
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    if let Some(token) = some(auth.registrytoken) {
        return Ok(Some(RegistryCredential::Bearer(Secret::new(token))));
    }
    if let Some(token) = some(auth.identitytoken) {
        return Ok(Some(RegistryCredential::IdentityToken(Secret::new(token))));
    }
    if let Some(encoded) = some(auth.auth) {
        return decode(&encoded).map(Some);
    }
    Ok(match (some(auth.username), some(auth.password)) {
        (Some(username), Some(password)) => Some(basic(&username, Secret::new(password))),
        (None, None) => None,
        _ => return Err("there is a user without password, or a password without user".to_owned()),
    })
}

/// A user and a password, or an identity token where the user says so.
pub(super) fn basic(username: &str, password: Secret) -> RegistryCredential {
    if username == TOKEN_USER {
        RegistryCredential::IdentityToken(password)
    } else {
        RegistryCredential::Basic { username: username.to_owned(), password }
    }
}

/// `auth` is the base64 of `USER:PASSWORD`, with or without padding, and with zero bytes after the password
/// in files of old.
fn decode(encoded: &str) -> Result<RegistryCredential, String> {
    let encoded = encoded.trim();
    let bytes = STANDARD
        .decode(encoded)
        .or_else(|_| STANDARD_NO_PAD.decode(encoded))
        .map_err(|_| "`auth` is not base64".to_owned())?;
    let text = String::from_utf8(bytes).map_err(|_| "`auth` does not hold text".to_owned())?;
    let text = Secret::new(text);
    let (username, password) =
        text.expose().split_once(':').ok_or("`auth` holds no colon between user and password")?;
    let password = password.trim_end_matches(['\0', '\n', '\r']);
    if username.is_empty() || password.is_empty() {
        return Err("`auth` holds an empty user or password".to_owned());
    }
    Ok(basic(username, Secret::new(password)))
}
