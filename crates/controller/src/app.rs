//! Starts everything in order, and stops it in order.

mod followers;
mod observer;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chains_backends::{Environment, Registry};
use chains_cluster::{Connection, Throttle};
use chains_engine::Policy;
use tokio::task::{JoinHandle, JoinSet};

use crate::args::Args;
use crate::credentials::ServiceAccountCredentials;
use crate::events::Events;
use crate::ownership;
use crate::queue::{Bounds, Queue};
use crate::settings::{self, Subject};
use crate::telemetry::logs::{self, Logs};
use crate::telemetry::{Backends, Health, Metrics, Server};
use crate::work::{ATTEMPT, Room, Runs, Worker, dispatch};

use followers::Followers;
use observer::Ownership;

/// How many bytes of whole objects may wait.
const WAITING_BYTES: usize = 8 * 1024 * 1024;
/// The ConfigMap of the reference.
const CONFIG_MAP: &str = "chains-config";
/// Timeouts and retries within one attempt at a run.
const POLICY: Policy =
    Policy { timeout: Duration::from_secs(60), retries: 2, pause: Duration::from_millis(250) };
/// How long logging may take, with its retries: a log that hangs must leave the stores enough of the time for one attempt,
/// and one of version 2 answers within some 20 seconds.
const LOG_LIMIT: Duration = Duration::from_secs(40);
const _: () = assert!(LOG_LIMIT.as_secs() * 2 < ATTEMPT.as_secs(), "stores need their time too");
/// How long the last Events and traces may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs the controller until it is told to stop.
///
/// # Errors
/// Where it cannot start at all: the address cannot be listened on, there is no kubeconfig and no cluster around. A
/// faulty configuration, a missing key, an API server that does not answer are waited for, and told.
pub(crate) async fn run(args: Args, registry: Registry) -> anyhow::Result<()> {
    let logs = Arc::new(logs::start(args.log_format)?);
    let ended = observed(&args, registry, &logs).await;
    if let Err(error) = &ended {
        tracing::error!(error = format!("{error:#}"), "cannot go on");
    }
    if let Some(logs) = Arc::into_inner(logs) {
        logs.stop().await;
    }
    ended
}

/// With probes and metrics.
async fn observed(args: &Args, registry: Registry, logs: &Arc<Logs>) -> anyhow::Result<()> {
    let health = Health::new();
    let metrics = Metrics::new();
    let server = Server::start(args.listen, health.clone(), metrics.clone()).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %server.address(), "starting");
    let stopped = controller(args, registry, logs, &health, &metrics).await;
    drop(server);
    stopped
}

async fn controller(
    args: &Args,
    registry: Registry,
    logs: &Arc<Logs>,
    health: &Health,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    let connection = connection(args);
    let client = chains_cluster::connect(&connection).await?;
    // Renewals of Leases must not queue behind anything.
    let lease_client =
        chains_cluster::connect(&Connection { throttle: None, ..connection }).await?;
    let identity = identity(args);
    let events = Events::new(client.clone(), &identity);
    // It follows as long as there is somebody to follow for: until the process ends.
    let (settings, filters, mut following) = settings::start(
        client.clone(),
        settings_options(args, registry, logs, &client, (health, metrics)),
        events.clone(),
        health,
        std::future::pending(),
    );
    let queue =
        Queue::new(Bounds { concurrency: usize::from(args.max_concurrency), bytes: WAITING_BYTES });
    let options = ownership::Options {
        identity,
        namespace: args.system_namespace.clone(),
        total: args.buckets,
        lease_duration: args.lease_duration,
    };
    let observer = Arc::new(Ownership::new(health.part("ownership"), metrics.clone()));
    let (held, mut handle) =
        ownership::start(lease_client, options, Arc::new(queue.clone()), observer)?;
    let worker = Worker {
        runs: Runs::new(client.clone()),
        settings: settings.clone(),
        metrics: metrics.clone(),
        events: events.clone(),
        fence: handle.fence(),
        room: Room::new(),
    };
    let followers = Followers {
        client,
        queue: queue.clone(),
        settings,
        filters,
        held,
        namespaces: namespaces(args),
        buckets: args.buckets,
        health: health.clone(),
        metrics: metrics.clone(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(dispatch(queue.clone(), worker));
    followers.spawn(&mut tasks);
    signal(&mut tasks, &mut following, &mut handle).await?;
    health.stopping();
    tracing::info!(grace = ?args.shutdown_grace, "stopping: finishing what is in hand");
    tasks.shutdown().await;
    following.abort();
    handle.shutdown(args.shutdown_grace).await;
    events.flush(FAREWELL).await;
    tracing::info!("stopped");
    Ok(())
}

/// Waits until the process is told to stop. A task that ends by itself is a fault of ours.
async fn signal(
    tasks: &mut JoinSet<()>,
    following: &mut JoinHandle<()>,
    ownership: &mut ownership::Handle,
) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        ended = tasks.join_next() => anyhow::bail!("a task ended that never ends: {ended:?}"),
        ended = following => anyhow::bail!("the task that follows the settings ended: {ended:?}"),
        ended = ownership.ended() => anyhow::bail!("the task that shares the runs ended: {ended:?}"),
    }
}

