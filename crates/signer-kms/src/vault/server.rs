//! Where the server is and how it is spoken to, in the variables that Vault's own tools read.
//!
//! Of each variable there is one that starts with `VAULT_` and, for OpenBao, one that starts with `BAO_`; the
//! first wins, as in sigstore. See <https://developer.hashicorp.com/vault/docs/commands#environment-variables>.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::{Tls, Variables, certificates, certificates_in};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy, Url};

use super::names::Elsewhere;
use crate::KmsOptions;
use crate::http;

/// Where the engine is mounted, unless `TRANSIT_SECRET_ENGINE_PATH` says otherwise.
const MOUNT: &str = "transit";

/// A server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) client: Client,
    /// Without user and password.
    pub(super) base: Url,
    /// User and password of the address, for a proxy in front of the server: `Basic` and base64.
    pub(super) basic: Option<Secret>,
    /// The same of the proxy: never sent by us, and not to be told either.
    pub(super) proxy_basic: Option<Secret>,
    /// `Host` of requests, where the certificate is asked for another name.
    pub(super) host: Option<String>,
    pub(super) namespace: Option<String>,
    /// Where the transit engine is mounted, without slashes at its ends.
    pub(super) mount: String,
    /// An agent beside us adds the token itself, where we have none.
    pub(super) is_agent: bool,
    /// Whether a standby server may send us to the active one.
    pub(super) follows: bool,
}

impl Server {
    pub(super) fn new(options: &KmsOptions) -> Result<Self> {
        let variables = &options.variables;
        let (address, is_agent) = address(options)?;
        let (mut base, socket) = parse(&address)?;
        let basic = take_userinfo(&mut base);
        let builder = http::client(options, tls(variables)?)?;
        let mut builder = timeout(builder, variables)?;
        let mut proxy_basic = None;
        if let Some(address) = proxy(variables) {
            (builder, proxy_basic) = through(builder, &address)?;
        }
        #[cfg(unix)]
        if let Some(socket) = socket {
            builder = builder.unix_socket(socket);
        }
        #[cfg(not(unix))]
        if let Some(socket) = socket {
            let what = format!("using the socket {}", socket.display());
            return Err(configuration(what).with_source("this system has no such sockets"));
        }
        let mut host = None;
        if let Some(name) = two(variables, "TLS_SERVER_NAME") {
            let elsewhere = Elsewhere::instead_of(&mut base, &name)?;
            host = Some(elsewhere.authority());
            builder = builder.dns_resolver(elsewhere);
        }
        let client = chains_http::build("setting up TLS for Vault", builder)?;
        let namespace = two(variables, "NAMESPACE").map(|name| name.trim_matches('/').to_owned());
        let mount = mount(variables)?;
        let follows = !two(variables, "DISABLE_REDIRECTS").is_some_and(|text| is_true(&text));
        Ok(Self { client, base, basic, proxy_basic, host, namespace, mount, is_agent, follows })
    }
}

fn configuration(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, what)
}

/// The value of `VAULT_NAME`, else of `BAO_NAME`.
pub(super) fn two(variables: &Variables, name: &str) -> Option<String> {
    variables.first(&[&format!("VAULT_{name}"), &format!("BAO_{name}")])
}

/// The address, and whether it is an agent's.
fn address(options: &KmsOptions) -> Result<(String, bool)> {
    if let Some(address) = options.vault.address.as_deref().filter(|address| !address.is_empty()) {
        return Ok((address.to_owned(), false));
    }
    if let Some(agent) = two(&options.variables, "AGENT_ADDR") {
        return Ok((agent, true));
    }
    let address = two(&options.variables, "ADDR").ok_or_else(|| {
        configuration(format!("using {}", options.key)).with_source(
            "no address of the server is known: set `signers.kms.auth.address`, VAULT_ADDR or \
             BAO_ADDR",
        )
    })?;
    Ok((address, false))
}

