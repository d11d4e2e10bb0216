//! The command as a process: how long `chains sign` of one run takes, and how much memory.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use super::PROCESS;
use super::goals::{Quantity, Row};
use crate::workspace;

/// The argument by which the task starts itself to measure: what it counts are all children it
/// ever had, and cargo is larger by far than what is measured.
pub(crate) const MEASURE: &str = "--measure";

/// How many times the command is run.
const RUNS: usize = 100;
/// The run that is signed: its own statement and one image.
const EXAMPLE: &str = "examples/kaniko-taskrun.yaml";

/// What the measuring process tells.
#[derive(Debug, Serialize, Deserialize)]
struct Usage {
    /// Wall time of each run.
    wall_nanoseconds: Vec<f64>,
    /// Processor time of all runs.
    cpu_nanoseconds: f64,
    /// The most memory that one of them had resident.
    peak_bytes: f64,
}

/// Builds the command, and measures it.
pub(crate) fn rows() -> Result<Vec<Row>> {
    eprintln!("building the command, optimised");
    let built = workspace::cargo()
        .args(["build", "--quiet", "--release", "--package", "chains-cli"])
        .status()
        .context("run cargo")?;
    if !built.success() {
        bail!("build the command: {built}");
    }
    let folder = tempfile::tempdir().context("make a folder for what is signed")?;
    let key = folder.path().join("key.pem");
    std::fs::write(&key, private_key()).context("write a key")?;
    eprintln!("signing {EXAMPLE} {RUNS} times");
    let task = std::env::current_exe().context("find the task's own program")?;
    let output = workspace::output_of(
        Command::new(task)
            .args(["bench", MEASURE])
            .arg(program()?)
            .arg(key)
            .arg(folder.path().join("out")),
    )?;
    let mut usage: Usage = serde_json::from_str(&output).context("read what was measured")?;
    usage.wall_nanoseconds.sort_by(f64::total_cmp);
    let at = |share: usize| usage.wall_nanoseconds.get(RUNS * share / 100).copied();
    let row = |what: &str, quantity| Row::new(format!("{PROCESS}: chains sign, {what}"), quantity);
    Ok(vec![
        row("median of wall time", Quantity::Nanoseconds(at(50).unwrap_or_default())),
        row("wall time of 95 in 100", Quantity::Nanoseconds(at(95).unwrap_or_default())),
        row("processor", Quantity::Nanoseconds(usage.cpu_nanoseconds / RUNS as f64)),
        row("peak memory", Quantity::Bytes(usage.peak_bytes)),
    ])
}

fn program() -> Result<std::path::PathBuf> {
    let folder = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let program = Path::new(&folder).join("release").join("chains");
    program.canonicalize().with_context(|| format!("find {}", program.display()))
}

/// Signs with `PROGRAM KEY FOLDER` again and again, and prints what that took.
pub(crate) fn measure(args: &[String]) -> Result<ExitCode> {
    let [program, key, folder] = args else {
        bail!("{MEASURE} takes a program, a key and a folder");
    };
    let mut wall_nanoseconds = Vec::with_capacity(RUNS);
    for index in 0..RUNS {
        let out = Path::new(folder).join(index.to_string());
        let mut command = Command::new(program);
        command.args(["sign", EXAMPLE, "--store", "local", "--key", key, "--out-dir"]).arg(out);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let started = Instant::now();
        let status = command.status().with_context(|| format!("run {program}"))?;
        wall_nanoseconds.push(started.elapsed().as_nanos() as f64);
        if !status.success() {
            bail!("{program} sign: {status}");
        }
    }
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).context("ask what the runs used")?;
    let nanoseconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e9 + time.tv_usec() as f64 * 1e3;
    // Linux counts kilobytes, macOS bytes.
    let unit = if cfg!(target_os = "macos") { 1.0 } else { 1024.0 };
    let usage = Usage {
        wall_nanoseconds,
        cpu_nanoseconds: nanoseconds(used.user_time()) + nanoseconds(used.system_time()),
        peak_bytes: used.max_rss() as f64 * unit,
    };
    serde_json::to_writer(std::io::stdout().lock(), &usage).context("tell what was measured")?;
    std::io::stdout().flush().context("tell what was measured")?;
    Ok(ExitCode::SUCCESS)
}

/// A P-256 key in PKCS#8, which nobody should use for anything else: its number is all the same
/// digit. It is put together here so that no file holds a private key.
fn private_key() -> String {
    // RFC 5958 and RFC 5915: version, algorithm (id-ecPublicKey, prime256v1), and the number.
    const BEFORE: [u8; 35] = [
        0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
        0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25,
        0x02, 0x01, 0x01, 0x04, 0x20,
    ];
    let mut der = BEFORE.to_vec();
    der.extend([0x42; 32]);
    let base64 = STANDARD.encode(der);
    let (first, second) = base64.split_at(64);
    format!("-----BEGIN PRIVATE KEY-----\n{first}\n{second}\n-----END PRIVATE KEY-----\n")
}
