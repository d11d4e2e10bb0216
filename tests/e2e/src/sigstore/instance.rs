//! A whole instance of Sigstore, for one case.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    Identity,
    authority::CodeSigning,
    front::Front,
    issuer::{AUDIENCE, Issuer},
    services::{self, Fulcio, Trillian},
    trust::{self, LogTrust},
    tuf::Mirror,
};
use crate::{cluster::Cluster, http, scene::Scene, server::Server};

/// One at a time: some of the servers have a port that is the same for all of their kind.
static ONE: Mutex<()> = Mutex::new(());

/// How long a log of version 2 may take to write a checkpoint with what it has accepted.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(30);

/// The version of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Version 1.
    V1,
    /// Version 2.
    V2,
}

/// What an instance has besides Fulcio and its issuer.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// The log of what is signed.
    pub log: Log,
    /// A timestamp authority.
    pub timestamps: bool,
    /// A log of certificates, whose promises are in them.
    pub ct_log: bool,
}

impl Parts {
    /// What was for years: a log of version 1, and a log of certificates.
    pub const V1: Self = Self { log: Log::V1, timestamps: false, ct_log: true };
    /// What is now: a log of version 2, timestamps, and a log of certificates.
    pub const V2: Self = Self { log: Log::V2, timestamps: true, ct_log: true };

    /// The peers that it takes.
    #[must_use]
    pub fn needs(self) -> Vec<&'static str> {
        let mut needs = vec![services::NETWORK, services::FULCIO];
        match self.log {
            Log::V1 => needs.extend([services::REKOR_1, services::TRILLIAN]),
            Log::V2 => needs.push(services::REKOR_2),
        }
        if self.timestamps {
            needs.push(services::TIMESTAMPS);
        }
        if self.ct_log {
            needs.extend([services::CT_LOG, services::TRILLIAN]);
        }
        needs
    }
}

/// A running instance.
#[derive(Debug)]
pub struct Sigstore<'s> {
    scene: &'s Scene<'s>,
    /// Gives out identity tokens.
    pub issuer: Issuer,
    /// The authority behind Fulcio.
    pub authority: CodeSigning,
    /// What stands in front of Fulcio.
    pub fulcio: Front,
    /// What stands in front of the log.
    pub log: Front,
    /// What stands in front of the timestamp authority.
    pub timestamps: Front,
    pub(super) parts: Parts,
    log_key: (PathBuf, Vec<u8>),
    ct_key: (PathBuf, Vec<u8>),
    fulcio_server: Fulcio,
    log_server: Mutex<Option<Server>>,
    timestamp_server: Option<Server>,
    // Never read, but they stop when they are dropped.
    _ct_log: Option<Server>,
    trillian: Option<Trillian>,
    _one: MutexGuard<'static, ()>,
}

impl<'s> Sigstore<'s> {
    /// Starts one.
    ///
    /// # Errors
    /// If a server does not start.
    pub fn start(scene: &'s Scene<'s>, parts: Parts) -> Result<Self> {
        Self::start_for(scene, parts, None)
    }

    /// Starts one whose Fulcio certifies service accounts of this cluster, too.
    ///
    /// # Errors
    /// If a server does not start.
    pub fn start_for_cluster(
        scene: &'s Scene<'s>,
        parts: Parts,
        cluster: &Cluster,
    ) -> Result<Self> {
        cluster.show_issuer()?;
        Self::start_for(scene, parts, Some(cluster))
    }

