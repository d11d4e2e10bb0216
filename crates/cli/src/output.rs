//! What the command prints: tables for people, one JSON document for programs, errors, exit codes.

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use terminal_size::{Width, terminal_size_of};

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
    say(&format!("{RED}error{PLAIN}: {}", lines(format!("{error:#}"))));
}

/// A fault that did not stop the rest, on standard error.
pub(crate) fn warning(text: impl Display) {
    say(&format!("{YELLOW}warning{PLAIN}: {}", lines(text)));
}

/// What was done besides, for people, on standard error.
pub(crate) fn note(text: impl Display) {
    say(&lines(text));
}

/// A line for people on standard output.
pub(crate) fn line(text: impl Display) {
    emit(format!("{text}\n").as_bytes());
}

/// Bytes as they are, on standard output.
pub(crate) fn raw(bytes: &[u8]) {
    if let Err(error) = std::io::stdout().write_all(bytes) {
        cannot_write(&error);
    }
}

/// Text on standard output, in colour on a terminal only.
fn emit(text: &[u8]) {
    if let Err(error) = anstream::stdout().write_all(text) {
        cannot_write(&error);
    }
}

/// Standard error is the last resort: where it is closed, there is nobody to tell.
fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Whoever reads the output has gone, or the disk is full: what was done is done, and cannot be told.
fn cannot_write(error: &std::io::Error) -> ! {
    if error.kind() != std::io::ErrorKind::BrokenPipe {
        say(&format!("{RED}error{PLAIN}: writing to standard output: {error}"));
    }
    std::process::exit(1)
}

/// Text of several lines, each fit for a terminal.
fn lines(text: impl Display) -> String {
    let lines: Vec<String> = text.to_string().lines().map(printable).collect();
    lines.join("\n")
}

/// A word in green or red.
pub(crate) fn verdict(ok: bool, word: &str) -> String {
    format!("{}{word}{PLAIN}", if ok { GREEN } else { RED })
}

/// A number with its noun: `1 fault`, `2 faults`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// One JSON document on standard output.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    raw(&text);
    Ok(())
}

/// Rows under headings, on standard output; on a terminal they are as wide as that, and cells have several lines where
/// they must. Programs such as `grep` get a line a row.
pub(crate) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if let Some((Width(width), _)) = terminal_size_of(std::io::stdout()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(headings);
    for row in rows {
        table.add_row(row.map(printable));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for row in table.lines() {
        line(row.trim_end());
    }
}

/// Text from runs and registries is hostile: no character that moves the cursor, hides or reorders text
/// reaches the terminal.
pub(crate) fn printable(text: impl AsRef<str>) -> String {
    text.as_ref().chars().map(|c| if is_deceptive(c) { '\u{fffd}' } else { c }).collect()
}

/// Control characters, and those that are invisible or change the direction of writing.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}
