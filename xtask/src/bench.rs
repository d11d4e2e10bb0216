//! `cargo xtask bench`: measures what the project promises, and prints one table.

mod controller;
mod divan;
mod goals;
mod process;

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::{self, Package};
use goals::{Quantity, Row};

/// What `cargo xtask bench --help` prints.
pub(crate) const HELP: &str = "\
cargo xtask bench [NAME…]
cargo xtask bench controller [--n N,N] [--rate R,R] [--residents N,N] [--seconds S]

Measures and prints one table, with the goals of the project beside.
  - `cargo bench` of every package that has benchmarks; NAME chooses packages
  - the command as a process: `chains sign` of one run with a key at hand, release build;
    NAME `process` chooses it

`controller` is by itself, as it needs a Kubernetes API server, which it installs, and an hour:
  --n          backlogs of so many runs are worked off (300,2000)
  --rate       runs a second at a steady rate (2,20), for --seconds (20)
  --residents  signed runs that are in the cluster meanwhile (0,5000,20000)
`none` leaves one out. Builds in the profile `dist`, or in $CHAINS_BENCH_PROFILE.

Run it on a machine with nothing else to do. A goal that is missed does not fail the command:
machines differ.
";

/// The name that chooses the measurements of the command as a process.
const PROCESS: &str = "process";

/// Runs `cargo xtask bench`.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    if let Some((process::MEASURE, command)) = args.split_first().map(|(a, b)| (a.as_str(), b)) {
        return process::measure(command);
    }
    if let Some((controller::NAME, options)) = args.split_first().map(|(a, b)| (a.as_str(), b)) {
        return controller::run(options);
    }
    let chosen = |name: &str| args.is_empty() || args.iter().any(|arg| name.contains(arg.as_str()));
    let mut rows = Vec::new();
    for package in workspace::packages()?.iter().filter(|package| chosen(&package.name)) {
        rows.extend(benchmarks(package)?);
    }
    if chosen(PROCESS) {
        rows.extend(process::rows()?);
    }
    print(&rows);
    Ok(ExitCode::SUCCESS)
}

/// Runs the benchmarks of a package.
fn benchmarks(package: &Package) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let benches =
        package.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "bench"));
    for bench in benches {
        eprintln!("running the benchmarks {} of {}", bench.name, package.name);
        let output = workspace::output_of(workspace::cargo().args([
            "bench",
            "--quiet",
            "--package",
            &package.name,
            "--bench",
            &bench.name,
        ]))?;
        for measured in divan::read(&output) {
            let what = format!("{}: {} {}", package.name, bench.name, measured.name);
            rows.push(Row::new(what, Quantity::Nanoseconds(measured.nanoseconds)));
        }
    }
    Ok(rows)
}

fn print(rows: &[Row]) {
    let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or_default();
    println!("{:<width$}  {:>10}  {:>10}", "what", "measured", "goal");
    for row in rows {
        let goal = row.goal.map_or(String::new(), |goal| format!("≤ {goal}"));
        let missed = if row.is_missed() { "  missed" } else { "" };
        println!("{:<width$}  {:>10}  {goal:>10}{missed}", row.what, row.measured.to_string());
    }
}
