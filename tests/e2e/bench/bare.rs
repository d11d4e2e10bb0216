//! The bare loop: merge patches and nothing else, in a process of its own, so that its CPU time can be told.

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use chains_e2e::{
    Context as _, Result, bail,
    cluster::{Api, KUBECTL, at_once, wait},
    ensure,
    stage::Stage,
};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The argument that makes this program be the loop.
pub(crate) const COMMAND: &str = "bare-loop";

/// What the API server is to send back: as little as the controller asks for.
const METADATA_ONLY: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// What the loop is to do.
#[derive(Debug)]
pub(crate) struct Loop<'a> {
    /// How many requests are under way at a time.
    pub(crate) at_once: usize,
    /// How many patches are sent, each to a run of its own.
    pub(crate) count: usize,
    /// The collection of the runs.
    pub(crate) path: String,
    /// They are called `PREFIX-0` and so on.
    pub(crate) prefix: &'a str,
}

/// What came out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Bare {
    seconds: f64,
    cpu_seconds: f64,
    /// Round trips, sorted.
    round_trips: Vec<f64>,
    /// What API server and etcd took for it.
    #[serde(default)]
    server: Duration,
}

impl Bare {
    /// Writes a second.
    pub(crate) fn rate(&self) -> f64 {
        self.round_trips.len() as f64 / self.seconds
    }

    /// Processor time of the client for a write, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> f64 {
        self.cpu_seconds * 1000.0 / self.round_trips.len() as f64
    }

    /// The same, with what API server and etcd took for it.
    pub(crate) fn with_server(self, server: Duration) -> Self {
        Self { server, ..self }
    }

    /// Processor time of API server and etcd for a write, in milliseconds.
    pub(crate) fn server_ms(&self) -> f64 {
        self.server.as_secs_f64() * 1000.0 / self.round_trips.len() as f64
    }

    /// The round trip that so many percent take no longer than, in milliseconds.
    pub(crate) fn millis(&self, percent: usize) -> f64 {
        percentile(&self.round_trips, percent) * 1000.0
    }
}

/// The value that so many percent of sorted ones do not exceed.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// Starts the loop as a process and waits for its end.
pub(crate) fn start(stage: &Stage<'_>, what: &Loop<'_>, patch: &Value) -> Result<Bare> {
    let file = stage.scene.write(&stage.scene.fresh("patch.json"), patch.to_string())?;
    let output = Command::new(std::env::current_exe()?)
        .arg(COMMAND)
        .arg(stage.install.kubeconfig())
        .arg(file)
        .args([&what.path, what.prefix])
        .args([what.count.to_string(), what.at_once.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .context("run the bare loop")?;
    ensure!(output.status.success(), "the bare loop ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("read what the bare loop measured")
}

/// Is the loop.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let [kubeconfig, patch, path, prefix, count, limit] = args else {
        bail!("{COMMAND} takes KUBECONFIG PATCH PATH PREFIX COUNT AT-ONCE");
    };
    let api = Api::from_kubeconfig(kubeconfig.as_ref())?;
    let patch = Arc::new(std::fs::read(patch)?);
    let (count, limit): (usize, usize) = (count.parse()?, limit.parse()?);
    // The connection is made before the clock runs.
    wait(send(&api, format!("{path}/{prefix}-0"), &patch))?;
    let (started, cpu) = (Instant::now(), cpu_seconds()?);
    let mut round_trips = at_once(limit, 0..count, |number| {
        let (api, patch, path) = (&api, &patch, format!("{path}/{prefix}-{number}"));
        async move {
            let begun = Instant::now();
            send(api, path, patch).await?;
            Ok(begun.elapsed().as_secs_f64())
        }
    })?;
    let (seconds, cpu_seconds) = (started.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    round_trips.sort_by(f64::total_cmp);
    let bare = Bare { seconds, cpu_seconds, round_trips, server: Duration::ZERO };
    println!("{}", serde_json::to_string(&bare)?);
    Ok(())
}

/// Somebody who is sent every run that is written, whole, as whoever signs runs has to be; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Onlooker(Child);

impl Onlooker {
    /// Watches all TaskRuns by `kubectl`, and throws away what comes.
    pub(crate) fn start(stage: &Stage<'_>, path: &str) -> Result<Self> {
        let mut child = Command::new(stage.scene.program(KUBECTL)?)
            .arg("--kubeconfig")
            .arg(stage.install.kubeconfig())
            .args(["get", "--raw", &format!("{path}?watch=true")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("start kubectl")?;
        // Until it is sent what is there.
        std::thread::sleep(Duration::from_secs(2));
        ensure!(child.try_wait()?.is_none(), "kubectl does not watch");
        Ok(Self(child))
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn send(api: &Api, path: String, patch: &[u8]) -> Result<()> {
    let request = http::Request::patch(path)
        .header("content-type", "application/merge-patch+json")
        .header("accept", METADATA_ONLY)
        .body(patch.to_vec())?;
    api.client().request_text(request).await?;
    Ok(())
}

fn cpu_seconds() -> Result<f64> {
    let used = getrusage(UsageWho::RUSAGE_SELF).context("ask what this process used")?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(used.user_time()) + seconds(used.system_time()))
}
