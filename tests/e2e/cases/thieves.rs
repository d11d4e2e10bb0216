//! Registries that are after the credentials of others: none ever comes where it does not belong.

use std::sync::{Arc, Mutex, PoisonError};

use chains_e2e::{
    Case, Result, Scene, case,
    chains::Chains,
    ensure,
    http::{HttpServer, Request, Response},
    registry::Image,
};

use crate::access::{ALICE, build, our_keys, user};

const BASIC: &str = "Basic realm=\"registry\"";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("thieves::nothing_over_plain_http", &[], nothing_over_plain_http),
        case("thieves::nothing_to_a_host_without_credentials", &[], to_another_host),
        case("thieves::nothing_to_where_an_upload_is_sent", &[], to_where_an_upload_is_sent),
        case("thieves::nothing_to_where_a_read_is_sent", &[], to_where_a_read_is_sent),
        case("thieves::no_password_for_a_token_over_plain_http", &[], token_over_plain_http),
        case("thieves::no_call_to_an_internal_address", &[], internal_address),
    ]
}

/// The registry has no TLS, and nobody said that this is fine.
fn nothing_over_plain_http(scene: &Scene<'_>) -> Result<()> {
    let thief = Thief::start(|_| Response::new(401, "").with("WWW-Authenticate", BASIC))?;
    let access = user(scene, &[(&thief.host(), ALICE.name, ALICE.secret)])?;
    let image = Image { host: thief.host(), ..an_image() };
    let chains = Chains::new(scene).with(&access);
    chains.sign(&our_keys(scene)?.private, &build(&image))?.refused()?;
    thief.got_nothing()
}

/// A result names a registry that asks for a password; there are credentials, for another one.
fn to_another_host(scene: &Scene<'_>) -> Result<()> {
    let thief = Thief::start(|_| Response::new(401, "").with("WWW-Authenticate", BASIC))?;
    let access = user(
        scene,
        &[
            ("127.0.0.1", ALICE.name, ALICE.secret),
            ("127.0.0.1:1", ALICE.name, ALICE.secret),
            ("*.0.0.1:1", ALICE.name, ALICE.secret),
            ("registry.test", ALICE.name, ALICE.secret),
        ],
    )?;
    let image = Image { host: thief.host(), ..an_image() };
    let chains = Chains::new(scene).insecure(thief.host()).with(&access);
    chains.sign(&our_keys(scene)?.private, &build(&image))?.refused()?;
    ensure!(!thief.seen().is_empty(), "nobody asked it anything");
    thief.got_nothing()
}

/// A registry with rightful credentials sends the upload to another host.
fn to_where_an_upload_is_sent(scene: &Scene<'_>) -> Result<()> {
    let thief = Thief::start(|_| Response::new(201, ""))?;
    let target = format!("http://{}/v2/shop/app/blobs/uploads/1?x=y", thief.host());
    let accomplice = Thief::start(move |request| match request.method.as_str() {
        _ if request.header("authorization").is_none() => {
            Response::new(401, "").with("WWW-Authenticate", BASIC)
        }
        "POST" => Response::new(202, "").with("Location", target.as_str()),
        _ => Response::new(404, ""),
    })?;
    from_accomplice(scene, &thief, &accomplice)
}

/// A registry with rightful credentials redirects what is read to another host.
fn to_where_a_read_is_sent(scene: &Scene<'_>) -> Result<()> {
    let thief = Thief::start(|_| Response::new(404, ""))?;
    let target = format!("http://{}", thief.host());
    let accomplice = Thief::start(move |request| match request.method.as_str() {
        _ if request.header("authorization").is_none() => {
            Response::new(401, "").with("WWW-Authenticate", BASIC)
        }
        "GET" | "HEAD" if request.path != "/v2/" => {
            Response::new(307, "").with("Location", format!("{target}{}", request.path))
        }
        _ => Response::new(404, ""),
    })?;
    from_accomplice(scene, &thief, &accomplice)
}

/// A registry with rightful credentials has tokens given out by a host of which nobody said that it
/// may be spoken to without TLS.
fn token_over_plain_http(scene: &Scene<'_>) -> Result<()> {
    let thief = Thief::start(|_| Response::new(200, r#"{"token": "x"}"#))?;
    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"x\"", thief.host());
    let accomplice =
        Thief::start(move |_| Response::new(401, "").with("WWW-Authenticate", challenge.as_str()))?;
    sign_at(scene, &accomplice, Chains::new(scene))?;
    ensure!(!accomplice.seen().is_empty(), "nobody asked it anything");
    thief.was_not_asked()
}

/// A registry sends reads and uploads to an address that only this machine can reach.
fn internal_address(scene: &Scene<'_>) -> Result<()> {
    let thief = Thief::start(|_| Response::new(404, ""))?;
    let target = format!("http://{}/metadata", thief.host());
    let accomplice = Thief::start(move |request| match request.path.as_str() {
        "/v2/" => Response::new(200, ""),
        _ => Response::new(307, "").with("Location", target.as_str()),
    })?;
    sign_at(scene, &accomplice, Chains::new(scene))?;
    ensure!(accomplice.seen().len() > 1, "nobody asked it anything: {:#?}", accomplice.seen());
    thief.was_not_asked()
}

/// Signs an image of the accomplice, who has credentials of its own, and fails.
fn sign_at(scene: &Scene<'_>, accomplice: &Thief, chains: Chains<'_>) -> Result<()> {
    let access = user(scene, &[(&accomplice.host(), ALICE.name, ALICE.secret)])?;
    let image = Image { host: accomplice.host(), ..an_image() };
    let chains = chains.insecure(accomplice.host()).with(&access);
    chains.sign(&our_keys(scene)?.private, &build(&image))?.refused()?;
    Ok(())
}

/// The accomplice gets the password that is its own, the thief to whom it points does not.
fn from_accomplice(scene: &Scene<'_>, thief: &Thief, accomplice: &Thief) -> Result<()> {
    sign_at(scene, accomplice, Chains::new(scene).insecure(thief.host()))?;
    let authorized = accomplice.seen().iter().any(|it| it.header("authorization").is_some());
    ensure!(authorized, "the registry's own credentials never came: {:#?}", accomplice.seen());
    thief.got_nothing()
}

fn an_image() -> Image {
    Image {
        host: String::new(),
        repository: "shop/app".to_owned(),
        digest: format!("sha256:{}", "a".repeat(64)),
    }
}

/// A host that writes down all that it is sent.
struct Thief {
    server: HttpServer,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Thief {
    /// Starts one that answers by `handler`.
    fn start(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let server = HttpServer::start(move |request| {
            let response = handler(&request);
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            response
        })?;
        Ok(Self { server, seen })
    }

    fn host(&self) -> String {
        self.server.host()
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nobody came.
    fn was_not_asked(&self) -> Result<()> {
        ensure!(self.seen().is_empty(), "it was asked: {:#?}", self.seen());
        Ok(())
    }

    /// Nothing that it saw has a credential in it.
    fn got_nothing(&self) -> Result<()> {
        for request in self.seen() {
            let sent = format!("{request:?}{}", String::from_utf8_lossy(&request.body));
            let stolen = request.header("authorization").is_some() || sent.contains(ALICE.secret);
            ensure!(!stolen, "credentials went to another host: {request:#?}");
        }
        Ok(())
    }
}
