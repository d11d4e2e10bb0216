//! The token that calls are made with: fetched once for many signatures, renewed before it expires, and replaced
//! when it is refused and there is another.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::{Fresh, Kept};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::api::Call;
use super::server::Server;
use super::token::{self, Login, Source};

/// How long a token file is not looked at again.
const LOOK: Duration = Duration::from_secs(1);
/// A login that is this young is not repeated because its token is refused.
const YOUNG: Duration = Duration::from_secs(10);
/// How long at most until a token that was given is looked up again: the file may hold another one.
const PAUSE: Duration = Duration::from_secs(60);

/// A token.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) secret: Secret,
    /// When it was logged in for.
    got: Instant,
    /// How many seconds it was granted, where it can be renewed.
    renewable: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) server: Server,
    reference: String,
    source: Source,
    /// Of a text or a file.
    held: Mutex<Option<Held>>,
    /// Of a login.
    kept: Kept<Token>,
    keeper: std::sync::Once,
}

#[derive(Debug, Clone)]
struct Held {
    token: Arc<Token>,
    looked: Instant,
}

/// What is to be done about a call that was refused.
pub(super) enum Refused {
    /// There is another token: try once more.
    Another(Arc<Token>),
    /// The token is good: its policies do not allow the call.
    Denied,
    /// The token is not good any more, and there is no other.
    Invalid,
}

/// What logins and renewals answer.
#[derive(Deserialize)]
struct Authenticated {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

/// What looking a token up answers.
#[derive(Deserialize)]
struct LookedUp {
    data: TokenData,
}

#[derive(Deserialize)]
struct TokenData {
    /// What is left of it, in seconds; 0 where it never expires.
    #[serde(default)]
    ttl: u64,
    /// What it was granted.
    #[serde(default)]
    creation_ttl: u64,
    #[serde(default)]
    renewable: bool,
}

impl Session {
    pub(super) fn new(server: Server, reference: String, source: Source) -> Self {
        Self {
            server,
            reference,
            source,
            held: Mutex::default(),
            kept: Kept::new(),
            keeper: std::sync::Once::new(),
        }
    }

    /// The token to make a call with.
    pub(super) async fn token(self: &Arc<Self>) -> Result<Arc<Token>> {
        match &self.source {
            Source::Agent => Ok(Arc::new(Token::of(Secret::default()))),
            Source::Given(secret) => {
                self.keep_alive();
                Ok(self.held().unwrap_or_else(|| self.hold(Token::of(secret.clone()))))
            }
            Source::File(_) => {
                self.keep_alive();
                self.in_file(LOOK)
            }
            Source::Login(login) => self.logged_in(login).await,
        }
    }

    /// What to do after a call with `token` was refused.
    pub(super) async fn refused(self: &Arc<Self>, token: &Arc<Token>) -> Result<Refused> {
        let other = match &self.source {
            Source::Given(_) | Source::Agent => None,
            Source::File(_) => Some(self.in_file(Duration::ZERO)?),
            Source::Login(_) => self.kept.value(),
        };
        if let Some(other) = other.filter(|other| other.secret != token.secret) {
            return Ok(Refused::Another(other));
        }
        if self.look_up(&token.secret).await.is_ok() {
            return Ok(Refused::Denied);
        }
        match &self.source {
            Source::Login(login) if token.got.elapsed() >= YOUNG => {
                self.kept.forget(token);
                self.logged_in(login).await.map(Refused::Another)
            }
            _ => Ok(Refused::Invalid),
        }
    }

