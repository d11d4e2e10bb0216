//! Logs and timestamp authorities as the one log that the engine knows.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{
    Entry, Error, ErrorKind, Payload, Result, Signed, TransparencyLog, VerificationMaterial,
};
use futures_util::future::try_join_all;
use tokio::sync::OnceCell;

use crate::entry::TrustedLog;
use crate::fault;
use crate::http::{Http, Service};
use crate::logged::{Logged, Verifier};
use crate::recent::{self, Recent};
use crate::rekor::{RekorV1, RekorV2};
use crate::root::{Authority, ServiceKind, Trust, TrustSource};
use crate::time;
use crate::tsa::{TimestampClient, verify_timestamp};
use crate::{RekorVersion, TransparencyOptions};

/// The versions of Rekor that are spoken.
const LOG_VERSIONS: &[u32] = &[1, 2];
/// The versions of a timestamp authority's interface.
const TIMESTAMP_VERSIONS: &[u32] = &[1];

/// Logs signatures in one or several logs, and has them timestamped.
///
/// # What is believed
/// An entry is given back only when it holds: its body is about this payload, signature and key or certificate, the
/// log's checkpoint and the proof of inclusion verify with the log's key, in version 1 the signed entry timestamp too;
/// with a certificate, the time that the log or an authority tells is inside its validity. A timestamp is given back only
/// when it is over this signature, has our nonce, and leads to an authority that is trusted.
///
/// The log's key comes from [`TransparencyOptions::log_key`], or else from the [`TrustSource`]. **Only where there is
/// neither** a log of version 1 is asked for its key, once in the life of this value, and held to it from then on; a
/// warning tells which key that is. The same goes for the certificates of timestamp authorities. Logs of version 2
/// do not tell their keys.
#[derive(Debug)]
pub struct Transparency {
    options: TransparencyOptions,
    trust: Option<Arc<dyn TrustSource>>,
    http: Http,
    log: Option<Log>,
    timestamps: Vec<Timestamps>,
    recent: Recent,
    shown: String,
}

/// The log at the address that is configured.
#[derive(Debug)]
struct Log {
    service: Service,
    /// Version 1 or 2, once that is known.
    version: OnceLock<u32>,
    /// The key it showed of itself.
    shown_key: OnceCell<TrustedLog>,
}

/// An authority at an address that is configured.
#[derive(Debug)]
struct Timestamps {
    client: TimestampClient,
    /// The certificates it showed of itself.
    shown: OnceCell<Authority>,
}

impl Transparency {
    /// Sets up the clients; nothing is connected to before the first signature.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where an address is no URL, a file of certificate authorities cannot be read, or
    /// there is neither an address nor a source that may tell one.
    pub fn new(options: TransparencyOptions, trust: Option<Arc<dyn TrustSource>>) -> Result<Self> {
        let http = Http::new(&options.http)?;
        let log = options.url.as_deref().map(Log::new).transpose()?;
        if log.is_none() && trust.is_none() {
            let why = "there is neither the address of a transparency log nor a signing config";
            return Err(Error::new(ErrorKind::Configuration, why));
        }
        let timestamps = options.timestamp_urls.iter().map(|url| {
            let service = Service::new("timestamp authority", url)?;
            let client = TimestampClient::new(http.clone(), service);
            Ok(Timestamps { client, shown: OnceCell::new() })
        });
        let timestamps = timestamps.collect::<Result<_>>()?;
        let shown = log.as_ref().map_or("the signing config's logs", |log| log.service.shown());
        let shown = shown.to_owned();
        Ok(Self { options, trust, http, log, timestamps, recent: Recent::default(), shown })
    }

    /// As [`append_once`](Self::append_once), and has it looked up anew whom to trust where that was the trouble: the next
    /// attempt knows then.
    async fn append_with(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
        had: Option<&[Bytes]>,
    ) -> Result<Entry> {
        let appended = self.append_once(payload, signed, material, had).await;
        if let (Err(error), Some(source)) = (&appended, &self.trust)
            && fault::is_untrusted(error)
        {
            source.look_again().await;
        }
        appended
    }

