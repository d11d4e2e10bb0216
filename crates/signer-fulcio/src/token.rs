//! Identity tokens: JSON Web Tokens of an OpenID Connect issuer.
//!
//! What a token claims is read and not verified: that is the server's part. It is read so that a token
//! that is meant for something else is not shown to it, and so that a refusal can be explained.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chains_core::{Error, ErrorKind, Result, Secret};
use serde::Deserialize;
use zeroize::Zeroizing;

/// By how much clocks may differ.
const SKEW: Duration = Duration::from_secs(60);

/// An identity token, with what it claims. The token itself never shows.
///
/// ```
/// use chains_signer_fulcio::IdentityToken;
/// // {"iss":"https://issuer.example.com","sub":"someone","aud":"sigstore"}
/// let token = IdentityToken::parse(
///     "e30.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlLmNvbSIsInN1YiI6InNvbWVvbmUiLCJhdWQiOiJzaWdzdG9yZSJ9.c2ln",
/// )?;
/// assert_eq!(token.issuer(), "https://issuer.example.com");
/// assert!(!format!("{token:?}").contains("c2ln"));
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Clone)]
pub struct IdentityToken {
    text: Secret,
    claims: Claims,
}

#[derive(Clone, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    #[serde(default)]
    aud: Audience,
    exp: Option<f64>,
}

