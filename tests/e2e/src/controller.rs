//! The controller under test: a process with the rights of its service account.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::{
    cluster::{API_SERVER, ETCD, KUBECTL},
    http,
    install::{Install, Mount},
    process::Usage,
    scene::Scene,
    server::{self, Server},
};

/// The program, among the peers of a case.
pub const CONTROLLER: &str = "chains-controller";
/// What every case with a controller needs.
pub const NEEDS: [&str; 4] = [ETCD, API_SERVER, KUBECTL, CONTROLLER];

const ALIVE_WITHIN: Duration = Duration::from_secs(30);
const READY_WITHIN: Duration = Duration::from_secs(60);
const END_WITHIN: Duration = Duration::from_secs(60);

/// A controller that is to be started.
#[derive(Debug)]
pub struct Start<'a> {
    scene: &'a Scene<'a>,
    kubeconfig: PathBuf,
    name: String,
    program: &'static str,
    args: Vec<String>,
    env: Vec<(String, PathBuf)>,
    log_level: String,
}

/// A controller that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Controller {
    server: Server,
    name: String,
}

impl<'a> Start<'a> {
    /// A controller of this installation, called `name`, with the keys that are mounted at `secrets`.
    #[must_use]
    pub fn new(scene: &'a Scene<'a>, install: &Install<'_>, name: &str, secrets: &Mount) -> Self {
        Self::with_kubeconfig(scene, install.kubeconfig(), name, secrets)
    }

    /// A controller that connects by this kubeconfig.
    #[must_use]
    pub fn with_kubeconfig(
        scene: &'a Scene<'a>,
        kubeconfig: &Path,
        name: &str,
        secrets: &Mount,
    ) -> Self {
        let mut start = Self {
            scene,
            kubeconfig: kubeconfig.to_owned(),
            name: name.to_owned(),
            program: CONTROLLER,
            args: Vec::new(),
            env: Vec::new(),
            log_level: "info".to_owned(),
        };
        start.args.push(format!("--signing-secrets={}", secrets.folder().display()));
        start
    }

    /// A controller of somebody's own: this program, among the peers of the case.
    #[must_use]
    pub fn program(mut self, peer: &'static str) -> Self {
        self.program = peer;
        self
    }

    /// With another argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// With an environment variable that names a file.
    #[must_use]
    pub fn env(mut self, name: &str, file: &Path) -> Self {
        self.env.push((name.to_owned(), file.to_owned()));
        self
    }

    /// Starts it and waits until it is alive.
    ///
    /// # Errors
    /// If it ends, or is not alive in time.
    pub fn alive(&self) -> Result<Controller> {
        let program = self.scene.program(self.program)?;
        let log = self.scene.log(&self.name);
        let ready = |port| get(port, "/livez").is_ok_and(|answer| answer.status == 200);
        let server =
            Server::start(&log, ALIVE_WITHIN, |port| Ok(self.command(program, port)), ready)
                .with_context(|| format!("start the controller {}", self.name))?;
        Ok(Controller { server, name: self.name.clone() })
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn ready(&self) -> Result<Controller> {
        let controller = self.alive()?;
        controller.until_ready()?;
        Ok(controller)
    }

    fn command(&self, program: &Path, port: u16) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.scene.path("home"))
            .env("RUST_BACKTRACE", "1")
            .env("RUST_LOG", &self.log_level)
            .envs(self.env.iter().map(|(name, file)| (name, file)))
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg(format!("--listen=127.0.0.1:{port}"))
            .args(["--identity", &self.name])
            .args(&self.args);
        command
    }
}

impl Controller {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// If that takes longer than a minute; the error holds what it says.
    pub fn until_ready(&self) -> Result<()> {
        self.until_readyz(200, "").map(drop)
    }

    /// Waits until `/readyz` answers with `status` and `words` in it, and tells the answer.
    ///
    /// # Errors
    /// If that takes longer than a minute; the error holds the last answer.
    pub fn until_readyz(&self, status: u16, words: &str) -> Result<String> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let answer = get(self.server.port(), "/readyz?verbose")?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            if answer.status == status && text.contains(words) {
                return Ok(text);
            }
            ensure!(
                Instant::now() < deadline,
                "{} does not come to {status} {words:?}: {} {text}",
                self.name,
                answer.status
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Every metric, its labels in its name, as `/metrics` tells them.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn metrics(&self) -> Result<Metrics> {
        let answer = get(self.server.port(), "/metrics")?;
        ensure!(answer.status == 200, "/metrics answered {}", answer.status);
        let text = String::from_utf8(answer.body).context("read /metrics")?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let pairs = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(Metrics(pairs.collect()))
    }

    /// Waits until a metric, summed over its labels, is `value`: it counts a moment after others see the write.
    ///
    /// # Errors
    /// If that takes longer than a minute; the error holds what it is.
    pub fn until_counted(&self, metric: &str, value: f64) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let now = self.metrics()?.sum(metric);
            if now == value {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{}: {metric} is {now}, not {value}", self.name);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has used.
    ///
    /// # Errors
    /// If it has ended.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.server.pid())
    }

    /// All that it has logged.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.server.log()
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// If it does not end within a minute.
    pub fn terminate(self) -> Result<ExitStatus> {
        self.server.terminate(END_WITHIN).with_context(|| format!("end {}", self.name))
    }

    /// Kills it, as a node does that loses power.
    ///
    /// # Errors
    /// If it has ended already.
    pub fn kill(self) -> Result<()> {
        server::signal(self.server.pid(), Signal::SIGKILL)
            .with_context(|| format!("kill {}", self.name))
    }

    /// Stops it in the middle of whatever it does, until it is [thawed](Self::thaw).
    ///
    /// # Errors
    /// If it has ended already.
    pub fn freeze(&self) -> Result<()> {
        server::signal(self.server.pid(), Signal::SIGSTOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If it has ended.
    pub fn thaw(&self) -> Result<()> {
        server::signal(self.server.pid(), Signal::SIGCONT)
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.server.ended()?.is_none())
    }
}

/// What a controller counts.
#[derive(Clone, Debug)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// The sum of a metric over all its labels; 0 where there is none.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        self.with(name, "")
    }

    /// The sum of a metric over those of its labels that hold `label`, such as `reason="conflict"`.
    #[must_use]
    pub fn with(&self, name: &str, label: &str) -> f64 {
        let of = |line: &&String| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
                && line.contains(label)
        };
        self.0.iter().filter(|(line, _)| of(line)).map(|(_, value)| value).sum()
    }

    /// Whether there is such a metric.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.keys().any(|line| line == name || line.starts_with(&format!("{name}{{")))
    }
}

fn get(port: u16, path: &str) -> Result<http::Response> {
    http::send(&format!("127.0.0.1:{port}"), "GET", path, &[], b"")
}
