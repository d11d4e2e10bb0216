//! Fulcio's API, version 2.
//!
//! After [`fulcio.proto`](https://github.com/sigstore/fulcio/blob/main/fulcio.proto) in its JSON form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::ErrorKind;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};

use crate::connection::{Http, send, told};
use crate::fault::{Fault, Result};
use crate::token::IdentityToken;

const JSON: &str = "application/json";

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    address: Url,
    http: Http,
}

/// What the server answered to a request for a certificate.
#[derive(Debug)]
pub(crate) struct Answer {
    /// PEM, the certificate first, the root last.
    pub(crate) certificates: Vec<String>,
    /// The promise of a certificate transparency log where it is not in the certificate: JSON.
    pub(crate) promise: Option<Bytes>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    credentials: Credentials<'a>,
    certificate_signing_request: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Credentials<'a> {
    oidc_identity_token: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    signed_certificate_embedded_sct: Option<WithChain>,
    signed_certificate_detached_sct: Option<WithChain>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WithChain {
    chain: Chain,
    #[serde(default)]
    signed_certificate_timestamp: String,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Server {
    pub(crate) fn new(address: &str, http: Http) -> Result<Self> {
        let odd = |why: String| {
            let what = format!("reading the address of Fulcio {:?}", told(address));
            Fault::new(ErrorKind::Configuration, what, why)
        };
        let address = Url::parse(address).map_err(|e| odd(e.to_string()))?;
        if !matches!(address.scheme(), "https" | "http") || address.host_str().is_none() {
            return Err(odd("it is not an address of http or https".to_owned()));
        }
        if !address.username().is_empty() || address.password().is_some() {
            return Err(odd("it holds a user or a password".to_owned()));
        }
        Ok(Self { address, http })
    }

    pub(crate) const fn address(&self) -> &Url {
        &self.address
    }

    /// Whether tokens reach it over TLS, or stay on this machine.
    pub(crate) fn is_private(&self) -> bool {
        let host = self.address.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = bare.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        self.address.scheme() == "https" || loopback || host == "localhost"
    }

    /// Asks for a certificate for whom the token speaks of, with the key of the request.
    pub(crate) async fn certificate(&self, token: &IdentityToken, request: &str) -> Result<Answer> {
        let what = format!("asking {} for a certificate", self.address);
        let request = Request {
            credentials: Credentials { oidc_identity_token: token.expose() },
            certificate_signing_request: STANDARD.encode(request),
        };
        // Texts only: there is no value here that JSON cannot hold.
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let builder = self.http.client()?.post(self.url("signingCert"));
        let builder = builder.header(CONTENT_TYPE, JSON).header(ACCEPT, JSON).body(body);
        let answer = send(&what, builder).await?;
        if answer.status.is_success() {
            return read(&what, &answer.body);
        }
        let message = serde_json::from_slice::<Refusal>(&answer.body).map(|it| it.message);
        // Whatever answers may say again what it was sent.
        let message = told(&token.redact(&message.unwrap_or_default()));
        let fault = answer.fault(&what, &message);
        Err(match fault.kind {
            ErrorKind::Unauthorized => self.explained(fault, token).await,
            ErrorKind::NotFound => {
                let why = format!("{}: is it Fulcio's address?", fault.why);
                Fault { kind: ErrorKind::Configuration, why, ..fault }
            }
            _ => fault,
        })
    }

    /// Adds what the server expects of tokens: of itself it says only that it refuses one.
    async fn explained(&self, fault: Fault, token: &IdentityToken) -> Fault {
        match self.expectations().await.as_deref().map(|issuers| expected(issuers, token)) {
            Ok(Some(reason)) => Fault { why: format!("{}: {reason}", fault.why), ..fault },
            Ok(None) => fault,
            Err(other) => {
                tracing::debug!(error = other.report(), "why a token was refused is not known");
                fault
            }
        }
    }

    async fn expectations(&self) -> Result<Vec<Issuer>> {
        #[derive(Deserialize)]
        struct Configuration {
            #[serde(default)]
            issuers: Vec<Issuer>,
        }
        let what = format!("asking {} what tokens it takes", self.address);
        let builder = self.http.client()?.get(self.url("configuration")).header(ACCEPT, JSON);
        let answer = send(&what, builder).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.fault(&what, ""));
        }
        let configuration: Configuration = serde_json::from_slice(&answer.body)
            .map_err(|e| Fault::new(ErrorKind::Protocol, what, e.to_string()))?;
        Ok(configuration.issuers)
    }

