//! An issuer of identity tokens, as Fulcio finds it: discovery, keys, and tokens for whomever a case likes. (A cluster is another, by itself.)

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::http::{HttpServer, Request, Response};

/// The audience that Fulcio wants.
pub const AUDIENCE: &str = "sigstore";
/// How long a token is good for, in seconds.
const VALID: u64 = 600;

/// The running issuer.
#[derive(Debug)]
pub struct Issuer {
    server: HttpServer,
    key: EcdsaKeyPair,
}

impl Issuer {
    /// Starts one with a new key.
    ///
    /// # Errors
    /// If its key or its port cannot be had.
    pub fn start() -> Result<Self> {
        let pair = KeyPair::generate()?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair.serialized_der())
            .context("read the issuer's key")?;
        let point = key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let keys = json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": part(x), "y": part(y),
        }]});
        let server = HttpServer::start(move |request| answer(&request, &keys))?;
        Ok(Self { server, key })
    }

    /// The issuer of tokens with email addresses.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.host())
    }

    /// What Fulcio must be told, in YAML; `clusters` are issuers of service accounts' tokens.
    #[must_use]
    pub fn fulcio_config(&self, clusters: &[String]) -> String {
        let issuer = |url: String, kind: &str| {
            let about = json!({
                "issuer-url": url, "client-id": AUDIENCE, "type": kind,
                "contact": "someone@example.test", "description": kind,
            });
            (url, about)
        };
        let clusters = clusters.iter().map(|url| issuer(url.clone(), "kubernetes"));
        let issuers: serde_json::Map<_, _> =
            clusters.chain([issuer(self.url(), "email")]).collect();
        // What is JSON as a whole would be read as a format of old.
        format!("oidc-issuers: {}", Value::Object(issuers))
    }

    /// A token of somebody with this email address.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn email(&self, address: &str, audience: &str) -> Result<String> {
        let claims = json!({ "sub": address, "email": address, "email_verified": true });
        self.token(&self.url(), audience, claims)
    }

    fn token(&self, issuer: &str, audience: &str, mut claims: Value) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        claims["iss"] = json!(issuer);
        claims["aud"] = json!([audience]);
        claims["iat"] = json!(now);
        claims["nbf"] = json!(now - 10);
        claims["exp"] = json!(now + VALID);
        let header = json!({ "typ": "JWT", "alg": "ES256", "kid": "1" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The identity that Fulcio certifies for a service account.
#[must_use]
pub fn account_identity(namespace: &str, name: &str) -> String {
    format!("https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{name}")
}

fn answer(request: &Request, keys: &Value) -> Response {
    let json = |value: &Value| {
        Response::new(200, value.to_string()).with("Content-Type", "application/json")
    };
    let host = request.header("host").unwrap_or_default();
    match request.path.strip_suffix("/.well-known/openid-configuration") {
        Some("") => json(&json!({
            "issuer": format!("http://{host}"),
            "jwks_uri": format!("http://{host}/keys"),
            "authorization_endpoint": format!("http://{host}/authorize"),
            "token_endpoint": format!("http://{host}/token"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })),
        None if request.path == "/keys" => json(keys),
        _ => Response::new(404, "no such page"),
    }
}
