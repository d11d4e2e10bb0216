//! `cargo xtask e2e`: the command against real peers.
//!
//! Builds `chains`, asks the cases in `tests/e2e` what they need, installs what is missing of that
//! into a cache folder, and runs them. A peer that cannot be had is told loudly, and its cases are
//! counted as not run.

mod build;
mod cache;
mod catalog;
mod network;
mod recipe;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use cache::{Cache, Had};
use network::{NETWORK, Network};

/// The variable through which the cases learn where the peers are: a file.
pub(crate) const PEERS_FILE: &str = "CHAINS_E2E_PEERS";

/// Peers that are programs of the workspace: their names among the peers, and as cargo calls them.
const BUILT: [(&str, &str); 3] = [
    (build::CONTROLLER, build::CONTROLLER),
    (build::CUSTOM_BACKEND, build::CUSTOM_BACKEND),
    ("cloud-kms", build::CLOUD_KMS),
];

/// What `cargo xtask e2e --help` prints.
pub(crate) const HELP: &str = "\
cargo xtask e2e [--list] [--threads N] [NAME…]

Runs the end-to-end cases whose name contains one of NAME, or all of them, against real peers.
  --list       prints the cases and the peers that each needs, and runs nothing
  --threads N  runs N cases at a time (2)

Peers are installed into $CHAINS_CACHE (by default chains-peers in the user's cache folder).
";

/// Runs `cargo xtask e2e`, from the root of the workspace.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let cases = build::cases()?;
    let mut needed = needed(&cases, args)?;
    if args.iter().any(|arg| arg == "--list") {
        return finish(Command::new(&cases).args(args));
    }
    let programs = build::programs()?;
    let mut had = Map::new();
    for (peer, program) in BUILT {
        if needed.remove(peer) {
            had.insert(peer.to_owned(), json!({ "program": programs.get(program) }));
        }
    }
    let network = Network::find();
    if needed.remove(NETWORK) {
        had.insert(NETWORK.to_owned(), told(&network));
    }
    let chains = programs.get(build::CHAINS).context("the command was not built")?;
    let peers = tell(&cases, chains, had, &needed)?;
    let mut command = network.map_or_else(|_| Command::new(&cases), |it| it.command(&cases));
    finish(command.args(args).env(PEERS_FILE, &peers))
}

/// Builds what measures the controller, and all that it needs, in this profile. Tells the program, and the
/// file for [`PEERS_FILE`].
pub(crate) fn for_bench(profile: &str) -> Result<(PathBuf, PathBuf)> {
    let program = build::bench(profile)?;
    let controller = build::controller(profile)?;
    let needed = ["etcd", "kube-apiserver", "kubectl"].map(str::to_owned).into();
    let mut had = Map::new();
    had.insert(build::CONTROLLER.to_owned(), json!({ "program": controller }));
    // The command itself is not measured here.
    let peers = tell(&program, &controller, had, &needed)?;
    Ok((program, peers))
}

/// Installs peers, and tells them and what is `had` already in a file beside `program`.
fn tell(
    program: &Path,
    chains: &Path,
    mut had: Map<String, Value>,
    needed: &BTreeSet<String>,
) -> Result<PathBuf> {
    had.extend(install(&Cache::open()?, needed)?);
    let file = program.with_extension("peers.json");
    let list = json!({ "chains": chains, "peers": had });
    fs::write(&file, serde_json::to_vec_pretty(&list)?)
        .with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

/// What cases that want a network of their own are told of it.
fn told(network: &Result<Network, String>) -> Value {
    match network {
        Ok(_) => json!({ "program": "unshare" }),
        Err(why) => {
            println!("{NETWORK} NOT TO BE HAD: {why}");
            json!({ "missing": why })
        }
    }
}

/// The peers that the cases chosen by `args` need.
fn needed(cases: &Path, args: &[String]) -> Result<BTreeSet<String>> {
    let output = Command::new(cases).args(args).arg("--list").output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let list = String::from_utf8(output.stdout).context("read the list of cases")?;
    if list.is_empty() {
        bail!("no case is called like that: `cargo xtask e2e --list` prints them all");
    }
    let peers = list.lines().filter_map(|line| line.split_once('\t'));
    Ok(peers.flat_map(|(_, peers)| peers.split_whitespace()).map(str::to_owned).collect())
}

/// Installs the peers of these names where they are missing, and tells what became of each, as the
/// cases want to read it.
fn install(cache: &Cache, names: &BTreeSet<String>) -> Result<Map<String, Value>> {
    println!("peers, in {}:", cache.folder().display());
    let mut told = Map::new();
    for name in names {
        let peer = catalog::find(name)?;
        let (line, value) = match cache.have(peer) {
            Ok(Had { program, what, took }) => {
                let took = took.map_or("cached".to_owned(), |took| format!("{took:.1?}"));
                (format!("  {name:<20} {took:>8}  {what}"), json!({ "program": program }))
            }
            Err(error) => {
                let why = format!("{error:#}");
                (format!("  {name:<20} NOT TO BE HAD: {why}"), json!({ "missing": why }))
            }
        };
        println!("{line}");
        told.insert(name.clone(), value);
    }
    Ok(told)
}

/// Runs a command to its end and passes its exit status on.
pub(crate) fn finish(command: &mut Command) -> Result<ExitCode> {
    let status =
        command.status().with_context(|| format!("run {}", command.get_program().display()))?;
    // Without a code it was killed.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
