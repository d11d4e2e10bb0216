//! Which hosts may be spoken to how, and which may see a credential.
//!
//! | registry | TLS | credential |
//! |---|---|---|
//! | any | required, certificate verified | over TLS |
//! | loopback, with `allow_loopback_http` | tried first, certificate verified; else plain HTTP | over TLS |
//! | named as insecure, or of `repository` with `insecure` | tried first, certificate not verified; else plain HTTP | both |
//! | any, with `insecure` and no `repository`, and no credential for it | tried first, certificate not verified; else plain HTTP | there is none |
//!
//! Who has a credential is held to verified certificates whatever `insecure` says: a registry asks for the
//! credential when it likes, and so does whoever is in between. Only hosts that the operator named are excepted.
//!
//! A credential goes to the registry it was issued for, and to the token endpoint that this registry names,
//! as the [token specification][token] demands: over TLS, or where that very host is named as insecure.
//! It never follows a redirect or an upload address to another host.
//! A registry cannot make us call internal addresses: other hosts than its own must be names, not
//! addresses of private networks, unless they are named as insecure.
//!
//! [token]: https://distribution.github.io/distribution/spec/auth/token/

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chains_core::RegistryCredential;
use reqwest::Url;

use crate::OciOptions;

/// Whether there is a credential that the other side may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    /// There is none to lose.
    Anonymous,
    /// There is one.
    Credentialed,
}

impl Caller {
    pub(super) const fn of(credential: Option<&RegistryCredential>) -> Self {
        match credential {
            Some(_) => Self::Credentialed,
            None => Self::Anonymous,
        }
    }
}

/// How a host may be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// TLS with a certificate that verifies.
    Verified,
    /// The same, or plain HTTP on this machine.
    Loopback,
    /// TLS with any certificate, or plain HTTP.
    Unverified,
}

#[derive(Debug)]
pub(super) struct Policy {
    /// Anonymous callers do without verified certificates at every host.
    insecure: bool,
    loopback_http: bool,
    named: HashSet<String>,
}

impl Policy {
    pub(super) fn new(options: &OciOptions) -> Self {
        let mut named: HashSet<String> =
            options.insecure_hosts.iter().map(|host| host_name(host)).collect();
        if let (true, Some(repository)) = (options.insecure, &options.repository) {
            named.insert(host_name(repository.registry()));
        }
        let insecure = options.insecure && options.repository.is_none();
        Self { insecure, loopback_http: options.allow_loopback_http, named }
    }

    /// Whether the operator named it as insecure; a name without port is for all ports of the host.
    pub(super) fn is_named(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        self.named.contains(&authority) || self.named.contains(host_of(&authority))
    }

    pub(super) fn security(&self, authority: &str, caller: Caller) -> Security {
        if self.is_named(authority) || (self.insecure && caller == Caller::Anonymous) {
            Security::Unverified
        } else if self.loopback_http && is_loopback(host_of(authority)) {
            Security::Loopback
        } else {
            Security::Verified
        }
    }

    /// What the operator may have expected to be allowed at a host that could not be reached.
    pub(super) fn hint(&self, authority: &str, caller: Caller) -> Option<&'static str> {
        if self.is_named(authority) {
            None
        } else if self.insecure {
            (caller == Caller::Credentialed).then_some(
                "there is a credential for it, so its certificate must verify unless the host is named as insecure",
            )
        } else {
            (is_loopback(host_of(authority)) && !self.loopback_http).then_some(
                "plain HTTP is not used on this machine unless that is allowed or the host is named as insecure",
            )
        }
    }

    /// Whether a credential may go to this address, which [`Caller::Credentialed`] speaks to.
    pub(super) fn may_carry_credential(&self, url: &Url) -> bool {
        url.scheme() == "https" || self.is_named(&authority(url))
    }

    /// Whether a registry at `origin` may send us to `target`; why not, if not.
    pub(super) fn may_visit(
        &self,
        origin: &Url,
        target: &Url,
        caller: Caller,
    ) -> Result<(), String> {
        let to = authority(target);
        if !matches!(target.scheme(), "http" | "https") {
            return Err(format!("{to} is to be spoken to by {:?}", target.scheme()));
        }
        let same = same_authority(origin, target);
        let plain_is_fine = if same {
            origin.scheme() == "http"
        } else {
            self.security(&to, caller) == Security::Unverified
        };
        if target.scheme() == "http" && !plain_is_fine {
            return Err(format!("{to} is to be reached over plain HTTP"));
        }
        if !same && is_internal(host_of(&to)) && !self.is_named(&to) {
            return Err(format!("{to} is an internal address"));
        }
        Ok(())
    }
}

/// Host and port, without the port where it is the scheme's own.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether both are the same host and port, whatever the scheme.
pub(super) fn same_authority(left: &Url, right: &Url) -> bool {
    left.host_str() == right.host_str()
        && left.port_or_known_default() == right.port_or_known_default()
}

fn host_name(named: &str) -> String {
    let named =
        named.strip_prefix("https://").or_else(|| named.strip_prefix("http://")).unwrap_or(named);
    named.trim_end_matches('/').to_ascii_lowercase()
}

fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

fn address(host: &str) -> Option<IpAddr> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || address(host).is_some_and(|address| address.is_loopback())
}

