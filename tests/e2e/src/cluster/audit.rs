//! What the API server was asked: its audit log.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Cluster, launch::SENTINEL};

const WRITTEN_WITHIN: Duration = Duration::from_secs(30);

/// Service accounts only. A watch is told when it begins: it may never end.
pub(super) fn policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            { "level": "Metadata", "userGroups": ["system:serviceaccounts"] },
            { "level": "None" },
        ],
    })
}

/// What service accounts asked of a cluster since some moment.
#[derive(Debug)]
pub struct Audit<'c> {
    cluster: &'c Cluster,
    path: PathBuf,
    from: u64,
}

/// A request of a service account.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    #[serde(rename = "auditID")]
    id: String,
    stage: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` …
    pub verb: String,
    /// Path with query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
    /// When the API server got it, RFC 3339 with microseconds.
    pub request_received_timestamp: String,
    /// When it was answered, or the watch began.
    pub stage_timestamp: String,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    username: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

impl Request {
    /// Who asked.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user.username
    }

    /// `taskruns`, `taskruns/status`, or empty where it is no resource.
    #[must_use]
    pub fn resource(&self) -> String {
        match self.object_ref.subresource.as_str() {
            "" => self.object_ref.resource.clone(),
            sub => format!("{}/{sub}", self.object_ref.resource),
        }
    }

    /// `VERB RESOURCE`.
    #[must_use]
    pub fn what(&self) -> String {
        format!("{} {}", self.verb, self.resource())
    }

    /// Namespace and name of the object; empty for a collection.
    #[must_use]
    pub fn object(&self) -> (&str, &str) {
        (&self.object_ref.namespace, &self.object_ref.name)
    }

    /// The answer's code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.response_status.code
    }
}

impl<'c> Audit<'c> {
    pub(super) fn from_now(cluster: &'c Cluster) -> Result<Self> {
        let path = cluster.folder.path().join("audit.log");
        let mut audit = Self { cluster, path, from: 0 };
        audit.settle()?;
        audit.from = audit.path.metadata().context("find the audit log")?.len();
        Ok(audit)
    }

    /// What was asked until now, in the order of the log.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn requests(&self) -> Result<Vec<Request>> {
        self.settle()?;
        let mut requests: Vec<Request> = Vec::new();
        let mut known = BTreeMap::new();
        for line in self.text()?.lines() {
            let request: Request =
                serde_json::from_str(line).with_context(|| format!("read {line}"))?;
            if request.user() == "sentinel" {
                continue;
            }
            // A watch is told when it begins and again when it ends.
            if *known.entry(request.id.clone()).or_insert(requests.len()) == requests.len() {
                requests.push(request);
            } else {
                ensure!(request.stage != "ResponseStarted", "told twice: {line}");
            }
        }
        Ok(requests)
    }

    /// How often each thing was done, as `patch taskruns`.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn counts(&self) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        for request in self.requests()? {
            *counts.entry(request.what()).or_default() += 1;
        }
        Ok(counts)
    }

    /// The log is written a little later than requests are answered, but in order: when a request of our own
    /// is in it, so are all before.
    fn settle(&self) -> Result<()> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let uri = format!("/version?settle={}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.cluster.api_as(SENTINEL)?.get(&uri)?;
        let mark = format!("\"requestURI\":\"{uri}\"");
        let deadline = Instant::now() + WRITTEN_WITHIN;
        while !self.text()?.contains(&mark) {
            ensure!(Instant::now() < deadline, "the audit log is not written");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn text(&self) -> Result<String> {
        let mut file = File::open(&self.path).context("open the audit log")?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // The last line may be half written.
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        Ok(text)
    }
}
