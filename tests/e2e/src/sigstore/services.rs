//! Sigstore's servers: Fulcio, Rekor 1 and 2, the timestamp authority, a certificate transparency log.

use std::{
    fmt::Write as _,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use rcgen::{KeyPair, PKCS_ED25519};

use super::{authority::CodeSigning, front::Front, issuer::Issuer};
use crate::{
    cluster::Cluster,
    http,
    scene::Scene,
    server::{Server, free_port},
};

/// The certificate authority.
pub const FULCIO: &str = "fulcio";
/// The log of version 1.
pub const REKOR_1: &str = "rekor-1";
/// The log of version 2.
pub const REKOR_2: &str = "rekor-2";
/// Where the log of version 1, and that of certificates, keep their trees.
pub const TRILLIAN: &str = "trillian-mem";
/// The timestamp authority.
pub const TIMESTAMPS: &str = "timestamp-authority";
/// The log of certificates.
pub const CT_LOG: &str = "ct-log";
/// The network in which servers may listen on every interface.
pub const NETWORK: &str = "own-network";

const READY_WITHIN: Duration = Duration::from_secs(60);
/// The name of the certificates' log, in its addresses.
const CT_PREFIX: &str = "certificates";
/// Fulcio insists on a password, also for a key that has none.
const NO_PASSWORD: &str = "none";

/// Trees in memory: one for certificates, one for what is signed.
#[derive(Debug)]
pub(super) struct Trillian {
    server: Server,
    trees: Vec<String>,
}

impl Trillian {
    pub(super) fn start(scene: &Scene<'_>) -> Result<Self> {
        let program = scene.program(TRILLIAN)?;
        let command = |port| {
            let mut command = Command::new(program);
            command.arg(format!("127.0.0.1:{port}")).arg("2");
            Ok(command)
        };
        let server = Server::start(&scene.log(TRILLIAN), READY_WITHIN, command, connects)
            .context("start Trillian")?;
        let log = server.log()?;
        let trees = log.lines().filter_map(|line| line.strip_prefix("tree ")).map(str::to_owned);
        Ok(Self { trees: trees.collect(), server })
    }

    fn tree(&self, index: usize) -> Result<&str> {
        self.trees.get(index).map(String::as_str).context("Trillian told no such tree")
    }
}

/// Starts Rekor 1 behind `front`; what it has logged is with Trillian, and so outlives it.
pub(super) fn rekor_1(
    scene: &Scene<'_>,
    trillian: &Trillian,
    key: &Path,
    front: &Front,
) -> Result<Server> {
    let program = scene.program(REKOR_1)?;
    let tree = trillian.tree(1)?;
    let command = |port: u16| {
        let mut command = Command::new(program);
        command
            .args(["serve", "--rekor_server.address=127.0.0.1", "--enable_retrieve_api=false"])
            .arg("--trillian_log_server.address=127.0.0.1")
            .arg(format!("--trillian_log_server.port={}", trillian.server.port()))
            .arg(format!("--trillian_log_server.tlog_id={tree}"))
            .arg(format!("--port={port}"))
            .arg(format!("--rekor_server.hostname={}", front.host()))
            .arg(format!("--rekor_server.signer={}", key.display()))
            .env("HOME", scene.path("home"));
        Ok(command)
    };
    let ready = |port| answers(port, "/api/v1/log");
    let server = Server::start(&scene.log(REKOR_1), READY_WITHIN, command, ready)
        .context("start Rekor 1")?;
    front.put_before(server.port());
    Ok(server)
}

/// Starts Rekor 2 behind `front`; what it has logged is in `folder`.
pub(super) fn rekor_2(
    scene: &Scene<'_>,
    folder: &Path,
    key: &Path,
    front: &Front,
) -> Result<Server> {
    let program = scene.program(REKOR_2)?;
    let command = |port: u16| {
        let mut command = Command::new(program);
        command
            .args(["serve", "--http-address=127.0.0.1", "--grpc-address=127.0.0.1"])
            .arg(format!("--hostname={ORIGIN}"))
            .arg(format!("--http-port={port}"))
            .arg(format!("--grpc-port={}", free_port()?))
            .arg(format!("--http-metrics-port={}", free_port()?))
            .arg(format!("--storage-dir={}", folder.display()))
            .arg(format!("--signer-filepath={}", key.display()))
            .args(["--checkpoint-interval=200ms", "--batch-max-age=20ms"])
            .env("HOME", scene.path("home"));
        Ok(command)
    };
    let ready = |port| answers(port, "/healthz");
    let server = Server::start(&scene.log(REKOR_2), READY_WITHIN, command, ready)
        .context("start Rekor 2")?;
    front.put_before(server.port());
    Ok(server)
}

/// What the checkpoints of a log of version 2 call it: the host of its address, without the port.
pub(super) const ORIGIN: &str = "127.0.0.1";

/// Starts a timestamp authority. Only one can be: it has its metrics where each has them.
pub(super) fn timestamps(scene: &Scene<'_>) -> Result<Server> {
    let program = scene.program(TIMESTAMPS)?;
    let command = |port: u16| {
        let mut command = Command::new(program);
        command
            .args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--timestamp-signer", "memory", "--disable-ntp-monitoring"])
            .env("HOME", scene.path("home"));
        Ok(command)
    };
    let ready = |port| answers(port, "/api/v1/timestamp/certchain");
    Server::start(&scene.log(TIMESTAMPS), READY_WITHIN, command, ready)
        .context("start a timestamp authority")
}

/// Starts a log of the certificates that `authority` gives out, with the key at `key`.
pub(super) fn ct_log(
    scene: &Scene<'_>,
    trillian: &Trillian,
    authority: &CodeSigning,
    key: &Path,
) -> Result<Server> {
    let program = scene.program(CT_LOG)?;
    let der = KeyPair::from_pem(&fs::read_to_string(key)?)?.serialize_der();
    let der = der.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\x{byte:02x}");
        text
    });
    let config = format!(
        "config {{\n  log_id: {}\n  prefix: {CT_PREFIX:?}\n  roots_pem_file: {:?}\n  ext_key_usages: \"CodeSigning\"\n  \
         private_key {{ [type.googleapis.com/keyspb.PrivateKey] {{ der: \"{der}\" }} }}\n}}\n",
        trillian.tree(0)?,
        authority.root,
    );
    let config = scene.write("ct-log.cfg", config)?;
    let command = |port: u16| {
        let mut command = Command::new(program);
        command
            .arg(format!("--log_config={}", config.display()))
            .arg(format!("--log_rpc_server=127.0.0.1:{}", trillian.server.port()))
            .arg(format!("--http_endpoint=127.0.0.1:{port}"));
        Ok(command)
    };
    let ready = |port| answers(port, &format!("/{CT_PREFIX}/ct/v1/get-sth"));
    Server::start(&scene.log(CT_LOG), READY_WITHIN, command, ready)
        .context("start a log of certificates")
}

