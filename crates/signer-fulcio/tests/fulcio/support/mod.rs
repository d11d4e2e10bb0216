//! A small Fulcio, tokens for it, and servers that answer as they are told.

mod authority;
mod server;
mod tls;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chains_signer_fulcio::{
    Connection, FulcioOptions, FulcioSigner, Given, IdentityToken, Proxy, TrustSource,
};

pub(crate) use authority::Authority;
pub(crate) use server::{Answers, Behaviour, Fulcio};
pub(crate) use tls::Tls;

/// The issuer whose tokens the server takes.
pub(crate) const ISSUER: &str = "https://issuer.example.com";

/// A token with these claims besides issuer and subject, e.g. `"aud":"sigstore"`.
pub(crate) fn token_text(claims: &str) -> String {
    token_of(ISSUER, claims)
}

/// The same of another issuer.
pub(crate) fn token_of(issuer: &str, claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = format!(r#"{{"iss":"{issuer}","sub":"the subject",{claims}}}"#);
    format!("{}.{}.{}", part(r#"{"alg":"RS256"}"#), part(&claims), part("the signature"))
}

pub(crate) fn token() -> String {
    token_text(r#""aud":"sigstore""#)
}

pub(crate) fn given(text: &str) -> Arc<Given> {
    Arc::new(Given::new(IdentityToken::parse(text).expect("a token")))
}

/// Reached directly, whatever proxies the environment of the tests names.
pub(crate) fn direct() -> Connection {
    Connection { proxy: Proxy::Direct, ..Connection::default() }
}

pub(crate) fn options(address: &str) -> FulcioOptions {
    FulcioOptions { address: address.to_owned(), connection: direct(), ..FulcioOptions::default() }
}

pub(crate) fn signer(
    fulcio: &Fulcio,
    text: &str,
    trust: Option<Arc<dyn TrustSource>>,
) -> FulcioSigner {
    FulcioSigner::new(options(&fulcio.address), given(text), trust).expect("a signer")
}
