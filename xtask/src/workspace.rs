//! What commands ask of the workspace: its root, its files, its packages.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Makes the root of the workspace the current folder.
pub(crate) fn enter_root() -> Result<()> {
    let manifest = std::env::var("CARGO_MANIFEST_DIR")
        .context("read CARGO_MANIFEST_DIR: run this as `cargo xtask`")?;
    let root = Path::new(&manifest).parent().context("find the folder above xtask")?;
    std::env::set_current_dir(root).with_context(|| format!("enter {}", root.display()))
}

/// Runs a command and gives what it printed.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("run {name}"))?;
    if !output.status.success() {
        bail!("run {name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("read what {name} printed"))
}

/// Cargo, the one that runs this.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// Path from the root, with slashes.
    pub(crate) path: String,
    /// Content, where it is text.
    pub(crate) text: Option<String>,
}

/// Every file that is in the repository or would be with the next `git add`.
pub(crate) fn files() -> Result<Vec<File>> {
    let listing =
        output_of(Command::new("git").args(["ls-files", "-z", "-c", "-o", "--exclude-standard"]))?;
    let mut paths: Vec<_> = listing.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    // What is deleted and not yet committed is still listed.
    let there = paths.into_iter().filter(|path| Path::new(path).is_file());
    there
        .map(|path| {
            let bytes = std::fs::read(path).with_context(|| format!("read {path}"))?;
            Ok(File { path: path.to_owned(), text: String::from_utf8(bytes).ok() })
        })
        .collect()
}

/// A package, as `cargo metadata` tells it.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// What it depends on.
    pub(crate) dependencies: Vec<Dependency>,
    /// What it builds.
    pub(crate) targets: Vec<Target>,
}

/// A dependency of a package.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The package it names.
    pub(crate) name: String,
    /// `dev`, `build`, or none for an ordinary one.
    pub(crate) kind: Option<String>,
}

/// A target of a package.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    /// `lib`, `bin`, `bench` …
    pub(crate) kind: Vec<String>,
    /// Its name.
    pub(crate) name: String,
}

/// The packages of the workspace.
pub(crate) fn packages() -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let json = output_of(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Metadata = serde_json::from_str(&json).context("read cargo's metadata")?;
    Ok(metadata.packages)
}
