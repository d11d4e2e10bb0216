//! A token server, for registries that take bearer tokens: it tells users apart by the repositories
//! that they may write, and remembers what it was asked.
//!
//! Speaks the distribution project's [token protocol] and, for identity tokens, its OAuth 2 form.
//!
//! [token protocol]: https://distribution.github.io/distribution/spec/auth/token/

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::{
    http::{HttpServer, Request, Response},
    scene::Scene,
};

/// What registries that trust this server must be told.
pub const ISSUER: &str = "chains-e2e";
/// The name under which the registry is known to this server.
pub const SERVICE: &str = "registry";

/// Someone whom the token server knows.
#[derive(Clone, Debug)]
pub struct User {
    /// The name, empty where an identity token is all that is known of them.
    pub name: &'static str,
    /// The password, or the identity token.
    pub secret: &'static str,
    /// The repositories that they may read and write begin with this.
    pub prefix: &'static str,
}

/// The running server.
#[derive(Debug)]
pub struct TokenServer {
    server: HttpServer,
    certificate: PathBuf,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl TokenServer {
    /// Starts one that knows `users`.
    ///
    /// # Errors
    /// If its key or its port cannot be had.
    pub fn start(scene: &Scene<'_>, users: &[User]) -> Result<Self> {
        let keys = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![ISSUER.to_owned()])?.self_signed(&keys)?;
        let mint = Mint {
            users: users.to_vec(),
            key: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, keys.serialized_der())
                .context("read the token server's key")?,
            certificate: STANDARD.encode(certificate.der()),
        };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let server = HttpServer::start(move |request| {
            let response = mint.answer(&request);
            log.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            response.unwrap_or_else(|| Response::new(401, "no such user"))
        })?;
        let certificate = scene.write("token-server.pem", certificate.pem())?;
        Ok(Self { server, certificate, seen })
    }

    /// Its host and port.
    #[must_use]
    pub fn host(&self) -> String {
        // By name: clients refuse a realm that is a private address unless it is the registry's own.
        self.server.host().replace("127.0.0.1", "localhost")
    }

    /// Where tokens are given out.
    #[must_use]
    pub fn realm(&self) -> String {
        format!("http://{}/token", self.host())
    }

    /// The certificate by which registries check its tokens.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Every request so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Mint {
    users: Vec<User>,
    key: EcdsaKeyPair,
    certificate: String,
}

impl Mint {
    /// The token, or `None` for a user who is not known or has the wrong password.
    fn answer(&self, request: &Request) -> Option<Response> {
        let (_, query) = request.path.split_once('?').unwrap_or_default();
        let form = String::from_utf8_lossy(&request.body);
        let parameters = if request.method == "POST" { form.as_ref() } else { query };
        let parameter = |name: &str| {
            let mut pairs = parameters.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| unescape(value))
        };

        let user = match (request.header("authorization"), parameter("refresh_token")) {
            (Some(basic), _) => {
                let basic = STANDARD.decode(basic.strip_prefix("Basic ")?).ok()?;
                let basic = String::from_utf8(basic).ok()?;
                let (name, secret) = basic.split_once(':')?;
                Some(self.users.iter().find(|user| user.name == name && user.secret == secret)?)
            }
            (None, Some(token)) => Some(self.users.iter().find(|user| user.secret == token)?),
            (None, None) => None,
        };
        let scope = parameter("scope").unwrap_or_default();
        let token = self.token(user, &scope)?;
        let body = json!({ "token": token, "access_token": token, "expires_in": 300 });
        Some(Response::new(200, body.to_string()).with("Content-Type", "application/json"))
    }

    /// A token for what the user may do of what is asked; for nobody, one that allows nothing.
    fn token(&self, user: Option<&User>, scopes: &str) -> Option<String> {
        let access: Vec<Value> = scopes
            .split(' ')
            .filter_map(|scope| {
                let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
                let actions: Vec<&str> = actions.split(',').collect();
                name.starts_with(user?.prefix)
                    .then(|| json!({ "type": "repository", "name": name, "actions": actions }))
            })
            .collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [self.certificate] });
        let claims = json!({
            "iss": ISSUER, "aud": SERVICE, "sub": user.map_or("", |user| user.name), "jti": "1",
            "iat": now, "nbf": now - 10, "exp": now + 300, "access": access,
        });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Undoes the escapes of a query or a form.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.get(..2)).flatten();
        let escaped = escaped.and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(if first == b'+' { b' ' } else { first });
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