/// Fulcio, and where it tells how many certificates it has given out.
#[derive(Debug)]
pub(super) struct Fulcio {
    pub(super) server: Server,
    metrics: u16,
}

impl Fulcio {
    pub(super) fn start(
        scene: &Scene<'_>,
        issuer: &Issuer,
        authority: &CodeSigning,
        ct_log: Option<(&Server, PathBuf)>,
        cluster: Option<&Cluster>,
    ) -> Result<Self> {
        let program = scene.program(FULCIO)?;
        let clusters: Vec<String> = cluster.iter().map(|cluster| cluster.issuer()).collect();
        let config = scene.write("fulcio.yaml", issuer.fulcio_config(&clusters))?;
        let metrics = std::cell::Cell::new(0);
        let command = |port: u16| {
            metrics.set(free_port()?);
            let mut command = Command::new(program);
            command
                .args(["serve", "--ca=fileca", "--fileca-watch=false"])
                .arg(format!("--config-path={}", config.display()))
                .arg(format!("--fileca-cert={}", authority.chain.display()))
                .arg(format!("--fileca-key={}", authority.key.display()))
                .arg(format!("--fileca-key-passwd={NO_PASSWORD}"))
                .args(["--host=127.0.0.1", "--grpc-host=127.0.0.1"])
                .arg(format!("--port={port}"))
                .arg(format!("--grpc-port={}", free_port()?))
                .arg(format!("--metrics-port={}", metrics.get()))
                .arg(format!("--legacy-unix-domain-socket={}", scene.path("fulcio.sock").display()))
                .env("HOME", scene.path("home"));
            if let Some(cluster) = cluster {
                command.env("SSL_CERT_FILE", cluster.authority());
            }
            match &ct_log {
                Some((log, key)) => command
                    .arg(format!("--ct-log-url=http://127.0.0.1:{}/{CT_PREFIX}", log.port()))
                    .arg(format!("--ct-log-public-key-path={}", key.display())),
                None => command.arg("--ct-log-url="),
            };
            Ok(command)
        };
        let ready = |port| answers(port, "/healthz");
        let server = Server::start(&scene.log(FULCIO), READY_WITHIN, command, ready)
            .context("start Fulcio")?;
        Ok(Self { server, metrics: metrics.get() })
    }

    /// How many certificates it has given out.
    pub(super) fn certificates(&self) -> Result<usize> {
        let host = format!("127.0.0.1:{}", self.metrics);
        let text = http::send(&host, "GET", "/metrics", &[], b"")?.body;
        let text = String::from_utf8(text)?;
        let count = text.lines().find_map(|line| line.strip_prefix("fulcio_new_certs "));
        Ok(count.context("Fulcio counts no certificates")?.trim().parse()?)
    }
}

/// A new key for a log, ECDSA on P-256 or Ed25519: its file, and what verifies its signatures, as DER.
pub(super) fn log_key(scene: &Scene<'_>, name: &str, ed25519: bool) -> Result<(PathBuf, Vec<u8>)> {
    let key = if ed25519 { KeyPair::generate_for(&PKCS_ED25519)? } else { KeyPair::generate()? };
    scene.write(&format!("{name}.pub"), key.public_key_pem())?;
    let path = scene.write(&format!("{name}.pem"), key.serialize_pem())?;
    Ok((path, rcgen::PublicKeyData::subject_public_key_info(&key)))
}

fn connects(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn answers(port: u16, path: &str) -> bool {
    http::send(&format!("127.0.0.1:{port}"), "GET", path, &[], b"")
        .is_ok_and(|response| response.status == 200)
}
