//! House rules of Rust files and manifests.

use super::Finding;

/// Lines from which on a file is better parted.
const LONG: usize = 500;
/// Lines that a file may not have more of.
const TOO_LONG: usize = 600;

/// Files that may be longer, with the reason.
const LONG_WITH_REASON: &[(&str, &str)] = &[];

/// Headers, lengths and reasons of one file.
pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(Finding::new(path, Some(1), "must open with `//!` telling what it is for"));
    }
    findings.extend(check_length(path, text.lines().count()));
    findings.extend(check_reasons(path, text));
    findings
}

fn check_length(path: &str, lines: usize) -> Option<Finding> {
    let excused = LONG_WITH_REASON.iter().any(|(long, _)| *long == path);
    let message = format!("has {lines} lines, {LONG} is the aim");
    if excused || lines <= LONG {
        None
    } else if lines <= TOO_LONG {
        Some(Finding::warning(path, message))
    } else {
        Some(Finding::new(path, None, format!("{message}, {TOO_LONG} the limit")))
    }
}

/// Attributes that silence a lint and do not say why.
fn check_reasons(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (start, line) in lines_with_offsets(text) {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let silences = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
        if silences.iter().any(|silence| code.starts_with(silence)) {
            let attribute = text.get(start + indent..).map_or("", attribute);
            if !attribute.contains("reason") {
                let number = text.get(..start).map_or(0, |before| before.lines().count()) + 1;
                findings.push(Finding::new(
                    path,
                    Some(number),
                    "an allow needs a `reason = \"…\"`",
                ));
            }
        }
    }
    findings
}

fn lines_with_offsets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |offset, line| {
        let start = *offset;
        *offset += line.len();
        Some((start, line))
    })
}

/// The attribute at the start of the text, up to its closing bracket.
fn attribute(text: &str) -> &str {
    let mut depth = 0_u32;
    for (at, c) in text.char_indices() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return text.get(..=at).unwrap_or(text);
        }
    }
    text
}

/// What every package's manifest must say.
pub(crate) fn check_manifest(path: &str, text: &str) -> Vec<Finding> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let takes_lints = lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"]);
    if lines.contains(&"[package]") && !takes_lints {
        return vec![Finding::new(path, None, "must say `[lints]` `workspace = true`")];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn told(findings: &[Finding], expect: &[&str]) {
        let told: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(told, expect);
    }

    #[test]
    fn headers_and_lengths() {
        told(&check("a.rs", "//! For.\n"), &[]);
        told(
            &check("a.rs", "fn a() {}\n"),
            &["a.rs:1: must open with `//!` telling what it is for"],
        );
        let lines = |n: usize| format!("//! For.\n{}", "\n".repeat(n - 1));
        told(&check("a.rs", &lines(500)), &[]);
        told(&check("a.rs", &lines(501)), &["a.rs: warning: has 501 lines, 500 is the aim"]);
        told(&check("a.rs", &lines(601)), &["a.rs: has 601 lines, 500 is the aim, 600 the limit"]);
    }

    #[test]
    fn reasons() {
        let allow = "    #[allow(";
        told(&check("a.rs", &format!("//! A.\n{allow}dead_code, reason = \"it is\")]\n")), &[]);
        told(&check("a.rs", &format!("//! A.\n{allow}\n  x,\n  reason = \"[it] is\"\n)]\n")), &[]);
        told(
            &check("a.rs", &format!("//! A.\n\n{allow}dead_code)]\nfn reason() {{}}\n")),
            &["a.rs:3: an allow needs a `reason = \"…\"`"],
        );
    }

    #[test]
    fn manifests() {
        let lints = "[lints]\nworkspace = true\n";
        told(&check_manifest("Cargo.toml", &format!("[package]\n\n{lints}")), &[]);
        told(&check_manifest("Cargo.toml", "[workspace]\n"), &[]);
        told(
            &check_manifest("x/Cargo.toml", "[package]\n"),
            &["x/Cargo.toml: must say `[lints]` `workspace = true`"],
        );
    }
}