/// One or several ([RFC 7519 §4.1.3](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3)).
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Default for Audience {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl IdentityToken {
    /// Reads a token; white space around it is not part of it.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] where it is no JSON Web Token, or has no issuer or subject. No error holds
    /// anything of the token.
    pub fn parse(text: &str) -> Result<Self> {
        let text = Secret::new(text.trim());
        let odd = |why: &str| {
            Error::new(ErrorKind::Unauthorized, "reading an identity token")
                .with_source(why.to_owned())
        };
        if text.is_empty() {
            return Err(odd("it is empty"));
        }
        let mut parts = text.expose().split('.');
        let (Some(_), Some(payload), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(odd("it is no JSON Web Token: it has not three parts"));
        };
        let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).map(Zeroizing::new);
        let json = json.map_err(|_| odd("it is no JSON Web Token: its claims are not base64"))?;
        // The parser's own message may quote the claims.
        let claims: Claims = serde_json::from_slice(&json)
            .map_err(|_| odd("its claims are not JSON with an issuer and a subject"))?;
        Ok(Self { text, claims })
    }

    /// The issuer (`iss`).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.claims.iss
    }

    /// Whom it speaks of (`sub`).
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.claims.sub
    }

    /// What it may be used for (`aud`).
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        match &self.claims.aud {
            Audience::One(one) => std::slice::from_ref(one),
            Audience::Many(many) => many,
        }
    }

    /// When it ends (`exp`).
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        let seconds = self.claims.exp?;
        Some(Duration::try_from_secs_f64(seconds).map_or(UNIX_EPOCH, |exp| UNIX_EPOCH + exp))
    }

    /// The token itself. Call it where it is sent and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// Checks that it is what was asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`] where it is for another audience, of another issuer, or has ended.
    pub(crate) fn check(
        &self,
        audience: &str,
        issuer: Option<&str>,
        now: SystemTime,
    ) -> Result<()> {
        let refused = |why: String| {
            Error::new(ErrorKind::Unauthorized, "using an identity token").with_source(why)
        };
        if !self.audiences().iter().any(|one| one == audience) {
            return Err(refused(format!(
                "it is for the audience {:?}, not for {audience:?}",
                self.audiences()
            )));
        }
        if let Some(issuer) = issuer
            && issuer.trim_end_matches('/') != self.issuer().trim_end_matches('/')
        {
            return Err(refused(format!(
                "it is of the issuer {:?}, not {issuer:?}",
                self.issuer()
            )));
        }
        if let Some(ended) = self.expires().and_then(|expires| now.duration_since(expires).ok())
            && ended > SKEW
        {
            let seconds = ended.as_secs();
            return Err(refused(format!("it ended {seconds} seconds ago, by the clock here")));
        }
        Ok(())
    }

    /// The text without the token or a part of it.
    pub(crate) fn redact(&self, text: &str) -> String {
        let parts = std::iter::once(self.expose()).chain(self.expose().split('.'));
        parts
            .filter(|part| part.len() > 3)
            .fold(text.to_owned(), |text, part| text.replace(part, "[redacted]"))
    }
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityToken")
            .field("issuer", &self.issuer())
            .field("subject", &self.subject())
            .field("audiences", &self.audiences())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(r#"{"alg":"none"}"#), part(claims), part("a signature"))
    }

    fn check(text: &str, expect: Result<&str, &str>) {
        match (IdentityToken::parse(text), expect) {
            (Ok(token), Ok(subject)) => assert_eq!(token.subject(), subject),
            (Err(error), Err(part)) => assert!(error.report().contains(part), "{}", error.report()),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn tokens_are_read() {
        check(&token(r#"{"iss":"i","sub":"me","aud":"a"}"#), Ok("me"));
        check(&format!(" {}\n", token(r#"{"iss":"i","sub":"me","aud":["a","b"]}"#)), Ok("me"));
        check(&token(r#"{"iss":"i","sub":"me"}"#), Ok("me"));
        check("", Err("it is empty"));
        check("\n", Err("it is empty"));
        check("secret", Err("not three parts"));
        check("a.b.c.d", Err("not three parts"));
        check("a.!.c", Err("not base64"));
        check(&token("secret"), Err("not JSON"));
        check(&token(r#"{"sub":"me"}"#), Err("with an issuer"));
        check(&token(r#"{"iss":"i","sub":{"secret":1}}"#), Err("with an issuer"));
    }

    #[test]
    fn tokens_for_something_else_are_refused() {
        let now = UNIX_EPOCH + Duration::from_secs(10_000);
        let check = |claims: &str, issuer: Option<&str>, expect: Option<&str>| {
            let token = IdentityToken::parse(&token(claims)).expect("a token");
            match (token.check("sigstore", issuer, now), expect) {
                (Ok(()), None) => {}
                (Err(error), Some(part)) => {
                    assert!(error.report().contains(part), "{}", error.report());
                }
                (found, _) => panic!("{claims}: {found:?}"),
            }
        };
        let good = r#"{"iss":"https://i","sub":"me","aud":["x","sigstore"],"exp":10001}"#;
        check(good, None, None);
        check(good, Some("https://i"), None);
        check(good, Some("https://i/"), None);
        check(good, Some("https://j"), Some(r#"of the issuer "https://i", not "https://j""#));
        check(r#"{"iss":"i","sub":"me"}"#, None, Some("for the audience [], not"));
        check(r#"{"iss":"i","sub":"me","aud":"x"}"#, None, Some(r#"["x"], not for "sigstore""#));
        let ends = |at: &str| format!(r#"{{"iss":"i","sub":"me","aud":"sigstore","exp":{at}}}"#);
        check(&ends("9950"), None, None);
        check(&ends("9000"), None, Some("it ended 1000 seconds ago"));
        check(&ends("9000.5"), None, Some("it ended"));
        check(&ends("-1"), None, Some("it ended"));
        check(&ends("1e300"), None, Some("it ended"));
    }

    #[test]
    fn a_token_and_its_parts_are_taken_out_of_texts() {
        let text = token(r#"{"iss":"i","sub":"me","aud":"a"}"#);
        let token = IdentityToken::parse(&text).expect("a token");
        let parts: Vec<&str> = text.split('.').collect();
        let said = format!("got {text} and {} and {}", parts[1], parts[2]);
        assert_eq!(token.redact(&said), "got [redacted] and [redacted] and [redacted]");
        assert!(!parts.iter().any(|part| format!("{token:?}").contains(part)));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic_or_tell(text in ".{0,64}") {
            if let Err(error) = IdentityToken::parse(&text) {
                prop_assert!(text.trim().len() < 8 || !error.report().contains(text.trim()));
            }
        }
    }
}
