//! What the command prints: tables for people, one JSON document for programs, errors, exit codes.

use std::fmt::Display;
use std::process::ExitCode;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

/// How the command ends; `chains --help` tells what each code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done,
    /// Something was refused or failed.
    Failed,
    /// Command line or configuration are wrong.
    Unusable,
    /// Some input could not be read.
    Unread,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Unusable => 2,
            Exit::Unread => 3,
        })
    }
}

impl Exit {
    /// What is worse of both: a failure counts more than input that could not be read.
    pub(crate) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unusable, _) | (_, Self::Unusable) => Self::Unusable,
            (Self::Failed, _) | (_, Self::Failed) => Self::Failed,
            (Self::Unread, _) | (_, Self::Unread) => Self::Unread,
            _ => Self::Done,
        }
    }
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const GREEN: &str = "\x1b[1;32m";
const PLAIN: &str = "\x1b[0m";

/// An error with its causes, on standard error.
pub(crate) fn error(error: &anyhow::Error) {
    anstream::eprintln!("{RED}error{PLAIN}: {error:#}");
}

/// A fault that did not stop the rest, on standard error.
pub(crate) fn warning(text: impl Display) {
    anstream::eprintln!("{YELLOW}warning{PLAIN}: {text}");
}

/// A line for people on standard output.
pub(crate) fn line(text: impl Display) {
    anstream::println!("{text}");
}

/// A word in green or red.
pub(crate) fn verdict(ok: bool, word: &str) -> String {
    format!("{}{word}{PLAIN}", if ok { GREEN } else { RED })
}

/// One JSON document on standard output.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    anstream::println!("{text}");
    Ok(())
}

/// Rows under headings, on standard output.
pub(crate) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings);
    for row in rows {
        table.add_row(row.map(printable));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for row in table.lines() {
        anstream::println!("{}", row.trim_end());
    }
}

/// Text from runs and registries is hostile: no control character reaches the terminal.
pub(crate) fn printable(text: impl AsRef<str>) -> String {
    text.as_ref().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What was done besides, for people, on standard error.
pub(crate) fn note(text: impl Display) {
    anstream::eprintln!("{text}");
}

/// Bytes as they are, on standard output.
pub(crate) fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    Ok(std::io::stdout().write_all(bytes)?)
}