    /// Has it timestamped, unless it has timestamps, and logs it.
    async fn append_once(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
        had: Option<&[Bytes]>,
    ) -> Result<Entry> {
        let logged = Logged::of(payload, signed, material)?;
        let key = recent::key(&logged);
        if let Some(entry) = self.recent.get(&key) {
            return Ok(entry);
        }
        let trust = match &self.trust {
            // A file may be mounted late, a repository be mended: it says nothing about what is to be logged.
            Some(source) => Some(source.trust().await.map_err(|e| e.with_retryable(true))?),
            None => None,
        };
        let trust = trust.as_deref();
        let timestamps = match had {
            Some(had) => self.check_timestamps(&logged, trust, had).await?,
            None => self.new_timestamps(&logged, trust).await?,
        };
        let mut entries = self.log_all(&logged, signed, trust).await?.into_iter();
        let Some(first) = entries.next() else {
            return Err(Error::new(ErrorKind::Configuration, "no transparency log is chosen"));
        };
        let entry = Entry { timestamps, others: entries.collect(), ..first };
        check_has_time(&entry, &logged)?;
        self.recent.put(key, entry.clone());
        Ok(entry)
    }

    /// The time is told before the entry is made: an entry without a time would be made in vain.
    async fn new_timestamps(
        &self,
        logged: &Logged<'_>,
        trust: Option<&Trust>,
    ) -> Result<Vec<Bytes>> {
        let known = match &self.log {
            Some(log) => self.version(log, trust),
            None => services(trust, ServiceKind::Log, LOG_VERSIONS)?
                .first()
                .map(|(_, version)| *version),
        };
        self.check_time(logged, trust, known)?;
        // Where it is not known yet that the log tells the time, a certificate is not left to chance.
        let is_needed = match known {
            Some(version) => version == 2,
            None => matches!(logged.verifier, Verifier::Certificate { .. }),
        };
        self.stamp_all(logged, trust, is_needed).await
    }

    /// Checks timestamps that somebody kept, as those that have just come are checked.
    async fn check_timestamps(
        &self,
        logged: &Logged<'_>,
        trust: Option<&Trust>,
        had: &[Bytes],
    ) -> Result<Vec<Bytes>> {
        let mut authorities = Vec::new();
        match (trust, &self.options.timestamp_certificates) {
            (Some(trust), None) => authorities.extend(trust.root.timestamp_authorities.clone()),
            _ => {
                for authority in &self.timestamps {
                    authorities.extend(self.trusted_authorities(authority, trust).await?);
                }
            }
        }
        for timestamp in had {
            // Anybody may have written them: they are not waited for.
            let verified = verify_timestamp(timestamp, logged.signature, &authorities)
                .map_err(|e| e.with_retryable(false))?;
            logged.verifier.check_valid_at(verified.time, "timestamp: time")?;
        }
        Ok(had.to_vec())
    }

    async fn log_all(
        &self,
        logged: &Logged<'_>,
        signed: &Signed,
        trust: Option<&Trust>,
    ) -> Result<Vec<Entry>> {
        if let Some(log) = &self.log {
            let version = self.version(log, trust);
            return Ok(vec![self.append_to(log, version, logged, signed, trust).await?]);
        }
        let services = services(trust, ServiceKind::Log, LOG_VERSIONS)?;
        let logs = services.into_iter().map(|(url, version)| Ok((Log::new(&url)?, version)));
        let logs = logs.collect::<Result<Vec<_>>>()?;
        let entries = logs
            .iter()
            .map(|(log, version)| self.append_to(log, Some(*version), logged, signed, trust));
        try_join_all(entries).await
    }

    /// The log's version, as far as it is known before it is asked.
    fn version(&self, log: &Log, trust: Option<&Trust>) -> Option<u32> {
        match self.options.version {
            RekorVersion::V1 => Some(1),
            RekorVersion::V2 => Some(2),
            RekorVersion::Auto => {
                let config = trust.and_then(|trust| trust.config.as_ref());
                let told = config.and_then(|config| config.log_version(log.service.shown()));
                told.or_else(|| log.version.get().copied())
            }
        }
    }

