//! Builds what is run: the programs under test, and the cases.

use std::{
    collections::BTreeMap,
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The controller, as cases ask for it and as cargo calls it.
pub(crate) const CONTROLLER: &str = "chains-controller";
/// The controller with a store of its own, as cases ask for it and as cargo calls it.
pub(crate) const CUSTOM_BACKEND: &str = "custom-backend";
/// The command, as cargo calls it.
pub(crate) const CHAINS: &str = "chains";
/// The stand-in for Google Cloud KMS, as cargo calls it: the signer's hermetic tests use it too.
pub(crate) const CLOUD_KMS: &str = "cloudkms";

/// Cases are built in this profile, and so are programs unless another is asked for.
const PROFILE: &str = "dev";
/// The whole workspace whatever is built of it: cargo gives a dependency the features that all chosen packages want
/// of it, and with other packages it would be compiled once more, with others. The hermetic tests choose all, too.
const WORKSPACE: [&str; 4] = ["build", "--workspace", "--features", "chains-e2e/peers"];

/// Where executables are, by the names of their targets.
pub(crate) type Programs = BTreeMap<String, PathBuf>;

/// Programs under test: package, kind of target, and name.
const UNDER_TEST: [(&str, &str, &str); 4] = [
    ("chains-cli", "--bin", CHAINS),
    (CONTROLLER, "--bin", CONTROLLER),
    (CUSTOM_BACKEND, "--bin", CUSTOM_BACKEND),
    ("chains-signer-kms", "--example", CLOUD_KMS),
];

/// Builds the programs under test: all at once, as the hermetic tests did, or in the profile that `CHAINS_E2E_PROFILE`
/// names, each by itself, as it is shipped.
pub(crate) fn programs() -> Result<Programs> {
    let Ok(profile) = env::var("CHAINS_E2E_PROFILE") else {
        let mut args = [&WORKSPACE[..], &["--profile", PROFILE]].concat();
        args.extend(UNDER_TEST.iter().flat_map(|(_, kind, name)| [*kind, *name]));
        let programs = executables(&args)?;
        for (_, _, name) in UNDER_TEST {
            found(&programs, name, &args)?;
        }
        return Ok(programs);
    };
    let each = UNDER_TEST.iter().map(|(package, kind, name)| {
        let args = ["build", "--profile", &profile, "--package", package, kind, name];
        Ok(((*name).to_owned(), found(&executables(&args)?, name, &args)?))
    });
    each.collect()
}

/// Builds the cases and tells where they are.
pub(crate) fn cases() -> Result<PathBuf> {
    let args = [&WORKSPACE[..], &["--profile", PROFILE, "--test", "e2e"]].concat();
    found(&executables(&args)?, "e2e", &args)
}

/// Builds the controller as it is shipped, but for the profile, and tells where it is.
pub(crate) fn controller(profile: &str) -> Result<PathBuf> {
    let args = ["build", "--profile", profile, "--package", CONTROLLER, "--bin", CONTROLLER];
    found(&executables(&args)?, CONTROLLER, &args)
}

/// Builds what measures the controller and tells where it is.
pub(crate) fn bench(profile: &str) -> Result<PathBuf> {
    const NAME: &str = "bench-controller";
    let args = ["build", "--profile", profile, "--package", "chains-e2e", "--features", "peers"];
    let args = [&args[..], &["--bin", NAME]].concat();
    found(&executables(&args)?, NAME, &args)
}

/// Runs cargo and reads from its messages where it put the executables.
fn executables(args: &[&str]) -> Result<Programs> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(args)
        .args(["--quiet", "--message-format=json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo")?;
    if !output.status.success() {
        bail!("`cargo {}` failed", args.join(" "));
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = |message: Value| {
        let name = message["target"]["name"].as_str()?.to_owned();
        Some((name, PathBuf::from(message["executable"].as_str()?)))
    };
    Ok(messages.filter_map(executable).collect())
}

fn found(programs: &Programs, name: &str, args: &[&str]) -> Result<PathBuf> {
    let program = programs.get(name).cloned();
    program.with_context(|| format!("`cargo {}` made no executable {name}", args.join(" ")))
}