/// Addresses that only hosts on the same network reach, those of cloud metadata servers among them.
fn is_internal(host: &str) -> bool {
    let v4 = |a: Ipv4Addr| {
        a.is_private()
            || a.is_loopback()
            || a.is_link_local()
            || a.is_unspecified()
            || a.is_broadcast()
    };
    let v6 = |a: Ipv6Addr| {
        a.is_loopback() || a.is_unspecified() || a.is_unique_local() || a.is_unicast_link_local()
    };
    match address(host) {
        Some(IpAddr::V4(a)) => v4(a),
        Some(IpAddr::V6(a)) => v6(a),
        None => is_loopback(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(insecure: bool, repository: Option<&str>, hosts: &[&str]) -> Policy {
        Policy::new(&OciOptions {
            insecure,
            repository: repository.map(|name| name.parse().expect("a name")),
            insecure_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            allow_loopback_http: true,
            ..OciOptions::default()
        })
    }

    #[test]
    fn security_is_by_host_and_by_what_the_operator_says() {
        let check = |policy: &Policy, host: &str, expect: Security, over_http: bool| {
            assert_eq!(policy.security(host, Caller::Credentialed), expect, "{host}");
            let url = Url::parse(&format!("http://{host}/")).expect("an address");
            assert_eq!(policy.may_carry_credential(&url), over_http, "{host}");
            let url = Url::parse(&format!("https://{host}/")).expect("an address");
            assert!(policy.may_carry_credential(&url), "{host}");
        };
        let strict =
            policy(false, Some("gcr.io/signatures"), &["Good.example.com", "https://b.io:5000/"]);
        for host in
            ["gcr.io", "10.0.0.1", "localhost.evil.org", "127.0.0.1.evil.org", "b.io", "b.io:500"]
        {
            check(&strict, host, Security::Verified, false);
        }
        for host in ["localhost", "LOCALHOST:5000", "127.0.0.1", "127.1.2.3:5000", "[::1]:5000"] {
            check(&strict, host, Security::Loopback, false);
        }
        for host in
            ["good.example.com", "GOOD.example.com:443", "good.example.com:5000", "b.io:5000"]
        {
            check(&strict, host, Security::Unverified, true);
        }
        let insecure = policy(true, Some("gcr.io/signatures"), &[]);
        check(&insecure, "gcr.io", Security::Unverified, true);
        check(&insecure, "quay.io", Security::Verified, false);
        check(&insecure, "localhost:5000", Security::Loopback, false);
        let anywhere = policy(true, None, &["named.example.com"]);
        check(&anywhere, "quay.io", Security::Verified, false);
        check(&anywhere, "named.example.com", Security::Unverified, true);
    }

    #[test]
    fn who_has_nothing_to_lose_may_do_without_certificates() {
        let check = |insecure, repository, host: &str, expect| {
            let policy = policy(insecure, repository, &["named.example.com"]);
            assert_eq!(policy.security(host, Caller::Anonymous), expect, "{host} {insecure}");
        };
        check(false, None, "quay.io", Security::Verified);
        check(true, None, "quay.io", Security::Unverified);
        check(true, None, "localhost:5000", Security::Unverified);
        check(true, Some("gcr.io/signatures"), "quay.io", Security::Verified);
        check(true, Some("gcr.io/signatures"), "gcr.io", Security::Unverified);
        check(false, Some("gcr.io/signatures"), "gcr.io", Security::Verified);
        check(false, None, "named.example.com", Security::Unverified);
    }

    #[test]
    fn plain_http_on_this_machine_is_for_those_who_allow_it() {
        let strict = Policy::new(&OciOptions::default());
        for host in ["localhost", "127.0.0.1:5000", "[::1]:5000"] {
            for caller in [Caller::Anonymous, Caller::Credentialed] {
                assert_eq!(strict.security(host, caller), Security::Verified, "{host}");
            }
        }
    }

    #[test]
    fn a_registry_sends_us_only_where_we_may_go() {
        let check = |origin: &str, target: &str, expect: bool| {
            let url = |text: &str| Url::parse(text).expect("an address");
            let policy = policy(false, None, &["named.example.com", "10.1.1.1"]);
            let found = policy.may_visit(&url(origin), &url(target), Caller::Anonymous);
            assert_eq!(found.is_ok(), expect, "{origin} to {target}: {found:?}");
        };
        check("https://a.io/", "https://a.io/x", true);
        check("https://a.io/", "https://a.io:443/x", true);
        check("https://a.io/", "https://b.io/x", true);
        check("https://a.io/", "http://a.io/x", false);
        check("https://a.io/", "http://b.io/x", false);
        check("https://a.io/", "http://named.example.com:5000/x", true);
        check("https://a.io/", "https://10.0.0.1/x", false);
        check("https://a.io/", "https://10.1.1.1/x", true);
        check("https://a.io/", "https://[::1]/x", false);
        check("https://a.io/", "https://[fe80::1]/x", false);
        check("https://a.io/", "https://0.0.0.0/x", false);
        check("https://a.io/", "https://8.8.8.8/x", true);
        check("https://a.io/", "ftp://a.io/x", false);
        check("https://10.0.0.1/", "https://10.0.0.1/x", true);
        check("https://10.0.0.1/", "https://10.0.0.1:8443/x", false);
        check("http://localhost:5000/", "http://localhost:5000/x", true);
        check("http://localhost:5000/", "http://localhost:5001/x", false);
        check("http://localhost:5000/", "https://localhost:5001/x", false);
    }
}