fn connection(args: &Args) -> Connection {
    let throttle = args
        .kube_api_qps
        .filter(|qps| *qps > 0.0)
        .map(|qps| Throttle { qps, burst: args.kube_api_burst.unwrap_or(10) });
    if let Some(throttle) = throttle {
        tracing::info!(?throttle, "requests to the API server are limited by --kube-api-qps");
    }
    if args.threads_per_controller.is_some() {
        tracing::info!(
            "--threads-per-controller has no effect: how many runs are worked on at once is found out"
        );
    }
    Connection { kubeconfig: args.kubeconfig.clone(), context: args.context.clone(), throttle }
}

fn settings_options(
    args: &Args,
    registry: Registry,
    logs: &Arc<Logs>,
    client: &kube::Client,
    (health, metrics): (&Health, &Metrics),
) -> settings::Options {
    let ambient = args.ambient_registry_credentials;
    let credentials = ServiceAccountCredentials::new(client.clone(), ambient);
    let backends = Backends::new(metrics.clone(), health.part("backends"));
    let environment = Environment {
        registry_credentials: Arc::new(credentials),
        insecure_registries: args.insecure_registry.clone(),
        ca_files: args.ca_file.clone(),
        // Where the reference keeps what it fetched of a TUF repository.
        cache: std::env::var_os("TUF_ROOT").filter(|path| !path.is_empty()).map(Into::into),
        policy: POLICY,
        log_limit: Some(LOG_LIMIT),
        meter: Some(Arc::clone(&backends) as _),
        registry,
        ..Environment::anonymous()
    };
    let logs = Arc::downgrade(logs);
    let metrics = metrics.clone();
    settings::Options {
        namespace: args.system_namespace.clone(),
        config_map: CONFIG_MAP.to_owned(),
        logging_config_map: args.config_logging_name.clone(),
        signing_secrets: args.signing_secrets.clone(),
        environment,
        set_log_level: Arc::new(move |level| {
            if let Some(logs) = logs.upgrade() {
                logs.set_level(level);
            }
        }),
        set_backends: Arc::new(move || backends.forget()),
        set_valid: Arc::new(move |subject, valid| match subject {
            Subject::Configuration => metrics.config_valid(valid),
            Subject::SigningKey => metrics.key_valid(valid),
        }),
    }
}

/// Namespaces to look at, without the blanks that people write around commas; none means all.
fn namespaces(args: &Args) -> Vec<String> {
    let names = args.namespace.iter().map(|name| name.trim().to_owned());
    let mut names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
    names.sort();
    names.dedup();
    names
}

/// The Pod's name where it is told, else the host's with something random: two processes on one machine differ.
fn identity(args: &Args) -> String {
    let named = args.identity.clone().filter(|name| !name.trim().is_empty());
    named.unwrap_or_else(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        let host = if host.is_empty() { "chains" } else { host };
        format!("{host}-{:08x}", crate::pause::random_bits())
    })
}
