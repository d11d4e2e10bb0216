//! `cargo xtask docs`: writes the pages that are made from code.

use std::process::ExitCode;

use anyhow::{Context, Result};

/// What `cargo xtask docs --help` prints.
pub(crate) const HELP: &str = "\
cargo xtask docs

Writes the pages of docs/ that are made from code. `cargo xtask tidy` fails where one is out of date.
";

/// A page's path, and what makes it.
type Page = (&'static str, fn() -> String);

/// The pages that are made from code.
pub(crate) const PAGES: &[Page] = &[("docs/configuration.md", chains_config::docs_table)];

/// Runs `cargo xtask docs`.
pub(crate) fn run(_args: &[String]) -> Result<ExitCode> {
    for (path, page) in PAGES {
        std::fs::write(path, page()).with_context(|| format!("write {path}"))?;
        println!("{path}");
    }
    Ok(ExitCode::SUCCESS)
}
