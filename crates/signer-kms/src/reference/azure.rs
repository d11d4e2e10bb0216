//! `azurekms://VAULT/KEY[/VERSION]`

use super::quoted;

/// A key in Azure Key Vault or a Managed HSM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureKey {
    pub(crate) reference: String,
    /// Host of the vault, with its port if any.
    pub(crate) vault: String,
    pub(crate) name: String,
    /// `None` follows the newest one.
    pub(crate) version: Option<String>,
}

const FORM: &str = "azurekms://VAULT.vault.azure.net/KEY[/VERSION]";

pub(super) fn read(text: &str, rest: &str) -> Result<AzureKey, String> {
    let (vault, name, version) = match rest.split('/').collect::<Vec<_>>()[..] {
        [vault, name] => (vault, name, ""),
        [vault, name, version] => (vault, name, version),
        [_] | [] => return Err(format!("no key follows the vault: it reads {FORM}")),
        [_, _, _, ref more @ ..] => {
            let more = quoted(&more.join("/"));
            return Err(format!("{more} follows the version: it reads {FORM}"));
        }
    };
    if vault.is_empty() {
        return Err(format!("it names no vault: it reads {FORM}"));
    }
    if let Some(odd) = vault.chars().find(|c| !is_of_host(*c)) {
        return Err(format!("the name of the vault holds {odd:?}"));
    }
    if name.is_empty() {
        return Err(format!("it names no key: it reads {FORM}"));
    }
    if let Some(odd) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')) {
        return Err(format!("the name of the key holds {odd:?}: allowed are a-z A-Z 0-9 -"));
    }
    if let Some(odd) = version.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit())) {
        return Err(format!("the version holds {odd:?}: allowed are a-z 0-9"));
    }
    Ok(AzureKey {
        reference: text.to_owned(),
        vault: vault.to_owned(),
        name: name.to_owned(),
        version: Some(version).filter(|version| !version.is_empty()).map(str::to_owned),
    })
}

/// Characters of names, addresses and ports.
pub(super) const fn is_of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '[' | ']')
}
