//! `gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K[/cryptoKeyVersions/V]`

use super::quoted;

/// A key in Google Cloud KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcpKey {
    pub(crate) reference: String,
    /// `projects/P/locations/L/keyRings/R/cryptoKeys/K`
    pub(crate) key: String,
    /// `None` follows the newest enabled one.
    pub(crate) version: Option<String>,
}

const FORM: &str = "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY\
    [/cryptoKeyVersions/VERSION]";
const COLLECTIONS: [&str; 4] = ["projects", "locations", "keyRings", "cryptoKeys"];

pub(super) fn read(text: &str, rest: &str) -> Result<GcpKey, String> {
    let parts: Vec<&str> = rest.split('/').collect();
    for (index, collection) in COLLECTIONS.into_iter().enumerate() {
        let part = |at: usize| parts.get(at).copied().unwrap_or_default();
        if part(2 * index) != collection {
            let found = quoted(part(2 * index));
            return Err(format!("{found} stands in place of {collection}: it reads {FORM}"));
        }
        check(part(2 * index + 1), collection)?;
    }
    let version = match parts.get(8..).unwrap_or_default() {
        [] => None,
        ["cryptoKeyVersions" | "versions", version] => {
            check(version, "cryptoKeyVersions")?;
            Some((*version).to_owned())
        }
        ["cryptoKeyVersions" | "versions"] => check("", "cryptoKeyVersions").map(|()| None)?,
        rest => {
            let found = quoted(&rest.join("/"));
            return Err(format!("{found} follows the key or its version: it reads {FORM}"));
        }
    };
    let key = parts.get(..8).unwrap_or_default().join("/");
    Ok(GcpKey { reference: text.to_owned(), key, version })
}

/// A name that can be part of an address as it is.
fn check(name: &str, collection: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("nothing is named after {collection}: it reads {FORM}"));
    }
    // Projects of old domains have a colon in their name.
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    match name.chars().find(|c| !is_allowed(*c)) {
        Some(odd) => Err(format!("the name after {collection} holds {odd:?}")),
        None => Ok(()),
    }
}
