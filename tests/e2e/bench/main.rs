//! What the controller costs, beside what the API server can take: `cargo xtask bench controller`.
//!
//! In the same run, on the same API server, a bare loop sends as many merge patches of the same size: that is the
//! limit, and goals are ratios to it, since machines differ.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement tells people what came out"
)]

mod bare;
mod drain;
mod options;
mod steady;
mod table;

use std::{process::ExitCode, time::Instant};

use chains_e2e::{
    Context as _, Peers, Result, Scene,
    cluster::{
        Cluster, Options as ClusterOptions,
        etcd::{self, Template},
    },
    ensure, runs,
    stage::{Stage, managed_by},
    tekton::Namespace,
};
use serde_json::{Map, Value, json};

use bare::{Bare, Loop, Onlooker};
use options::Options;
use table::{Goal, Table};

/// A digest of no image: nothing is stored beside images here.
const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// The run that all others are copies of.
const PLAIN: &str = "plain";
/// The same, signed by the controller.
const SIGNED: &str = "signed";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.split_first() {
        Some((first, rest)) if first == bare::COMMAND => bare::run(rest),
        _ => measure(&args),
    };
    done.map_or_else(
        |error| {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn measure(args: &[String]) -> Result<()> {
    let options = Options::read(args)?;
    let peers = Peers::from_env()?;
    let scene = Scene::new(&peers)?;
    eprintln!("starting an API server");
    let cluster = Cluster::start(&scene, &ClusterOptions::default())?;
    let stage = Stage::set(&scene, &cluster)?;
    let patch = templates(&stage)?;
    // Read once: a controller signs everything that it finds, those that are copied too.
    let read = |name| Template::read(&cluster, stage.namespace.name(), "taskruns", name);
    let (plain, signed) = (read(PLAIN)?, read(SIGNED)?);
    etcd::delete_runs(&cluster, stage.namespace.name(), "taskruns")?;
    let mut table = Table::default();
    let bench = Bench { patch, stage, plain, signed, options };
    bench.all(&mut table)?;
    table.print();
    Ok(())
}

/// What is measured with.
#[derive(Debug)]
struct Bench<'a> {
    stage: Stage<'a>,
    options: Options,
    /// A complete run.
    plain: Template,
    /// The same, signed by the controller.
    signed: Template,
    /// The annotations that the controller puts on a run: what the bare loop writes, too.
    patch: Value,
}

/// Makes the runs that others are copies of; tells the annotations that signing adds.
fn templates(stage: &Stage<'_>) -> Result<Value> {
    let namespace = &stage.namespace;
    let run = |name: &str| runs::kaniko(name, "registry.test/app", DIGEST);
    let controller = stage.start()?;
    let watch = namespace.watch("taskruns")?;
    namespace.run(&[run(SIGNED)])?;
    watch.until(SIGNED, |seen| seen.is_signed() && !seen.is_held())?;
    ensure!(controller.terminate()?.success(), "the controller did not end well");
    namespace.run(&[run(PLAIN)])?;
    let signed = namespace.get("taskruns", SIGNED)?;
    let annotations = signed["metadata"]["annotations"].as_object().context("no annotations")?;
    let ours = annotations.iter().filter(|(name, _)| name.starts_with("chains.tekton.dev/"));
    let ours: Map<String, Value> =
        ours.map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok(json!({ "metadata": { "annotations": ours } }))
}

impl Bench<'_> {
    fn all(&self, table: &mut Table) -> Result<()> {
        let bytes = self.patch.to_string().len();
        table.head(format!("a patch has {bytes} bytes; {}", self.options));
        let lone = self.lone(table)?;
        for n in &self.options.n {
            self.drain(table, *n)?;
        }
        for rate in &self.options.rate {
            self.steady(table, *rate, 0, &lone)?;
        }
        self.backlog(table, &lone)?;
        for residents in &self.options.residents {
            self.residents(table, *residents, &lone)?;
        }
        Ok(())
    }

    /// Copies of a run in a namespace of their own.
    fn fill(&self, run: &Template, count: usize) -> Result<Namespace<'_>> {
        let cluster = self.stage.install.cluster();
        let namespace = Namespace::new(cluster, "bench")?;
        run.put(cluster, namespace.name(), count)?;
        self.settle()?;
        Ok(namespace)
    }

    fn empty(&self, namespace: &Namespace<'_>) -> Result<()> {
        etcd::delete_runs(self.stage.install.cluster(), namespace.name(), "taskruns")?;
        self.settle()
    }

    /// Waits until the API server tells watches of what was done in etcd directly: it reads that one by one, and
    /// whatever is measured next would wait for it.
    fn settle(&self) -> Result<()> {
        let namespace = &self.stage.namespace;
        let watch = namespace.watch("taskruns")?;
        let names = ["settled-0", "settled-1"];
        // The first may come with the list; what comes after the list comes in order.
        for name in names {
            // Controllers leave it alone.
            let run = runs::kaniko(name, "registry.test/app", DIGEST);
            namespace.create(&[managed_by(run, "example.test/bench")])?;
            watch.within(drain::LIMIT, &[name], |_| true)?;
        }
        names.iter().try_for_each(|name| namespace.delete("taskruns", name))
    }

    /// The limit: `count` patches, so many at once.
    fn bare(&self, at_once: usize, count: usize) -> Result<Bare> {
        self.bare_beside(at_once, count, |_| Ok(()))
    }

    /// The same, beside something that may be asked of the API server meanwhile.
    fn bare_beside<T>(
        &self,
        at_once: usize,
        count: usize,
        beside: impl Fn(&Namespace<'_>) -> Result<T>,
    ) -> Result<Bare> {
        let namespace = self.fill(&self.plain, count)?;
        let watch = namespace.watch("taskruns")?;
        let what = Loop { at_once, count, path: namespace.path("taskruns"), prefix: PLAIN };
        let beside = beside(&namespace)?;
        let cluster = self.stage.install.cluster();
        let before = cluster.cpu()?;
        let bare = bare::start(&self.stage, &what, &self.patch)?;
        let server = cluster.cpu()?.saturating_sub(before);
        drop((watch, beside));
        self.empty(&namespace)?;
        Ok(bare.with_server(server))
    }

    /// One patch at a time: what a round trip takes.
    fn lone(&self, table: &mut Table) -> Result<Bare> {
        eprintln!("one bare patch at a time");
        let lone = self.bare(1, 300)?;
        table.section("a bare patch, one at a time");
        table.row("round trip p50", lone.millis(50), "ms", None);
        table.row("round trip p95", lone.millis(95), "ms", None);
        table.row("client CPU", lone.cpu_ms(), "ms", None);
        Ok(lone)
    }

    fn drain(&self, table: &mut Table, n: usize) -> Result<()> {
        let mut best: Option<Bare> = None;
        table.section(&format!("a backlog of {n} complete runs"));
        for at_once in [4, 16, 64] {
            eprintln!("bare loop, {n} patches, {at_once} at once");
            let bare = self.bare(at_once, n)?;
            table.row(&format!("bare loop, {at_once} at once"), bare.rate(), "/s", None);
            if best.as_ref().is_none_or(|best| bare.rate() > best.rate()) {
                best = Some(bare);
            }
        }
        let best = best.context("nothing was measured")?;
        eprintln!("bare loop beside a watch of whole runs");
        let onlooker = |of: &Namespace<'_>| Onlooker::start(&self.stage, &of.path("taskruns"));
        let watched = self.bare_beside(4, n, onlooker)?;
        table.row("bare loop beside a watch of whole runs", watched.rate(), "/s", None);
        eprintln!("draining {n} runs");
        let drain = drain::drain(self, n)?;
        let share = Goal::at_least(0.9, best.rate());
        table.row("controller", drain.rate(), "/s", Some(share));
        table.row("bare loop, client CPU a write", best.cpu_ms(), "ms", None);
        table.row(
            "controller, CPU a run",
            drain.cpu_ms(),
            "ms",
            Some(Goal::at_most(3.0, best.cpu_ms())),
        );
        table.row("API server and etcd, CPU a bare write", best.server_ms(), "ms", None);
        table.row("the same beside a watch of whole runs", watched.server_ms(), "ms", None);
        table.row("API server and etcd, CPU a run", drain.server_ms(), "ms", None);
        table.row("requests a run", drain.requests(), "", Some(Goal::at_most(1.0, 1.0)));
        table.row("RSS, peak", drain.peak_mb(), "MB", Some(Goal::at_most(1.0, 40.0)));
        table.row("start to ready", drain.ready_ms(), "ms", Some(Goal::at_most(1.0, 300.0)));
        table.note(format!("all requests: {}", drain.told));
        Ok(())
    }

    fn steady(&self, table: &mut Table, rate: f64, residents: usize, lone: &Bare) -> Result<()> {
        eprintln!("{rate} runs a second for {} s", self.options.seconds);
        let namespace = Namespace::new(self.stage.install.cluster(), "bench")?;
        let begun = Instant::now();
        let controller = self.stage.start()?;
        self.first(&namespace)?;
        let first = begun.elapsed();
        let steady = steady::steady(self, &namespace, &controller, rate, None)?;
        table.section(&format!("{rate} runs a second, {residents} signed runs resident"));
        table.row("start to the first run signed", first.as_secs_f64() * 1e3, "ms", None);
        table.latencies(&steady, lone);
        table.row("CPU a run", steady.cpu_ms(), "ms", None);
        table.row("requests a run", steady.requests, "", Some(Goal::at_most(1.0, 2.0)));
        table.note(format!("all requests: {}", steady.told));
        self.empty(&namespace)
    }

    /// A run that completes when the controller has just begun: it is told of it after all that was there before.
    fn first(&self, namespace: &Namespace<'_>) -> Result<()> {
        let watch = namespace.watch("taskruns")?;
        namespace.run(&[runs::kaniko("first", "registry.test/app", DIGEST)])?;
        watch.within(drain::LIMIT, &["first"], |seen| seen.is_signed() && !seen.is_held())
    }

    /// New completions overtake a backlog.
    fn backlog(&self, table: &mut Table, lone: &Bare) -> Result<()> {
        let Some(n) = self.options.n.iter().max() else { return Ok(()) };
        eprintln!("5 runs a second while {n} are worked off");
        let backlog = self.fill(&self.plain, *n)?;
        let namespace = Namespace::new(self.stage.install.cluster(), "bench")?;
        let watch = backlog.watch("taskruns")?;
        let controller = self.stage.controller("controller").alive()?;
        let left = || watch.count(|seen| !seen.is_signed()) > 0;
        let steady = steady::steady(self, &namespace, &controller, 5.0, Some(&left))?;
        table.section(&format!("5 runs a second while a backlog of {n} is worked off"));
        table.latencies(&steady, lone);
        drop(watch);
        self.empty(&backlog)?;
        self.empty(&namespace)
    }

    fn residents(&self, table: &mut Table, residents: usize, lone: &Bare) -> Result<()> {
        eprintln!("{residents} signed runs resident");
        let filled = self.fill(&self.signed, residents)?;
        let idle = drain::idle(self)?;
        table.section(&format!("{residents} signed runs resident, nothing to do"));
        table.row("start to ready", idle.ready_ms, "ms", Some(Goal::at_most(1.0, 300.0)));
        table.row("RSS, idle", idle.idle_mb, "MB", Some(Goal::at_most(1.0, 25.0)));
        table.row("RSS, peak", idle.peak_mb, "MB", Some(Goal::at_most(1.0, 40.0)));
        table.row("CPU until idle", idle.cpu_ms, "ms", None);
        if residents > 0 {
            for rate in &self.options.rate {
                self.steady(table, *rate, residents, lone)?;
            }
        }
        self.empty(&filled)
    }
}
