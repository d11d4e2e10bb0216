//! A Kubernetes API server of the test's own: etcd and kube-apiserver, nothing that runs containers.
//!
//! It takes five seconds to start, so that most cases [borrow] one that an earlier case has used; a case
//! that stops it, or wants it otherwise, [starts](Cluster::start) its own.

mod api;
mod audit;
mod crds;
pub mod etcd;
mod launch;
mod pool;
mod purge;
mod runtime;
mod watch;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    process::Usage,
    scene::Scene,
    server::Server,
    tls::{self, Authority},
    tool::Tool,
};

pub use api::Api;
pub use audit::{Audit, Request};
pub use launch::{API_SERVER, ETCD};
pub(crate) use pool::stop as stop_idle;
pub use pool::{Borrowed, borrow};
pub use runtime::{SIXTEEN, at_once, wait};
pub use watch::{Seen, Watch};

/// The peer that people use.
pub const KUBECTL: &str = "kubectl";
/// What every case with a cluster needs.
pub const CLUSTER: [&str; 3] = [ETCD, API_SERVER, KUBECTL];

/// How long the API server may take to end; it waits for watches to be closed.
const GRACE: Duration = Duration::from_secs(10);

/// How an API server is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Features to turn on or off, as `--feature-gates` takes them.
    pub feature_gates: Option<&'static str>,
    /// Serves `tekton.dev/v1beta1` only, as Tekton did before 0.44.
    pub v1beta1_only: bool,
}

/// An API server that answers, with Tekton's resources and without Tekton.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: an API server that misses its store fills its log.
    api_server: Option<Server>,
    etcd: Server,
    api: Api,
    port: u16,
    options: Options,
    programs: Programs,
    folder: TempDir,
    starts: AtomicUsize,
}

/// Where the programs are.
#[derive(Clone, Debug)]
struct Programs {
    etcd: PathBuf,
    api_server: PathBuf,
    kubectl: PathBuf,
}

impl Cluster {
    /// Starts one that ends with the value.
    ///
    /// # Errors
    /// If it is not ready within a minute; the error holds the end of its log.
    pub fn start(scene: &Scene<'_>, options: &Options) -> Result<Self> {
        let programs = Programs {
            etcd: scene.program(ETCD)?.to_owned(),
            api_server: scene.program(API_SERVER)?.to_owned(),
            kubectl: scene.program(KUBECTL)?.to_owned(),
        };
        let cluster = Self::launch(programs, options)?;
        cluster.show_logs_in(scene)?;
        Ok(cluster)
    }

    /// Time of processors that API server and etcd have taken since they began.
    ///
    /// # Errors
    /// If one of them does not run.
    pub fn cpu(&self) -> Result<Duration> {
        let api_server = self.api_server.as_ref().context("the API server is stopped")?;
        Ok(Usage::of(api_server.pid())?.cpu + Usage::of(self.etcd.pid())?.cpu)
    }