    fn url(&self, last: &str) -> Url {
        let mut url = self.address.clone();
        let path = format!("{}/api/v2/{last}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }
}

fn read(what: &str, body: &[u8]) -> Result<Answer> {
    let odd = |why: &str| Fault::new(ErrorKind::Protocol, what, why);
    let issued: Issued =
        serde_json::from_slice(body).map_err(|_| odd("its answer is not of the protocol"))?;
    let issued = issued
        .signed_certificate_embedded_sct
        .or(issued.signed_certificate_detached_sct)
        .ok_or_else(|| odd("its answer holds no certificate"))?;
    let promise = match issued.signed_certificate_timestamp.as_str() {
        "" => None,
        text => {
            let bytes = STANDARD.decode(text);
            Some(bytes.map_err(|_| odd("the timestamp in its answer is not base64"))?.into())
        }
    };
    Ok(Answer { certificates: issued.chain.certificates, promise })
}

/// An issuer whose tokens a server takes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Issuer {
    issuer_url: String,
    wildcard_issuer_url: String,
    audience: String,
}

impl Issuer {
    fn is_of(&self, token: &IdentityToken) -> bool {
        let issuer = token.issuer();
        self.issuer_url == issuer
            || (!self.wildcard_issuer_url.is_empty() && matches(&self.wildcard_issuer_url, issuer))
    }
}

/// What of the token is not as expected, where that can be told from here.
fn expected(issuers: &[Issuer], token: &IdentityToken) -> Option<String> {
    let mut of_issuer = issuers.iter().filter(|issuer| issuer.is_of(token)).peekable();
    if of_issuer.peek().is_none() {
        return Some(format!("it takes no tokens of the issuer {:?}", told(token.issuer())));
    }
    let wanted: Vec<&str> = of_issuer.map(|issuer| issuer.audience.as_str()).collect();
    if !token.audiences().iter().any(|audience| wanted.contains(&audience.as_str())) {
        let wanted = told(&wanted.join(", "));
        let found = token.audiences();
        return Some(format!("it expects the audience {wanted:?}, and the token is for {found:?}"));
    }
    None
}

/// Whether a text is of a pattern in which `*` stands for one or more letters, digits, `-` and `_`.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let wild = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut rests = vec![rest];
    for part in parts {
        // Every place where the part may begin: after one or more characters that `*` stands for.
        rests = rests
            .iter()
            .flat_map(|rest| {
                let end = rest.find(|c| !wild(c)).unwrap_or(rest.len());
                (1..=end).filter_map(move |at| rest.get(at..)?.strip_prefix(part))
            })
            .collect();
        rests.sort_unstable();
        rests.dedup();
    }
    rests.contains(&"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Connection;

    #[test]
    fn addresses_may_have_a_path() {
        let check = |address: &str, expect: Result<&str, &str>| {
            let server = Server::new(address, Http::new(Connection::default()));
            match (server, expect) {
                (Ok(server), Ok(url)) => assert_eq!(server.url("signingCert").as_str(), url),
                (Err(fault), Err(part)) => assert!(fault.why.contains(part), "{fault:?}"),
                (found, _) => panic!("{address}: {found:?}"),
            }
        };
        check("https://fulcio.io", Ok("https://fulcio.io/api/v2/signingCert"));
        check("https://fulcio.io/", Ok("https://fulcio.io/api/v2/signingCert"));
        check("http://127.0.0.1:80/a/b/", Ok("http://127.0.0.1/a/b/api/v2/signingCert"));
        check("fulcio.io", Err("relative URL"));
        check("ftp://fulcio.io", Err("http or https"));
        check("https://me:secret@fulcio.io", Err("a user or a password"));
    }

    #[test]
    fn tokens_go_over_tls_or_stay_here() {
        let check = |address: &str, expect: bool| {
            let server = Server::new(address, Http::new(Connection::default()));
            assert_eq!(server.expect("an address").is_private(), expect, "{address}");
        };
        check("https://fulcio.io", true);
        check("http://fulcio.fulcio-system.svc", false);
        check("http://127.0.0.1:5555", true);
        check("http://[::1]:5555", true);
        check("http://localhost:5555", true);
        check("http://localhost.evil.org", false);
    }

    #[test]
    fn patterns_of_issuers_match_as_the_server_says() {
        let check = |pattern: &str, text: &str, expect: bool| {
            assert_eq!(matches(pattern, text), expect, "{pattern} {text}");
        };
        let eks = "https://oidc.eks.*.amazonaws.com/id/*";
        check(eks, "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC", true);
        check(eks, "https://oidc.eks.eu.west.amazonaws.com/id/ABC", false);
        check(eks, "https://oidc.eks..amazonaws.com/id/ABC", false);
        check(eks, "https://oidc.eks.eu-west-1.amazonaws.com/id/", false);
        check(eks, "https://oidc.eks.eu-west-1.amazonaws.com/id/A/B", false);
        check(eks, "https://evil.org/oidc.eks.x.amazonaws.com/id/A", false);
        check("https://a", "https://a", true);
        check("https://*", "https://é", false);
        check("a*b*", "aabbb", true);
    }
}
