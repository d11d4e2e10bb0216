//! Runs cases and tells the truth about those that it could not run.

use std::{
    any::Any,
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{cluster, peers::Peers, scene::Scene};

type Body = Box<dyn Fn(&Scene<'_>) -> Result<()> + Send + Sync>;

/// One case: what it is called, what it needs, what it does.
pub struct Case {
    name: String,
    peers: Vec<&'static str>,
    body: Body,
}

/// A case that is run only where all of `peers` could be had.
pub fn case(
    name: impl Into<String>,
    peers: &[&'static str],
    body: impl Fn(&Scene<'_>) -> Result<()> + Send + Sync + 'static,
) -> Case {
    Case { name: name.into(), peers: peers.to_vec(), body: Box::new(body) }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("peers", &self.peers).finish()
    }
}

/// What the command line asks for.
#[derive(Debug)]
struct Options {
    list: bool,
    threads: usize,
    names: Vec<String>,
}

/// How a case ended.
#[derive(Debug)]
enum Outcome {
    Passed(Vec<String>),
    Failed(String),
    NotRun(String),
}

/// Runs what the command line asks for: `[--list] [--threads N] [NAME…]`, where a name matches every
/// case that contains it.
///
/// `--list` prints a line a case: its name, a tab, its peers with spaces between them.
#[must_use]
pub fn run(cases: Vec<Case>) -> ExitCode {
    match try_run(cases) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn try_run(mut cases: Vec<Case>) -> Result<ExitCode> {
    let options = options(std::env::args().skip(1))?;
    if !options.names.is_empty() {
        cases.retain(|case| options.names.iter().any(|name| case.name.contains(name)));
    }
    if options.list {
        for case in cases {
            println!("{}\t{}", case.name, case.peers.join(" "));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if cases.is_empty() {
        bail!("no case is called like that: `--list` prints them all");
    }
    let peers = Peers::from_env()?;
    let started = Instant::now();
    let outcomes = run_all(&cases, &peers, options.threads);
    cluster::stop_idle();
    Ok(conclude(&outcomes, started.elapsed()))
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options { list: false, threads: 2, names: Vec::new() };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--list" => options.list = true,
            "--threads" => {
                let number = args.next().context("--threads needs a number")?;
                options.threads = number.parse().context("--threads needs a number")?;
            }
            flag if flag.starts_with('-') => bail!("unknown flag {flag}"),
            _ => options.names.push(arg),
        }
    }
    Ok(options)
}

fn run_all<'c>(cases: &'c [Case], peers: &Peers, threads: usize) -> Vec<(&'c Case, Outcome)> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::with_capacity(cases.len()));
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let started = Instant::now();
                    let outcome = run_one(case, peers);
                    report(case, &outcome, started.elapsed());
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((case, outcome));
                }
            });
        }
    });
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn run_one(case: &Case, peers: &Peers) -> Outcome {
    let missing: Vec<String> = case
        .peers
        .iter()
        .filter_map(|name| Some((name, peers.missing(name)?.lines().next()?)))
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    if !missing.is_empty() {
        return Outcome::NotRun(missing.join("; "));
    }
    let scene = match Scene::new(peers) {
        Ok(scene) => scene,
        Err(error) => return Outcome::Failed(chain(&error)),
    };
    let ended = catch_unwind(AssertUnwindSafe(|| (case.body)(&scene)));
    let error = match ended {
        Ok(Ok(())) => return Outcome::Passed(scene.notes()),
        Ok(Err(error)) => chain(&error),
        Err(panic) => format!("panicked: {}", panic_message(&*panic)),
    };
    Outcome::Failed(format!("{error}\n{}\n{}", scene.notes().join("\n"), scene.logs()))
}

/// What went wrong, each cause on a line of its own.
fn chain(error: &anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join("\n  because: ")
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let string = panic.downcast_ref::<String>().map(String::as_str);
    string.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn report(case: &Case, outcome: &Outcome, elapsed: Duration) {
    // One write for the whole report: another case may end at the same moment.
    let text = match outcome {
        Outcome::Passed(notes) => {
            let notes: String = notes.iter().map(|note| format!("         {note}\n")).collect();
            format!("ok       {} ({elapsed:.1?})\n{notes}", case.name)
        }
        Outcome::Failed(why) => format!("FAILED   {} ({elapsed:.1?})\n{why}\n", case.name),
        Outcome::NotRun(why) => format!("NOT RUN  {} ({why})\n", case.name),
    };
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Prints what a reader of the last lines needs, and the line that a machine reads.
fn conclude(outcomes: &[(&Case, Outcome)], elapsed: Duration) -> ExitCode {
    let of = |wanted: fn(&Outcome) -> bool| -> Vec<&str> {
        let chosen = outcomes.iter().filter(|(_, outcome)| wanted(outcome));
        chosen.map(|(case, _)| case.name.as_str()).collect()
    };
    let passed = of(|outcome| matches!(outcome, Outcome::Passed(_)));
    let failed = of(|outcome| matches!(outcome, Outcome::Failed(_)));
    let not_run = of(|outcome| matches!(outcome, Outcome::NotRun(_)));
    println!();
    for name in &failed {
        println!("failed: {name}");
    }
    for name in &not_run {
        println!("not run, for want of a peer: {name}");
    }
    println!(
        "end to end: {} passed, {} failed, {} not run, in {elapsed:.0?}",
        passed.len(),
        failed.len(),
        not_run.len()
    );
    println!("{} passed, {} failed, {} skipped", passed.len(), failed.len(), not_run.len());
    // Nothing passed: whatever the reason, that is no success.
    if failed.is_empty() && !passed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