/// The address with a slash at its end, and the socket on this machine where it names one.
fn parse(address: &str) -> Result<(Url, Option<PathBuf>)> {
    // Whatever it is, it may hold a password.
    let refused = |why: &str| configuration("reading the address of Vault").with_source(why);
    if let Some(socket) = address.strip_prefix("unix://") {
        let base = Url::parse("http://localhost/").map_err(|e| refused(&e.to_string()))?;
        return Ok((base, Some(PathBuf::from(socket))));
    }
    let base = Url::parse(&format!("{}/", address.trim_end_matches('/')))
        .map_err(|e| refused(&format!("{e}: it must read https://HOST[:PORT]")))?;
    if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
        return Err(refused("it must read https://HOST[:PORT] or unix:///PATH"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(refused("more than a path follows the host"));
    }
    Ok((base, None))
}

fn take_userinfo(base: &mut Url) -> Option<Secret> {
    if base.username().is_empty() && base.password().is_none() {
        return None;
    }
    // They are as they were written, percent signs and all: what has them in an address knows.
    let pair = format!("{}:{}", base.username(), base.password().unwrap_or_default());
    let pair = Secret::new(pair);
    let basic = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
    // They fail for addresses without a host alone.
    let _ = base.set_username("");
    let _ = base.set_password(None);
    Some(basic)
}

fn mount(variables: &Variables) -> Result<String> {
    let mount = variables.get("TRANSIT_SECRET_ENGINE_PATH");
    let mount = mount.as_deref().unwrap_or(MOUNT).trim_matches('/');
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let odd_part = mount.split('/').any(|part| matches!(part, "" | "." | ".."));
    if odd_part || !mount.chars().all(is_allowed) {
        let why = format!("{mount:?} is no path of a mount");
        return Err(configuration("reading TRANSIT_SECRET_ENGINE_PATH").with_source(why));
    }
    Ok(mount.to_owned())
}

fn tls(variables: &Variables) -> Result<Tls> {
    let accept_any = two(variables, "SKIP_VERIFY").is_some_and(|text| is_true(&text));
    Ok(Tls { only: authorities(variables)?, identity: identity(variables)?, accept_any })
}

/// Authorities in place of the system's: in a text, a file, or the files of a folder.
fn authorities(variables: &Variables) -> Result<Vec<Certificate>> {
    if let Some(pem) = two(variables, "CACERT_BYTES") {
        return certificates_in(pem.as_bytes())
            .map_err(|e| e.context("reading certificate authorities from VAULT_CACERT_BYTES"));
    }
    if let Some(path) = two(variables, "CACERT") {
        return certificates(Path::new(&path));
    }
    let Some(folder) = two(variables, "CAPATH") else {
        return Ok(Vec::new());
    };
    let what = || format!("reading certificate authorities from {folder}");
    let unreadable = |e: std::io::Error| configuration(what()).with_source(e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() {
            found.extend(certificates(&path)?);
        }
    }
    if found.is_empty() {
        return Err(configuration(what()).with_source("it holds no file"));
    }
    Ok(found)
}

/// The certificate to show, with its key.
fn identity(variables: &Variables) -> Result<Option<Identity>> {
    let (certificate, key) = match (two(variables, "CLIENT_CERT"), two(variables, "CLIENT_KEY")) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => {
            let why = "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY go together, and one is not set";
            return Err(configuration("reading the client certificate for Vault").with_source(why));
        }
    };
    let read = |path: &str| {
        std::fs::read(path).map_err(|e| configuration(format!("reading {path}")).with_source(e))
    };
    let pem = zeroize::Zeroizing::new([read(&key)?, b"\n".to_vec(), read(&certificate)?].concat());
    // The library's own words stay out: what it fails on is a private key.
    let identity = Identity::from_pem(&pem).map_err(|_| {
        configuration(format!("reading {certificate} and {key}"))
            .with_source("they are not a certificate and its key in PEM")
    })?;
    Ok(Some(identity))
}

/// Seconds, or a duration such as `90s` and `1m30s`.
fn timeout(builder: ClientBuilder, variables: &Variables) -> Result<ClientBuilder> {
    let Some(text) = two(variables, "CLIENT_TIMEOUT") else {
        return Ok(builder);
    };
    let duration = duration(&text).filter(|duration| !duration.is_zero()).ok_or_else(|| {
        let why = format!("{text:?} is no number of seconds and no duration such as 1m30s");
        configuration("reading VAULT_CLIENT_TIMEOUT").with_source(why)
    })?;
    Ok(builder.timeout(duration))
}

fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let (number, unit) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit_length = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let milliseconds: u64 = match unit.split_at(unit_length).0 {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
        total = total.checked_add(Duration::from_millis(part))?;
        rest = unit.split_at(unit_length).1;
    }
    Some(total)
}

fn proxy(variables: &Variables) -> Option<String> {
    two(variables, "PROXY_ADDR").or_else(|| two(variables, "HTTP_PROXY"))
}

/// The builder with the proxy, and user and password of its address.
fn through(builder: ClientBuilder, address: &str) -> Result<(ClientBuilder, Option<Secret>)> {
    // It may hold a password.
    let refused =
        || configuration("reading VAULT_PROXY_ADDR").with_source("it is no address of a proxy");
    let proxy = Proxy::all(address).map_err(|_| refused())?;
    let basic = take_userinfo(&mut Url::parse(address).map_err(|_| refused())?);
    Ok((builder.proxy(proxy), basic))
}

/// As Go reads truth.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_as_go_writes_them() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(duration(text), expect.map(Duration::from_millis), "{text}");
        };
        check("60", Some(60_000));
        check("1m30s", Some(90_000));
        check("2h", Some(7_200_000));
        check("500ms", Some(500));
        for odd in ["s", "-1", "1x", "1m30", "99999999999999999999h"] {
            check(odd, None);
        }
    }

    #[test]
    fn addresses_are_read() {
        let check = |text: &str, base: &str, socket: Option<&str>| {
            let (url, path) = parse(text).expect(text);
            assert_eq!((url.as_str(), path.as_deref()), (base, socket.map(Path::new)));
        };
        check("https://vault:8200", "https://vault:8200/", None);
        check("http://[::1]:8200/path//", "http://[::1]:8200/path/", None);
        check("unix:///run/agent.sock", "http://localhost/", Some("/run/agent.sock"));
        for odd in ["vault:8200", "ftp://vault", "https://", "https://v?x", "https://v#x", ""] {
            let error = parse(odd).expect_err(odd);
            assert_eq!(error.kind(), ErrorKind::Configuration, "{}", error.report());
        }
    }

    #[test]
    fn mounts_are_paths() {
        let check = |text: &str, expect: Option<&str>| {
            let variables = Variables::of([("TRANSIT_SECRET_ENGINE_PATH", text)]);
            assert_eq!(mount(&variables).ok().as_deref(), expect, "{text}");
        };
        check("", Some("transit"));
        check("/team/a/transit/", Some("team/a/transit"));
        for odd in ["a//b", "../sys", "a b", "a?b", "/"] {
            check(odd, None);
        }
    }
}