    async fn append_to(
        &self,
        log: &Log,
        version: Option<u32>,
        logged: &Logged<'_>,
        signed: &Signed,
        trust: Option<&Trust>,
    ) -> Result<Entry> {
        if version != Some(2) {
            match self.append_v1(log, logged, signed, trust).await {
                Err(error) if version.is_none() && error.kind() == ErrorKind::NotFound => {}
                appended => {
                    if appended.is_ok() {
                        log.version.get_or_init(|| 1);
                    }
                    return appended;
                }
            }
        }
        let entry = self.append_v2(log, logged, trust).await?;
        log.version.get_or_init(|| 2);
        Ok(entry)
    }

    async fn append_v1(
        &self,
        log: &Log,
        logged: &Logged<'_>,
        signed: &Signed,
        trust: Option<&Trust>,
    ) -> Result<Entry> {
        let client = RekorV1::new(self.http.clone(), log.service.clone(), self.options.envelopes);
        let envelope = match signed {
            Signed::Dsse(envelope) => Some(envelope),
            Signed::Detached(_) => None,
        };
        if let Some(logs) = self.trusted_logs(trust) {
            return client.append(logged, envelope, &logs).await;
        }
        let shown = log.shown_key.get_or_try_init(|| async {
            let key = client.public_key().await?;
            let (log, id) = (log.service.shown(), key.id());
            tracing::warn!(
                log,
                key = id,
                "no key of the transparency log is configured: taking the one it shows"
            );
            Ok::<_, Error>(TrustedLog::from_key(key))
        });
        client.append(logged, envelope, std::slice::from_ref(shown.await?)).await
    }

    async fn append_v2(
        &self,
        log: &Log,
        logged: &Logged<'_>,
        trust: Option<&Trust>,
    ) -> Result<Entry> {
        let Some(logs) = self.trusted_logs(trust) else {
            let log = log.service.shown();
            let why = format!(
                "the key of {log} is not configured, and a log of version 2 does not tell it"
            );
            return Err(Error::new(ErrorKind::Configuration, why));
        };
        let read = self.options.read_url.as_deref();
        let read =
            read.map(|url| Service::new("tiles of the transparency log", url)).transpose()?;
        RekorV2::new(self.http.clone(), log.service.clone(), read).append(logged, &logs).await
    }

    /// The logs whose keys are configured; `None` where nothing is.
    fn trusted_logs(&self, trust: Option<&Trust>) -> Option<Vec<TrustedLog>> {
        match (&self.options.log_key, trust) {
            (Some(key), _) => Some(vec![TrustedLog::from_key(key.clone())]),
            (None, Some(trust)) => Some(trust.root.logs.clone()),
            (None, None) => None,
        }
    }

    /// A timestamp of each authority.
    async fn stamp_all(
        &self,
        logged: &Logged<'_>,
        trust: Option<&Trust>,
        is_needed: bool,
    ) -> Result<Vec<Bytes>> {
        if !self.timestamps.is_empty() {
            let stamps =
                self.timestamps.iter().map(|authority| self.stamp(authority, logged, trust));
            return try_join_all(stamps).await;
        }
        let config = trust.and_then(|trust| trust.config.as_ref());
        if !is_needed || !config.is_some_and(|config| config.has(ServiceKind::TimestampAuthority)) {
            return Ok(Vec::new());
        }
        let services = services(trust, ServiceKind::TimestampAuthority, TIMESTAMP_VERSIONS)?;
        let authorities = services.into_iter().map(|(url, _)| {
            let service = Service::new("timestamp authority", &url)?;
            let client = TimestampClient::new(self.http.clone(), service);
            Ok(Timestamps { client, shown: OnceCell::new() })
        });
        let authorities = authorities.collect::<Result<Vec<_>>>()?;
        let stamps = authorities.iter().map(|authority| self.stamp(authority, logged, trust));
        try_join_all(stamps).await
    }