    fn start_for(scene: &'s Scene<'s>, parts: Parts, cluster: Option<&Cluster>) -> Result<Self> {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let issuer = Issuer::start()?;
        let authority = CodeSigning::new(scene.folder())?;
        let trillian =
            if parts.ct_log || parts.log == Log::V1 { Some(Trillian::start(scene)?) } else { None };
        let ct_key = services::log_key(scene, "ct-log", false)?;
        let ct_log = match &trillian {
            Some(trillian) if parts.ct_log => {
                Some(services::ct_log(scene, trillian, &authority, &ct_key.0)?)
            }
            _ => None,
        };
        let ct = ct_log.as_ref().map(|server| (server, ct_key.0.with_extension("pub")));
        let fulcio_server = Fulcio::start(scene, &issuer, &authority, ct, cluster)?;
        let fulcio = Front::start(None)?;
        fulcio.put_before(fulcio_server.server.port());
        let timestamps = Front::start(None)?;
        let log_folder = scene.path("log");
        fs::create_dir_all(&log_folder)?;
        let mut sigstore = Self {
            scene,
            issuer,
            authority,
            fulcio,
            log: Front::start(Some(log_folder))?,
            timestamps,
            parts,
            log_key: services::log_key(scene, "log", parts.log == Log::V2)?,
            ct_key,
            fulcio_server,
            log_server: Mutex::default(),
            timestamp_server: None,
            _ct_log: ct_log,
            trillian,
            _one: one,
        };
        sigstore.start_log()?;
        sigstore.start_timestamps()?;
        Ok(sigstore)
    }