    fn launch(programs: Programs, options: &Options) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("chains-cluster-").tempdir()?;
        let path = folder.path();
        let authority = Authority::new(path, "ca")?;
        authority.certify(path, "server")?;
        tls::key_pair(path, "tokens")?;
        fs::write(path.join("users.csv"), launch::USERS)?;
        fs::write(path.join("audit.json"), audit::policy().to_string())?;
        let etcd = launch::etcd(&programs.etcd, path)?;
        let server = launch::ApiServer {
            program: &programs.api_server,
            folder: path,
            etcd: etcd.port(),
            options,
        };
        let api_server = server.start(&path.join("kube-apiserver-0.log"))?;
        let port = api_server.port();
        let api = Api::new(path, port, launch::ADMIN)?;
        let cluster = Self {
            api_server: Some(api_server),
            etcd,
            api,
            port,
            options: options.clone(),
            programs,
            folder,
            starts: AtomicUsize::new(1),
        };
        crds::apply(&cluster)?;
        cluster.kubeconfig("admin", launch::ADMIN)?;
        Ok(cluster)
    }

    /// The API server as its administrator sees it.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The API server as the owner of `token` sees it.
    ///
    /// # Errors
    /// If no client can be made.
    pub fn api_as(&self, token: &str) -> Result<Api> {
        Api::new(self.folder.path(), self.port, token)
    }

    /// A token of a service account, as a pod of it has one.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn token_of(&self, namespace: &str, account: &str) -> Result<String> {
        self.token_for(&self.issuer(), namespace, account)
    }

    /// A token of a service account for somebody else, as a kubelet projects it into a pod that wants it.
    ///
    /// # Errors
    /// If there is no such account.
    pub fn token_for(&self, audience: &str, namespace: &str, account: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = json!({ "spec": { "audiences": [audience], "expirationSeconds": 7200 } });
        let answer = self.api.create(&path, &request)?;
        answer["status"]["token"].as_str().map(str::to_owned).context("no token in the answer")
    }

    /// The issuer of service accounts' tokens, as their claims have it.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Lets anybody read by which keys tokens are to be checked.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn show_issuer(&self) -> Result<()> {
        let group = "rbac.authorization.k8s.io";
        let binding = json!({
            "metadata": { "name": "anybody-may-check-tokens" },
            "roleRef": {
                "apiGroup": group, "kind": "ClusterRole",
                "name": "system:service-account-issuer-discovery",
            },
            "subjects": [{ "apiGroup": group, "kind": "Group", "name": "system:unauthenticated" }],
        });
        self.api.create(&format!("/apis/{group}/v1/clusterrolebindings"), &binding).map(drop)
    }

    /// The certificate of the authority that certifies the API server.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The version of Tekton's API that is served, the newest.
    #[must_use]
    pub fn tekton_version(&self) -> &'static str {
        if self.options.v1beta1_only { "v1beta1" } else { "v1" }
    }

    /// Writes a kubeconfig for the owner of `token` and tells where it is.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn kubeconfig(&self, name: &str, token: &str) -> Result<PathBuf> {
        let config = kubeconfig(self.port, &self.folder.path().join("ca.pem"), token);
        let path = self.folder.path().join(format!("kubeconfig-{name}"));
        fs::write(&path, config.to_string())
            .with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig-admin")
    }

    /// `kubectl`, for the administrator.
    #[must_use]
    pub fn kubectl(&self, scene: &Scene<'_>) -> Tool {
        let tool = scene.tool_at(&self.programs.kubectl, KUBECTL);
        tool.env("KUBECONFIG", self.admin_kubeconfig())
    }

    /// What service accounts ask of the API server from now on.
    ///
    /// # Errors
    /// If the log is not there.
    pub fn audit(&self) -> Result<Audit<'_>> {
        Audit::from_now(self)
    }

    /// Kills the API server, as a node does that loses power; etcd goes on.
    pub fn kill_api_server(&mut self) {
        self.api_server = None;
    }

    /// Stops the API server as a kubelet does: asks it to end, and kills it after a while.
    pub fn stop_api_server(&mut self) {
        if let Some(server) = self.api_server.take() {
            // Late or in time, it is gone.
            let _ = server.terminate(GRACE);
        }
    }

    /// Starts the API server again, at the same address.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn start_api_server(&mut self, scene: &Scene<'_>) -> Result<()> {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        let log = self.folder.path().join(format!("kube-apiserver-{number}.log"));
        let server = launch::ApiServer {
            program: &self.programs.api_server,
            folder: self.folder.path(),
            etcd: self.etcd.port(),
            options: &self.options,
        };
        self.api_server = Some(server.start_at(self.port, &log)?);
        show(&log, scene)
    }

    /// The process of the API server, while there is one.
    #[must_use]
    pub fn api_server_pid(&self) -> Option<u32> {
        self.api_server.as_ref().map(Server::pid)
    }

    /// `127.0.0.1:PORT` of etcd.
    #[must_use]
    pub fn etcd_host(&self) -> String {
        format!("127.0.0.1:{}", self.etcd.port())
    }

    fn is_running(&mut self) -> bool {
        let ended = |server: &mut Server| !matches!(server.ended(), Ok(None));
        !self.api_server.as_mut().is_none_or(ended) && !ended(&mut self.etcd)
    }

    /// The report of a failed case shows the ends of the logs in the scene.
    fn show_logs_in(&self, scene: &Scene<'_>) -> Result<()> {
        let last = self.starts.load(Ordering::Relaxed) - 1;
        for log in ["etcd.log".to_owned(), format!("kube-apiserver-{last}.log")] {
            show(&self.folder.path().join(log), scene)?;
        }
        Ok(())
    }
}

fn show(log: &Path, scene: &Scene<'_>) -> Result<()> {
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    symlink(log, scene.log(name.trim_end_matches(".log"))).context("link a log into the scene")
}

/// JSON is YAML too.
fn kubeconfig(port: u16, authority: &Path, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "test",
            "cluster": {
                "server": format!("https://127.0.0.1:{port}"),
                "certificate-authority": authority,
            },
        }],
        "users": [{ "name": "test", "user": { "token": token } }],
        "contexts": [{
            "name": "test",
            "context": { "cluster": "test", "user": "test", "namespace": "default" },
        }],
        "current-context": "test",
    })
}