    async fn stamp(
        &self,
        authority: &Timestamps,
        logged: &Logged<'_>,
        trust: Option<&Trust>,
    ) -> Result<Bytes> {
        let client = &authority.client;
        let trusted = self.trusted_authorities(authority, trust).await?;
        let (timestamp, verified) = client.stamp(logged.signature, &trusted).await?;
        logged
            .verifier
            .check_valid_at(verified.time, "timestamp: time")
            .map_err(|e| e.context(format!("verifying a timestamp of {}", client.url())))?;
        Ok(timestamp)
    }

    /// Whose timestamps are believed: those that are configured or trusted, and else the authority as it showed itself.
    async fn trusted_authorities(
        &self,
        authority: &Timestamps,
        trust: Option<&Trust>,
    ) -> Result<Vec<Authority>> {
        let client = &authority.client;
        Ok(match (&self.options.timestamp_certificates, trust) {
            (Some(pem), _) => vec![Authority::from_pem(client.url(), pem)?],
            (None, Some(trust)) => trust.root.timestamp_authorities.clone(),
            (None, None) => {
                let shown = authority.shown.get_or_try_init(|| async {
                    let url = client.url();
                    tracing::warn!(url, "no certificates of the timestamp authority are configured: taking those it shows");
                    client.certificates().await
                });
                vec![shown.await?.clone()]
            }
        })
    }

    /// Whether a signature would have no time: then its certificate could never be verified.
    fn check_time(
        &self,
        logged: &Logged<'_>,
        trust: Option<&Trust>,
        version: Option<u32>,
    ) -> Result<()> {
        let config = trust.and_then(|trust| trust.config.as_ref());
        let authority = !self.timestamps.is_empty()
            || config.is_some_and(|config| config.has(ServiceKind::TimestampAuthority));
        if version == Some(2)
            && !authority
            && matches!(logged.verifier, Verifier::Certificate { .. })
        {
            return Err(Error::new(
                ErrorKind::Configuration,
                "a log of version 2 tells no time, which a certificate needs: \
                 set `transparency.tsa.url`, the address of a timestamp authority",
            ));
        }
        Ok(())
    }
}

impl Log {
    fn new(url: &str) -> Result<Self> {
        let service = Service::new("transparency log", url)?;
        Ok(Self { service, version: OnceLock::new(), shown_key: OnceCell::new() })
    }
}

/// The services that the signing config chooses for now: address and version.
fn services(
    trust: Option<&Trust>,
    kind: ServiceKind,
    versions: &[u32],
) -> Result<Vec<(String, u32)>> {
    let Some(config) = trust.and_then(|trust| trust.config.as_ref()) else {
        let why = "there is no signing config to tell the services of transparency";
        return Err(Error::new(ErrorKind::Configuration, why));
    };
    // The next signing config may have some.
    let services = config.select(kind, versions, time::now());
    let services = services.map_err(|e| e.with_retryable(true))?;
    Ok(services.into_iter().map(|service| (service.url.clone(), service.version)).collect())
}

#[async_trait]
impl TransparencyLog for Transparency {
    fn url(&self) -> &str {
        &self.shown
    }

    async fn append(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
    ) -> Result<Entry> {
        self.append_with(payload, signed, material, None).await
    }

    async fn append_again(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
        timestamps: &[Bytes],
    ) -> Result<Entry> {
        self.append_with(payload, signed, material, Some(timestamps)).await
    }
}

/// What could not be told before the version of the log was known.
fn check_has_time(entry: &Entry, logged: &Logged<'_>) -> Result<()> {
    let has_time = entry.integrated_time.is_some() || !entry.timestamps.is_empty();
    if has_time || matches!(logged.verifier, Verifier::Key(_)) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Configuration,
        format!(
            "the log {} tells no time, which a certificate needs: \
             set `transparency.tsa.url`, the address of a timestamp authority",
            entry.log_url
        ),
    ))
}
