//! Logs: one line an event, to standard output, as JSON or as text.
//!
//! Standard output, because that is where the reference writes its log: whoever collects it there finds ours too.
//! The keys of a JSON line are those of the reference (`level`, `ts`, `logger`, `msg`); fields of the event and of
//! the spans around it lie flat beside them, so that `run`, `uid` and `target` are in every line that is about a run.
//!
//! What is logged is said by `RUST_LOG`, else by the ConfigMap, which may change it at any time. Crates other than ours tell warnings and errors only, unless `RUST_LOG` says otherwise.

mod fields;
mod lines;

use std::io;

use chains_core::{Error, ErrorKind};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::lines::Lines;
use super::traces::{self, Traces};

/// How crates of ours begin.
const OURS: &str = "chains";

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// What is under way: change the level with it, and end it last.
#[derive(Debug)]
pub(crate) struct Logs {
    /// Absent where `RUST_LOG` has the last word.
    level: Option<reload::Handle<EnvFilter, Registry>>,
    traces: Option<Traces>,
}

/// Starts logs, and traces where the environment asks for them. To be called once, on the runtime.
///
/// Traces that cannot be exported are no reason not to start: the log tells why.
///
/// # Errors
/// Where the process has a log already.
pub(crate) fn start(format: LogFormat) -> Result<Logs, Error> {
    let chosen = Chosen::new(std::env::var("RUST_LOG").ok());
    let (filter, handle) = reload::Layer::new(chosen.filter);
    let (traces, refused) = match traces::start() {
        Ok(traces) => (traces, None),
        Err(error) => (None, Some(error)),
    };
    let lines = Lines::new(format, io::stdout).with_filter(filter.or(context_spans()));
    Registry::default()
        .with(lines)
        .with(traces.as_ref().map(Traces::layer))
        .try_init()
        .map_err(|e| Error::new(ErrorKind::Internal, "starting the log").with_source(e))?;
    if let Some(fault) = chosen.fault {
        tracing::warn!(error = fault, "RUST_LOG is not used");
    }
    if let Some(error) = refused {
        tracing::warn!(error = %error.report(), "no traces are exported");
    }
    Ok(Logs { level: chosen.changeable.then_some(handle), traces })
}

impl Logs {
    /// Logs from this level on, where `RUST_LOG` does not say what to log.
    pub(crate) fn set_level(&self, level: Level) {
        if let Some(handle) = &self.level
            && let Err(error) = handle.reload(EnvFilter::new(directives(level)))
        {
            tracing::warn!(%error, "the level of the log could not be changed");
        }
    }

    /// Sends the traces that are still here. What is logged later is still written.
    pub(crate) async fn stop(self) {
        if let Some(traces) = self.traces {
            traces.stop().await;
        }
    }
}

/// What is logged to begin with.
struct Chosen {
    filter: EnvFilter,
    /// Whether the ConfigMap may change it.
    changeable: bool,
    /// What is wrong with `RUST_LOG`.
    fault: Option<String>,
}

impl Chosen {
    fn new(rust_log: Option<String>) -> Self {
        let rust_log = rust_log.filter(|text| !text.trim().is_empty());
        let parsed = rust_log.map(|text| EnvFilter::builder().parse(&text).map_err(|e| (text, e)));
        let fault = match parsed {
            Some(Ok(filter)) => return Self { filter, changeable: false, fault: None },
            Some(Err((text, error))) => Some(format!("{text:?}: {error}")),
            None => None,
        };
        let filter = EnvFilter::new(directives(Level::INFO));
        Self { filter, changeable: true, fault }
    }
}

/// Our crates at this level, all others at warnings at most; the client of the API server not at all, for what it
/// complains of comes back as an error that we tell.
fn directives(level: Level) -> String {
    let others = level.min(Level::WARN);
    format!("{others},kube_client=off,kube_runtime=off,{OURS}={level}")
}

/// Our spans, whatever the level: a warning is to tell its run also where only warnings are logged.
fn context_spans<S>() -> impl Filter<S> + 'static
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a> + 'static,
{
    filter_fn(|metadata| metadata.is_span() && is_of_ours(metadata))
        .with_max_level_hint(LevelFilter::INFO)
}

/// Spans and events of our crates from [`Level::INFO`] on.
pub(super) fn is_of_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with(OURS) && *metadata.level() <= Level::INFO
}

#[cfg(test)]
mod tests;
