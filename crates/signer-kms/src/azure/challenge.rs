//! The challenge of a vault: who gives tokens for it, and for which resource
//! (<https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses>).

use std::net::IpAddr;

use reqwest::Url;
use reqwest::header::HeaderMap;

/// What a token is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// The tenant that gives tokens: the path of the authority's address.
    pub(super) tenant: String,
    /// What tokens are for, e.g. `https://vault.azure.net`.
    pub(super) resource: String,
}

impl Challenge {
    /// Reads the challenge of the vault at `host`; why not, if not.
    pub(super) fn of(headers: &HeaderMap, host: &str) -> Result<Self, String> {
        let header = headers
            .get_all("www-authenticate")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find(|value| value.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("bearer ")))
            .ok_or("it does not say who gives tokens for it")?;
        let parameter = |names: &[&str]| names.iter().find_map(|name| parameter(header, name));
        let authority = parameter(&["authorization", "authorization_uri"])
            .ok_or("it does not say who gives tokens for it")?;
        let resource = parameter(&["resource", "scope"])
            .ok_or("it does not say what tokens for it are to be for")?;
        let resource = resource.trim_end_matches("/.default").trim_end_matches('/').to_owned();
        if !is_of(host, &resource) {
            return Err(format!(
                "it asks for a token for {resource}, to which {host} does not belong"
            ));
        }
        let tenant = Url::parse(authority).ok();
        let tenant = tenant.as_ref().and_then(|url| url.path_segments()?.next());
        Ok(Self { tenant: tenant.unwrap_or_default().to_owned(), resource })
    }
}

/// The value of `name="…"`.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split([' ', ',']).find_map(|part| {
        let (found, value) = part.trim().split_once('=')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
    })
}

/// Whether a vault may ask for tokens of a resource: it must be in its domain, so that nobody else gets a token that
/// opens vaults. An address of this machine stands for a tunnel or a test.
fn is_of(host: &str, resource: &str) -> bool {
    let is_loopback = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
        .is_ok_and(|address| address.is_loopback());
    let domain = Url::parse(resource).ok().and_then(|url| url.host_str().map(str::to_owned));
    is_loopback
        || domain.is_some_and(|domain| {
            host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, host: &str, expect: Result<(&str, &str), &str>) {
        let value = header.parse().expect("a header");
        let headers = [(reqwest::header::WWW_AUTHENTICATE, value)].into_iter().collect();
        match (Challenge::of(&headers, host), expect) {
            (Ok(found), Ok((tenant, resource))) => {
                assert_eq!((found.tenant.as_str(), found.resource.as_str()), (tenant, resource));
            }
            (Err(why), Err(words)) => assert!(why.contains(words), "{why}"),
            (found, expect) => panic!("{header}: {found:?}, not {expect:?}"),
        }
    }

    #[test]
    fn challenges_are_read() {
        let usual = r#"Bearer authorization="https://login.microsoftonline.com/tenant-id", resource="https://vault.azure.net""#;
        let vault = "v.vault.azure.net";
        check(usual, vault, Ok(("tenant-id", "https://vault.azure.net")));
        check(usual, "127.0.0.1", Ok(("tenant-id", "https://vault.azure.net")));
        check(
            r#"bearer authorization_uri=https://login.microsoftonline.us/t/,scope="https://managedhsm.usgovcloudapi.net/.default""#,
            "h.managedhsm.usgovcloudapi.net",
            Ok(("t", "https://managedhsm.usgovcloudapi.net")),
        );
        check(usual, "vault.azure.net.evil.example.com", Err("does not belong"));
        check(usual, "evilvault.azure.net", Err("does not belong"));
        check("Basic realm=x", vault, Err("who gives tokens"));
        check("Bearer x", vault, Err("who gives tokens"));
        check(r#"Bearer authorization="https://a/b""#, vault, Err("what tokens"));
        check(r#"Bearer authorization="https://a/b", resource="x""#, vault, Err("does not belong"));
    }
}
