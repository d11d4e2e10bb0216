//! `cargo xtask tidy`: house rules that neither compiler nor linter checks.

mod content;
mod edges;
mod pages;
mod rust;

use std::collections::BTreeSet;
use std::fmt;
use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::{self, File};

/// What `cargo xtask tidy --help` prints.
pub(crate) const HELP: &str = "\
cargo xtask tidy

Checks every file of the repository, and those that git would add:
  - a crate knows only the crates it may know (the list is in xtask/src/tidy/edges.rs)
  - Rust files open with //!, and have at most 500 lines (more than 600 fail)
  - every allow has a reason, every package takes the workspace's lints
  - documents name files and folders that exist
  - pages made from code are up to date (`cargo xtask docs` writes them)
  - no paths of one's own machine, no hosts of package registries; files end in a newline
";

/// Something that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    /// Counted from 1; `None` where the file as a whole is meant.
    line: Option<usize>,
    message: String,
    /// A warning does not fail the check.
    warning: bool,
}

impl Finding {
    fn new(path: &str, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into(), warning: false }
    }

    fn warning(path: &str, message: impl Into<String>) -> Self {
        Self { warning: true, ..Self::new(path, None, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning: " } else { "" };
        match self.line {
            Some(line) => write!(f, "{}:{line}: {kind}{}", self.path, self.message),
            None => write!(f, "{}: {kind}{}", self.path, self.message),
        }
    }
}

/// Runs `cargo xtask tidy`.
pub(crate) fn run(_args: &[String]) -> Result<ExitCode> {
    let files = workspace::files()?;
    let mut findings = edges::check(&workspace::packages()?);
    let paths: BTreeSet<_> = files.iter().map(|file| file.path.as_str()).collect();
    for file in &files {
        findings.extend(check(file, &paths));
    }
    findings.extend(pages::check_generated(&files));
    for finding in &findings {
        println!("{finding}");
    }
    let failed = findings.iter().filter(|finding| !finding.warning).count();
    println!("{} files: {failed} faults, {} warnings", files.len(), findings.len() - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that can be said of one file.
fn check(file: &File, paths: &BTreeSet<&str>) -> Vec<Finding> {
    let Some(text) = &file.text else {
        return Vec::new();
    };
    let mut findings = content::check(&file.path, text);
    if file.path.ends_with(".rs") {
        findings.extend(rust::check(&file.path, text));
    }
    if file.path.ends_with(".md") {
        findings.extend(pages::check(&file.path, text, paths));
    }
    if file.path.ends_with("Cargo.toml") {
        findings.extend(rust::check_manifest(&file.path, text));
    }
    findings
}