    /// The token in the file, which is read again unless that was done less than `within` ago.
    fn in_file(&self, within: Duration) -> Result<Arc<Token>> {
        let Source::File(path) = &self.source else {
            return Err(Error::new(ErrorKind::Internal, "the token is not in a file"));
        };
        let held = self.state().clone();
        if let Some(held) = held.as_ref().filter(|held| held.looked.elapsed() < within) {
            return Ok(Arc::clone(&held.token));
        }
        match (token::read(path, "a token of Vault"), held) {
            (Ok(secret), Some(held)) if secret == held.token.secret => {
                *self.state() = Some(Held { looked: Instant::now(), ..held.clone() });
                Ok(held.token)
            }
            (Ok(secret), _) => Ok(self.hold(Token::of(secret))),
            // Whoever writes it may be at it right now.
            (Err(error), Some(held)) => {
                tracing::warn!(error = %error.report(), "the token at hand is used on");
                Ok(held.token)
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn logged_in(&self, login: &Login) -> Result<Arc<Token>> {
        let fetch = |held: Option<Arc<Token>>| async move {
            if let Some(token) = held
                && let Some(renewed) = self.renew(&token).await
            {
                return Ok(renewed);
            }
            self.log_in(login).await
        };
        self.kept.get(fetch).await
    }

    async fn log_in(&self, login: &Login) -> Result<Fresh<Token>> {
        let jwt = login.jwt.fetch().await?;
        let (path, role) = (&login.path, &login.role);
        let what = format!("logging in at Vault as {role:?} (auth/{path}/login)");
        let body = match role.is_empty() {
            true => json!({ "jwt": jwt.expose() }),
            false => json!({ "role": role, "jwt": jwt.expose() }),
        };
        let answer = self
            .server
            .call(&Call {
                what: &what,
                method: Method::POST,
                path: &format!("auth/{path}/login"),
                token: None,
                body: Some(&body),
                login: Some(&jwt),
            })
            .await?;
        let auth = answer.json::<Authenticated>(&what)?.auth;
        tracing::debug!(reference = self.reference, role, path, "logged in at Vault");
        Ok(auth.fresh(Instant::now()))
    }

    /// The token with a new life as long as the old one, or `None`.
    async fn renew(&self, token: &Token) -> Option<Fresh<Token>> {
        let granted = token.renewable?;
        match self.ask_to_renew(&token.secret).await {
            // Towards its greatest age, it is renewed for less and less.
            Ok(auth) if auth.lease_duration > granted / 2 => Some(auth.fresh(token.got)),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(error = %error.report(), "the token is not renewed");
                None
            }
        }
    }

    async fn ask_to_renew(&self, secret: &Secret) -> Result<Auth> {
        let what = format!("renewing the token for {}", self.reference);
        let path = "auth/token/renew-self";
        let body = json!({});
        let call = Call {
            what: &what,
            method: Method::POST,
            path,
            token: Some(secret),
            body: Some(&body),
            login: None,
        };
        Ok(self.server.call(&call).await?.json::<Authenticated>(&what)?.auth)
    }

    async fn look_up(&self, secret: &Secret) -> Result<TokenData> {
        let what = format!("looking up the token for {}", self.reference);
        let path = "auth/token/lookup-self";
        let call = Call {
            what: &what,
            method: Method::GET,
            path,
            token: Some(secret),
            body: None,
            login: None,
        };
        Ok(self.server.call(&call).await?.json::<LookedUp>(&what)?.data)
    }

    /// Renews a token that was given for as long as the session lives, in idle times too.
    fn keep_alive(self: &Arc<Self>) {
        let session = Arc::downgrade(self);
        self.keeper.call_once(|| drop(tokio::spawn(keep_alive(session))));
    }

    fn held(&self) -> Option<Arc<Token>> {
        self.state().as_ref().map(|held| Arc::clone(&held.token))
    }

    fn hold(&self, token: Token) -> Arc<Token> {
        let token = Arc::new(token);
        *self.state() = Some(Held { token: Arc::clone(&token), looked: Instant::now() });
        token
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn keep_alive(session: Weak<Session>) {
    loop {
        let pause = {
            let Some(session) = session.upgrade() else { return };
            let Some(pause) = session.renewed_for().await else { return };
            pause
        };
        tokio::time::sleep(pause).await;
    }
}

impl Session {
    /// Renews the token at hand where half of it is over, and tells when to look again; `None` where that is never
    /// needed.
    async fn renewed_for(self: &Arc<Self>) -> Option<Duration> {
        let is_file = matches!(self.source, Source::File(_));
        let otherwise = is_file.then_some(PAUSE);
        let Ok(token) = self.token().await else {
            return otherwise;
        };
        let data = match self.look_up(&token.secret).await {
            Ok(data) if data.renewable && data.ttl > 0 => data,
            Err(error) if error.is_retryable() => return Some(PAUSE),
            _ => return otherwise,
        };
        let left = if data.ttl > data.creation_ttl / 2 {
            data.ttl - data.creation_ttl / 2
        } else {
            match self.ask_to_renew(&token.secret).await {
                Ok(auth) => auth.lease_duration / 2,
                Err(error) => {
                    tracing::warn!(error = %error.report(), "the token will expire");
                    data.ttl / 3
                }
            }
        };
        let next = Duration::from_secs(left.max(1));
        Some(if is_file { next.min(PAUSE) } else { next })
    }
}

impl Token {
    fn of(secret: Secret) -> Self {
        Self { secret, got: Instant::now(), renewable: None }
    }
}

impl Auth {
    /// The token, which was logged in for at `got`; it is replaced after two thirds of its life.
    fn fresh(self, got: Instant) -> Fresh<Token> {
        let seconds = self.lease_duration;
        let lifetime = (seconds > 0).then(|| Duration::from_secs(seconds));
        let secret = Secret::new(self.client_token);
        let value = Token { secret, got, renewable: self.renewable.then_some(seconds) };
        Fresh { value, lifetime, margin: Duration::from_secs(seconds) / 3 }
    }
}
