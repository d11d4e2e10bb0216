//! Builds what is run: the command under test, and the cases.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The controller, as cases ask for it and as cargo calls it.
pub(crate) const CONTROLLER: &str = "chains-controller";

/// Builds `chains` and tells where it is: as the hermetic tests did, so that nothing is compiled twice, or in
/// the profile that `CHAINS_E2E_PROFILE` names.
pub(crate) fn chains() -> Result<PathBuf> {
    program("chains-cli", "chains", &profile())
}

/// The stand-in for Google Cloud KMS, as cases ask for it.
pub(crate) const CLOUD_KMS: &str = "cloud-kms";

/// Builds the stand-in, which the signer's hermetic tests use too.
pub(crate) fn cloud_kms() -> Result<PathBuf> {
    let profile = profile();
    let args = ["build", "--profile", &profile, "--package", "chains-signer-kms"];
    executable(&[&args[..], &["--example", "cloudkms"]].concat(), "cloudkms")
}

/// Builds the controller in the same way.
pub(crate) fn controller() -> Result<PathBuf> {
    program(CONTROLLER, CONTROLLER, &profile())
}

/// The controller with a store of its own, as cases ask for it and as cargo calls it.
pub(crate) const CUSTOM_BACKEND: &str = "custom-backend";

/// Builds it in the same way.
pub(crate) fn custom_backend() -> Result<PathBuf> {
    program(CUSTOM_BACKEND, CUSTOM_BACKEND, &profile())
}

fn profile() -> String {
    env::var("CHAINS_E2E_PROFILE").unwrap_or_else(|_| "dev".to_owned())
}

/// Builds the program `name` of `package` and tells where it is.
pub(crate) fn program(package: &str, name: &str, profile: &str) -> Result<PathBuf> {
    executable(&["build", "--profile", profile, "--package", package, "--bin", name], name)
}

/// Builds the cases and tells where they are.
pub(crate) fn cases() -> Result<PathBuf> {
    let args = ["test", "--no-run", "--package", "chains-e2e", "--features", "peers"];
    executable(&[&args[..], &["--test", "e2e"]].concat(), "e2e")
}

/// Builds what measures the controller and tells where it is.
pub(crate) fn bench(profile: &str) -> Result<PathBuf> {
    let args = ["build", "--profile", profile, "--package", "chains-e2e", "--features", "peers"];
    executable(&[&args[..], &["--bin", "bench-controller"]].concat(), "bench-controller")
}

/// Runs cargo and reads from its messages where it put the executable of the target `name`.
fn executable(args: &[&str], name: &str) -> Result<PathBuf> {
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
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("`cargo {}` made no executable", args.join(" ")))
}