    /// Starts the log, again if it was stopped: with the same key, and all that it had.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_log(&self) -> Result<()> {
        let (scene, key) = (self.scene, &self.log_key.0);
        let server = match self.parts.log {
            Log::V1 => {
                let trillian = self.trillian.as_ref().context("there is no Trillian")?;
                services::rekor_1(scene, trillian, key, &self.log)?
            }
            Log::V2 => services::rekor_2(scene, &self.scene.path("log"), key, &self.log)?,
        };
        *self.log_server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }

    /// Kills the log's server: its front answers with 502.
    pub fn stop_log(&self) {
        *self.log_server.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn start_timestamps(&mut self) -> Result<()> {
        if self.parts.timestamps {
            let server = services::timestamps(self.scene)?;
            self.timestamps.put_before(server.port());
            self.timestamp_server = Some(server);
        }
        Ok(())
    }

    /// Whether the instance has a timestamp authority.
    #[must_use]
    pub fn has_timestamps(&self) -> bool {
        self.parts.timestamps
    }

    /// The address of the timestamp authority.
    #[must_use]
    pub fn timestamps_url(&self) -> String {
        format!("{}/api/v1/timestamp", self.timestamps.url())
    }

    /// How many certificates Fulcio has given out.
    ///
    /// # Errors
    /// If it does not tell.
    pub fn certificates(&self) -> Result<usize> {
        self.fulcio_server.certificates()
    }

    /// How many entries the log has.
    ///
    /// # Errors
    /// If it does not tell.
    pub fn entries(&self) -> Result<usize> {
        match self.parts.log {
            Log::V1 => {
                let answer = http::send(&self.log.host(), "GET", "/api/v1/log", &[], b"")?;
                let answer: Value = serde_json::from_slice(&answer.body)?;
                let size = answer["treeSize"].as_u64().context("no size in the answer")?;
                Ok(size.try_into()?)
            }
            Log::V2 => {
                let text = fs::read_to_string(self.scene.path("log").join("checkpoint"))?;
                let size = text.lines().nth(1).context("a checkpoint without a size")?;
                Ok(size.parse()?)
            }
        }
    }

    /// Waits until the log has this many entries, and a moment longer to see that it is no more.
    ///
    /// # Errors
    /// If it has not, in time.
    pub fn until_entries(&self, wanted: usize) -> Result<()> {
        let deadline = Instant::now() + PUBLISHED_WITHIN;
        loop {
            let entries = self.entries()?;
            if entries == wanted {
                return Ok(());
            }
            ensure!(
                entries < wanted && Instant::now() < deadline,
                "the log has {entries} entries, not {wanted}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Somebody with an email address, whom the issuer vouches for: who it is, and a file with a token.
    ///
    /// # Errors
    /// If the token cannot be made or written.
    pub fn somebody(&self, name: &str) -> Result<(Identity, PathBuf)> {
        let who = Identity { name: format!("{name}@example.test"), issuer: self.issuer.url() };
        let token = self.issuer.email(&who.name, AUDIENCE)?;
        let token = self.scene.write(&self.scene.fresh("token"), token)?;
        Ok((who, token))
    }

    /// The public key of the log, in PEM.
    #[must_use]
    pub fn log_public_key(&self) -> PathBuf {
        self.log_key.0.with_extension("pub")
    }

    /// The public key of the certificates' log, in PEM.
    #[must_use]
    pub fn ct_public_key(&self) -> PathBuf {
        self.ct_key.0.with_extension("pub")
    }

    /// Whom to trust.
    ///
    /// # Errors
    /// If the timestamp authority does not tell its certificates.
    pub fn trusted_root(&self) -> Result<Value> {
        let url = self.log.url();
        let origin = (self.parts.log == Log::V2).then_some(services::ORIGIN);
        let log = LogTrust { url: &url, key: &self.log_key.1, origin };
        let mut root = json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log.json()],
            "certificateAuthorities":
                [trust::authority(&self.fulcio.url(), &self.authority.certificates)],
        });
        if self.parts.ct_log {
            let url = self.fulcio.url();
            root["ctlogs"] =
                json!([LogTrust { url: &url, key: &self.ct_key.1, origin: None }.json()]);
        }
        if self.timestamp_server.is_some() {
            let path = "/api/v1/timestamp/certchain";
            let chain = http::send(&self.timestamps.host(), "GET", path, &[], b"")?;
            let chain = trust::certificates(&String::from_utf8(chain.body)?)?;
            root["timestampAuthorities"] =
                json!([trust::authority(&self.timestamps_url(), &chain)]);
        }
        Ok(root)
    }

    /// Whom to trust, by somebody who has another key for the log and believes that it is the log's.
    ///
    /// # Errors
    /// As [`Self::trusted_root`].
    pub fn trusted_root_with_another_log_key(&self) -> Result<Value> {
        let ed25519 = self.parts.log == Log::V2;
        let (_, other) = services::log_key(self.scene, &self.scene.fresh("other-log"), ed25519)?;
        let mut root = self.trusted_root()?;
        let log = LogTrust { url: &self.log.url(), key: &other, origin: None }.json();
        root["tlogs"][0]["publicKey"] = log["publicKey"].clone();
        Ok(root)
    }

    /// Whom to ask.
    #[must_use]
    pub fn signing_config(&self) -> Value {
        let version = if self.parts.log == Log::V1 { 1 } else { 2 };
        let mut config = json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [trust::service(&self.fulcio.url(), 1)],
            "oidcUrls": [trust::service(&self.issuer.url(), 1)],
            "rekorTlogUrls": [trust::service(&self.log.url(), version)],
            "rekorTlogConfig": { "selector": "ANY" },
            "tsaConfig": { "selector": "ANY" },
        });
        if self.parts.timestamps {
            config["tsaUrls"] = json!([trust::service(&self.timestamps_url(), 1)]);
        }
        config
    }

    /// [`Self::trusted_root`] as a file.
    ///
    /// # Errors
    /// As there, and if it cannot be written.
    pub fn trusted_root_file(&self) -> Result<PathBuf> {
        self.write("trusted_root.json", &self.trusted_root()?)
    }

    /// [`Self::signing_config`] as a file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn signing_config_file(&self) -> Result<PathBuf> {
        self.write("signing_config.json", &self.signing_config())
    }

    /// Starts a TUF repository that tells whom to trust, and whom to ask.
    ///
    /// # Errors
    /// As [`Self::trusted_root`], and if it does not start.
    pub fn mirror(&self) -> Result<Mirror> {
        Mirror::start(&[
            ("trusted_root.json", &self.trusted_root()?),
            ("signing_config.v0.2.json", &self.signing_config()),
        ])
    }

    fn write(&self, name: &str, content: &Value) -> Result<PathBuf> {
        self.scene.write(&self.scene.fresh(name), serde_json::to_vec_pretty(content)?)
    }

    /// The root of the authority behind Fulcio, in PEM.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.authority.root
    }
}
