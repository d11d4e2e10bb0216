//! `hashivault://KEY`, `openbao://KEY`

use super::quoted;

/// A key of the transit engine of HashiCorp Vault or OpenBao.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultKey {
    pub(crate) reference: String,
    pub(crate) name: String,
}

pub(super) fn read(text: &str, scheme: &str, rest: &str) -> Result<VaultKey, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if rest.is_empty() {
        return Err(format!("it names no key: it reads {scheme}://KEY"));
    }
    if let Some((name, _)) = rest.split_once('/') {
        return Err(format!(
            "{} is followed by a slash: it reads {scheme}://KEY, without the path of the engine, which \
             TRANSIT_SECRET_ENGINE_PATH tells",
            quoted(name)
        ));
    }
    if let Some(odd) = rest.chars().find(|c| !(is_word(*c) || matches!(c, '-' | '.'))) {
        return Err(format!("the name of the key holds {odd:?}: allowed are a-z A-Z 0-9 _ - ."));
    }
    if !rest.starts_with(is_word) || !rest.ends_with(is_word) {
        return Err("the name of the key starts or ends with `-` or `.`".to_owned());
    }
    Ok(VaultKey { reference: text.to_owned(), name: rest.to_owned() })
}
