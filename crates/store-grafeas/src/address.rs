//! The server's address, its user and password apart.

use std::fmt;

use chains_core::{Error, ErrorKind, Result, Secret};
use url::{Host, Url};

/// Where the server is, and who we are there.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    base: Url,
    login: Option<Login>,
}

/// A user and password.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

impl Address {
    /// # Errors
    /// [`ErrorKind::Configuration`] where it is no address of a server, or would show a password to whoever listens.
    pub(crate) fn parse(text: &Secret) -> Result<Self> {
        let refused = |why: &str| {
            let what = "reading the address of Grafeas (`storage.grafeas.endpoint`)";
            Error::new(ErrorKind::Configuration, what).with_source(why.to_owned())
        };
        let mut base = Url::parse(text.expose()).map_err(|e| refused(&e.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(refused("it must begin with http:// or https://"));
        }
        let login = (!base.username().is_empty() || base.password().is_some()).then(|| Login {
            user: decoded(base.username()),
            password: Secret::new(decoded(base.password().unwrap_or_default())),
        });
        if login.is_some() && base.scheme() == "http" && !is_loopback(&base) {
            let why = "over http:// its password would be shown to whoever listens: use https://";
            return Err(refused(why));
        }
        // Both only fail for addresses without a host, which were refused.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        base.set_query(None);
        base.set_fragment(None);
        Ok(Self { base, login })
    }

    /// The address of something there.
    pub(crate) fn of(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// Whether it is a host of this domain, spoken to over TLS: only there, a credential for the domain is shown.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where it is one over plain HTTP.
    pub(crate) fn is_of(&self, domain: &str) -> Result<bool> {
        let host = self.base.host_str().unwrap_or_default();
        let is_of =
            host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if is_of && self.base.scheme() != "https" {
            let what = format!("using {self} (`storage.grafeas.endpoint`)");
            let why = "a token would be shown to whoever listens: use https://";
            return Err(Error::new(ErrorKind::Configuration, what).with_source(why));
        }
        Ok(is_of)
    }

    pub(crate) const fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What `%XX` stands for: the parser leaves users and passwords as they were written.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        match hex.and_then(|hex| hex::decode(hex).ok()) {
            Some(byte) => {
                bytes.extend(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address> {
        Address::parse(&Secret::new(text))
    }

    #[test]
    fn a_password_is_for_the_header_alone() {
        let address = parse("https://u%40x:hunter%2F2@a.example.com/base/").unwrap();
        assert_eq!(address.to_string(), "https://a.example.com/base");
        assert_eq!(address.of(&["v1", "x"]).as_str(), "https://a.example.com/base/v1/x");
        let login = address.login().unwrap();
        assert_eq!((login.user.as_str(), login.password.expose()), ("u@x", "hunter/2"));
        assert!(!format!("{address:?}").contains("hunter"));
        let plain = parse("http://127.0.0.1:8082").unwrap();
        assert!(plain.login().is_none());
        assert_eq!(plain.of(&["v1", "a/b"]).as_str(), "http://127.0.0.1:8082/v1/a%2Fb");
        assert_eq!(decoded("%zz%4"), "%zz%4");
    }

    #[test]
    fn tokens_are_for_hosts_of_the_domain_over_tls() {
        let is_of = |text: &str| parse(text).unwrap().is_of("googleapis.com");
        assert!(is_of("https://containeranalysis.googleapis.com").unwrap());
        assert!(is_of("https://containeranalysis.us-east1.rep.googleapis.com/").unwrap());
        assert!(!is_of("https://evilgoogleapis.com").unwrap());
        assert!(!is_of("https://googleapis.com.example.com").unwrap());
        assert!(!is_of("http://127.0.0.1:1").unwrap());
        let error = is_of("http://containeranalysis.googleapis.com").unwrap_err();
        assert!(error.report().contains("use https://"), "{}", error.report());
    }

    #[test]
    fn what_is_no_address_is_told() {
        let check = |text: &str, part: &str| {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            let report = error.report();
            assert!(report.contains(part) && !report.contains("hunter2"), "{report}");
        };
        check("grafeas", "relative URL");
        check("ftp://a", "http:// or https://");
        check("http://u:hunter2@grafeas.example.com", "use https://");
        parse("http://u:hunter2@localhost:1").unwrap();
        parse("http://u:hunter2@[::1]:1").unwrap();
    }
}
