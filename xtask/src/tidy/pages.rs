//! Documents name what is there, and pages made from code say what the code says.

use std::collections::BTreeSet;

use super::Finding;
use crate::docs::PAGES;
use crate::workspace::File;

/// Top folders: a word that starts with one is a path of the repository.
const TOP: &[&str] =
    &["crates/", "docs/", "tests/", "examples/", "deploy/", "xtask/", ".ci/", ".cargo/"];

/// Paths that a document names and that do not exist.
pub(crate) fn check(path: &str, text: &str, paths: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let named = if fenced { vec![line] } else { code_spans(line) };
        let in_code = named.iter().flat_map(|code| code.split_whitespace()).filter_map(named_path);
        let linked = if fenced { Vec::new() } else { links(line) };
        let linked = linked.into_iter().map(|link| resolve(path, link));
        for missing in in_code.map(str::to_owned).chain(linked) {
            if !exists(&missing, paths) {
                let message = format!("names `{missing}`, which does not exist");
                findings.push(Finding::new(path, Some(index + 1), message));
            }
        }
    }
    findings
}

/// Pages made from code that are not as the code would make them.
pub(crate) fn check_generated(files: &[File]) -> Vec<Finding> {
    let out_of_date = PAGES.iter().filter(|(path, page)| {
        let file = files.iter().find(|file| file.path == *path);
        file.and_then(|file| file.text.as_deref()) != Some(page().as_str())
    });
    out_of_date
        .map(|(path, _)| Finding::new(path, None, "is out of date: run `cargo xtask docs`"))
        .collect()
}

/// What is between single backticks.
fn code_spans(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Targets of links to other files.
fn links(line: &str) -> Vec<&str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    targets
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains(':'))
        .collect()
}

/// The part of a word that must exist, where the word is a path of the repository.
fn named_path(word: &str) -> Option<&str> {
    let word = word.trim_start_matches(['(', '"', '\'']).trim_start_matches("./");
    if !TOP.iter().any(|top| word.starts_with(top)) {
        return None;
    }
    // From a placeholder on, anything may be meant: only the folder before it must exist.
    let certain = match word.find(['*', '<', '>', '{', '}', '…', '$', '[']) {
        Some(at) => word.get(..at)?.rsplit_once('/')?.0,
        None => word,
    };
    // `src/line.rs:42` names a line.
    let certain = certain.split(':').next().unwrap_or(certain);
    Some(certain.trim_end_matches(|c: char| !c.is_alphanumeric()))
}

/// A link's target, from the root.
fn resolve(document: &str, link: &str) -> String {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<_> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn exists(path: &str, paths: &BTreeSet<&str>) -> bool {
    let path = path.trim_end_matches('/');
    path.is_empty()
        || paths.contains(path)
        || paths
            .range(path..)
            .take_while(|known| known.starts_with(path))
            .any(|known| known.get(path.len()..).is_some_and(|rest| rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn told(text: &str, expect: &[&str]) {
        let paths =
            BTreeSet::from(["README.md", "crates/core/src/lib.rs", "docs/a.md", "crates/core-x/b"]);
        let told: Vec<_> =
            check("docs/a.md", text, &paths).iter().map(ToString::to_string).collect();
        assert_eq!(told, expect, "{text:?}");
    }

    #[test]
    fn documents_name_what_exists() {
        told("`crates/core`, `crates/core/`, `crates/core/src/lib.rs:3`, `crates/*`", &[]);
        told("see `crates/cor`", &["docs/a.md:1: names `crates/cor`, which does not exist"]);
        told("crates/gone is no code, `https://a/crates/gone` no path", &[]);
        told("[a](a.md#x) [b](../README.md) [c](https://example.com) [d](#x)", &[]);
        told("\n[a](b.md)", &["docs/a.md:2: names `docs/b.md`, which does not exist"]);
        told(
            "```sh\nchains sign ./examples/x.yaml # comment\n```",
            &["docs/a.md:2: names `examples/x.yaml`, which does not exist"],
        );
        told("`crates/store-<name>/src`, `crates/core/src/{a,b}.rs`", &[]);
        told("`deploy/<x>`", &["docs/a.md:1: names `deploy`, which does not exist"]);
    }

    #[test]
    fn generated_pages_are_compared() {
        let (path, page) = PAGES[0];
        let file = |text: String| [File { path: path.to_owned(), text: Some(text) }];
        assert_eq!(check_generated(&file(page())), []);
        assert_eq!(check_generated(&file(String::new())).len(), 1);
        assert_eq!(check_generated(&[]).len(), PAGES.len());
    }
}
