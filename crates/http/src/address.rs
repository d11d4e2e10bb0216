//! A server's address, its user and password apart.

use std::fmt;

use chains_core::{Error, ErrorKind, Result, Secret};
use reqwest::RequestBuilder;
use url::Url;

use crate::is_loopback;

/// Where a server is, and who we are there. It prints without user and password.
///
/// ```
/// use chains_core::Secret;
/// use chains_http::Address;
/// let url = Secret::new("https://user:hunter2@shelf.example.com/base/");
/// let address = Address::parse("reading the address of the shelf (`storage.shelf.url`)", &url)?;
/// assert_eq!(address.to_string(), "https://shelf.example.com/base");
/// assert_eq!(address.of(&["a/b"]).as_str(), "https://shelf.example.com/base/a%2Fb");
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Address {
    base: Url,
    login: Option<Login>,
}

/// A user and password.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl Address {
    /// Reads an http or https URL; `what` says what is read, with the key of the configuration. Query and fragment are
    /// left out.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where it is no address of a server, or would show a password to whoever listens.
    pub fn parse(what: &str, text: &Secret) -> Result<Self> {
        let refused =
            |why: &str| Error::new(ErrorKind::Configuration, what).with_source(why.to_owned());
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

    /// The address itself, without user and password.
    #[must_use]
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// The address of something there.
    #[must_use]
    pub fn of(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// User and password, where it has them.
    #[must_use]
    pub const fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// The request with user and password in its header ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)), where the
    /// address has them.
    pub fn authenticated(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.login {
            Some(login) => request.basic_auth(&login.user, Some(login.password.expose())),
            None => request,
        }
    }

    /// What must not be told of it.
    #[must_use]
    pub fn secrets(&self) -> Vec<&Secret> {
        self.login.iter().map(|login| &login.password).collect()
    }
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
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
        Address::parse("reading the address", &Secret::new(text))
    }

    #[test]
    fn a_password_is_for_the_header_alone() {
        let address = parse("https://u%40x:hunter%2F2@a.example.com/base/?q#f").unwrap();
        assert_eq!(address.to_string(), "https://a.example.com/base");
        assert_eq!(address.of(&["v1", "x"]).as_str(), "https://a.example.com/base/v1/x");
        let login = address.login().unwrap();
        assert_eq!((login.user.as_str(), login.password.expose()), ("u@x", "hunter/2"));
        assert!(!format!("{address:?}").contains("hunter"));
        let request = reqwest::Client::new().get(address.of(&[]));
        let request = address.authenticated(request).build().unwrap();
        assert_eq!(request.headers()["authorization"], "Basic dUB4Omh1bnRlci8y");
        let plain = parse("http://127.0.0.1:8082").unwrap();
        assert!(plain.login().is_none() && plain.secrets().is_empty());
        assert_eq!(plain.of(&["v1", "a/b"]).as_str(), "http://127.0.0.1:8082/v1/a%2Fb");
        assert_eq!(decoded("%zz%4"), "%zz%4");
    }

    #[test]
    fn what_is_no_address_is_told() {
        let check = |text: &str, part: &str| {
            let error = parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            let report = error.report();
            assert!(report.contains(part) && !report.contains("hunter2"), "{report}");
        };
        check("example", "relative URL");
        check("ftp://a", "http:// or https://");
        check("http://u:hunter2@server.example.com", "use https://");
        parse("http://u:hunter2@localhost:1").unwrap();
        parse("http://u:hunter2@[::1]:1").unwrap();
    }
}
