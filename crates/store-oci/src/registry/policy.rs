//! Which hosts may be spoken to how, and which may see a credential.
//!
//! | registry | TLS | credential |
//! |---|---|---|
//! | any | required, certificate verified | over TLS |
//! | loopback | tried first; plain HTTP where TLS is not spoken there | over TLS |
//! | all, with `insecure` | tried first, certificate not verified; else plain HTTP | over TLS |
//! | named as insecure | tried first, certificate not verified; else plain HTTP | both |
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

use reqwest::Url;

use crate::OciOptions;

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
    insecure: bool,
    named: HashSet<String>,
}

impl Policy {
    pub(super) fn new(options: &OciOptions) -> Self {
        let mut named: HashSet<String> =
            options.insecure_hosts.iter().map(|host| host_name(host)).collect();
        if let (true, Some(repository)) = (options.insecure, &options.repository) {
            named.insert(host_name(repository.registry()));
        }
        Self { insecure: options.insecure, named }
    }

    /// Whether the operator named it as insecure; a name without port is for all ports of the host.
    pub(super) fn is_named(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        self.named.contains(&authority) || self.named.contains(host_of(&authority))
    }

    pub(super) fn security(&self, authority: &str) -> Security {
        if self.insecure || self.is_named(authority) {
            Security::Unverified
        } else if is_loopback(host_of(authority)) {
            Security::Loopback
        } else {
            Security::Verified
        }
    }

    /// Whether a credential may go to this address.
    pub(super) fn may_carry_credential(&self, url: &Url) -> bool {
        url.scheme() == "https" || self.is_named(&authority(url))
    }

    /// Whether a registry at `origin` may send us to `target`; why not, if not.
    pub(super) fn may_visit(&self, origin: &Url, target: &Url) -> Result<(), String> {
        let to = authority(target);
        if !matches!(target.scheme(), "http" | "https") {
            return Err(format!("{to} is to be spoken to by {:?}", target.scheme()));
        }
        let same = same_authority(origin, target);
        let plain_is_fine = if same {
            origin.scheme() == "http"
        } else {
            self.security(&to) == Security::Unverified
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
