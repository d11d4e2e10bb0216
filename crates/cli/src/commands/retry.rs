//! `chains retry`: starts runs again that the controller has given up, or waits to try again.

mod row;

use std::collections::BTreeSet;

use chains_cluster::kube::Client;
use chains_cluster::retry::{self, Found, Outcome, RunName, Selection, State};
use futures_util::stream::{self, StreamExt as _};
use serde::Serialize;

use crate::args::{Output, RetryArgs};
use crate::output::{self, Exit, counted};
use crate::progress;

use row::Row;

/// How many runs are written at once: the API server is the limit, and it has others to serve.
const AT_ONCE: usize = 16;

pub(crate) async fn run(args: RetryArgs, format: Output) -> anyhow::Result<Exit> {
    let cluster = args.cluster.connect().await?;
    let client = &cluster.client;
    let selection = selection(&args, client);
    let looked_at = progress::counter("runs looked at");
    let found = retry::find(client, &selection, |more| looked_at.inc(more as u64)).await;
    looked_at.finish_and_clear();
    let found = found.map_err(|error| cluster.report(error));
    let mut chosen = Chosen::default();
    match &selection {
        Selection::Named { namespace, runs } => {
            for (run, found) in runs.iter().zip(found?) {
                match found {
                    Ok(found) if found.starts(args.again) => chosen.runs.push(found),
                    Ok(found) => chosen.rows.push(Row::left(&found, found.state())),
                    Err(error) => chosen.rows.push(Row::unread(run, namespace, &error)),
                }
            }
        }
        Selection::Matching { .. } => {
            let wanted = |found: &Found| match found.state() {
                State::Failed { .. } => true,
                _ => !args.all_failed && found.starts(args.again),
            };
            let found = found?.into_iter().filter_map(Result::ok);
            chosen.runs.extend(found.filter(wanted));
        }
    }
    let summary = Summary {
        dry_run: args.dry_run,
        looked_at: looked_at.position(),
        runs: chosen.start(client, &args).await,
        place: place(&selection),
    };
    match format {
        Output::Json => output::json(&summary)?,
        Output::Table => summary.print(),
    }
    Ok(summary.exit())
}

fn selection(args: &RetryArgs, client: &Client) -> Selection {
    let namespace =
        || args.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    if args.runs.is_empty() {
        let namespace = (!args.all_namespaces).then(namespace);
        return Selection::Matching { namespace, labels: args.selector.clone() };
    }
    let once: BTreeSet<&RunName> = args.runs.iter().collect();
    Selection::Named { namespace: namespace(), runs: once.into_iter().cloned().collect() }
}

fn place(selection: &Selection) -> String {
    match selection {
        Selection::Named { namespace, .. }
        | Selection::Matching { namespace: Some(namespace), .. } => {
            format!("the namespace {namespace}")
        }
        Selection::Matching { namespace: None, .. } => "all namespaces".to_owned(),
    }
}

/// What is to be started, and what is clear already.
#[derive(Default)]
struct Chosen {
    runs: Vec<Found>,
    rows: Vec<Row>,
}

impl Chosen {
    async fn start(self, client: &Client, args: &RetryArgs) -> Vec<Row> {
        let Self { runs, mut rows } = self;
        if args.dry_run {
            rows.extend(runs.iter().map(Row::would_start));
        } else {
            let bar = progress::bar(runs.len(), "runs");
            let work = runs.into_iter().map(|found| {
                let bar = &bar;
                async move {
                    let outcome = retry::start(client, &found, args.again).await;
                    tracing::debug!(run = %found, ?outcome, "started again");
                    bar.inc(1);
                    match outcome {
                        Ok(Outcome::Started) => Row::started(&found),
                        Ok(Outcome::Left(now)) => Row::left(&found, &now),
                        Ok(Outcome::Gone) => Row::gone(&found),
                        Err(error) => Row::failed(&found, &error),
                    }
                }
            });
            rows.extend(stream::iter(work).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
            bar.finish_and_clear();
        }
        rows.sort_by(|a, b| a.order().cmp(&b.order()));
        rows
    }
}

/// Everything that is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    dry_run: bool,
    looked_at: u64,
    runs: Vec<Row>,
    #[serde(skip)]
    place: String,
}

impl Summary {
    fn exit(&self) -> Exit {
        let failed = self.runs.iter().any(|row| row.outcome == row::Outcome::Failed);
        if failed { Exit::Failed } else { Exit::Done }
    }

    fn print(&self) {
        if !self.runs.is_empty() {
            output::table(["RUN", "IT WAS", "NOW"], self.runs.iter().map(Row::cells));
            output::line("");
        }
        output::line(self.counts());
    }

    fn counts(&self) -> String {
        let count = |outcome| self.runs.iter().filter(|row| row.outcome == outcome).count();
        let looked_at = usize::try_from(self.looked_at).unwrap_or(usize::MAX);
        let mut line = match (count(row::Outcome::Started), count(row::Outcome::WouldStart)) {
            (0, 0) => "nothing started again".to_owned(),
            (0, would) => format!("{} would be started again", counted(would, "run")),
            (started, _) => format!("{} started again", counted(started, "run")),
        };
        let others = [
            (count(row::Outcome::Left), "left alone"),
            (count(row::Outcome::Gone), "gone"),
            (count(row::Outcome::Failed), "failed"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            line.push_str(&format!(", {count} {what}"));
        }
        format!("{line}; {} looked at in {}", counted(looked_at, "run"), self.place)
    }
}
