//! What no file of the repository may hold, and how each ends.

use super::Finding;

/// Starts of paths that exist on one machine only. Written apart, or this file would hold them.
const OWN_PATHS: &[&str] =
    &[concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// Folders that look like one's own and are those of every container or CI machine.
const COMMON_PATHS: &[&str] = &[concat!("/ho", "me/nonroot")];

/// Hosts of package registries: which one is used is set on the machine, not in the repository.
const REGISTRIES: &[&str] = &[
    concat!("index.cra", "tes.io"),
    concat!("static.cra", "tes.io"),
    concat!("proxy.go", "lang.org"),
    concat!("sum.go", "lang.org"),
    concat!("registry.np", "mjs.org"),
    concat!("py", "pi.org"),
    concat!("pythonhost", "ed.org"),
    concat!("repo.mav", "en.apache.org"),
    concat!("repo1.mav", "en.org"),
    concat!("deb.deb", "ian.org"),
];

/// Files that tools write.
const WRITTEN_BY_TOOLS: &[&str] = &["Cargo.lock", "go.sum"];

/// Paths, hosts and the last newline of one file.
pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if WRITTEN_BY_TOOLS.contains(&name) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(own) = own_path(line) {
            let message = format!("`{own}…` is a path of one machine");
            findings.push(Finding::new(path, Some(index + 1), message));
        }
        if let Some(host) = REGISTRIES.iter().find(|host| line.contains(**host)) {
            let message = format!("`{host}` is a host of a package registry");
            findings.push(Finding::new(path, Some(index + 1), message));
        }
    }
    // A fixture is what another tool wrote, to the byte.
    let fixture = path.split('/').any(|part| part == "fixtures");
    if !fixture && !text.is_empty() && !text.ends_with('\n') {
        findings.push(Finding::new(path, None, "must end in a newline"));
    }
    findings
}

/// The start of a path of one machine, where the line holds one.
fn own_path(line: &str) -> Option<&'static str> {
    OWN_PATHS.iter().copied().find(|own| {
        line.match_indices(own).any(|(at, _)| {
            let before = line.get(..at).and_then(|before| before.chars().next_back());
            // In `docs/work/` and `https://host/home/` it goes on from something.
            let starts = before.is_none_or(|c| {
                !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_' | '/' | '}' | ')')
            });
            let rest = line.get(at..).unwrap_or_default();
            starts && !COMMON_PATHS.iter().any(|common| rest.starts_with(common))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn told(text: &str, expect: &[&str]) {
        let told: Vec<_> = check("a", text).iter().map(ToString::to_string).collect();
        assert_eq!(told, expect, "{text:?}");
    }

    #[test]
    fn contents() {
        told("", &[]);
        told("a\n", &[]);
        told("a", &["a: must end in a newline"]);
        let own = concat!("/ro", "ot/");
        told(&format!("x\ncd {own}x\n"), &[&format!("a:2: `{own}…` is a path of one machine")]);
        told(&format!("a{own}x\n"), &[]);
        told(concat!("/ho", "me/nonroot/.sigstore\n"), &[]);
        let host = concat!("index.cra", "tes.io");
        told(&format!("{host}\n"), &[&format!("a:1: `{host}` is a host of a package registry")]);
    }
}
