//! Which crate may know which: the list behind "Who may know whom" in `docs/architecture.md`.

use super::Finding;
use crate::workspace::Package;

/// A package, the packages of the workspace that it may know, and those that its tests may know
/// besides.
type Edges = (&'static str, &'static [&'static str], &'static [&'static str]);

const CORE: &str = "chains-core";
const HTTP: &str = "chains-http";
const TESTKIT: &str = "chains-testkit";

/// What the tests of every crate may know: the suites, and what tells whether a signature holds.
const FOR_TESTS: &[&str] = &[TESTKIT, "chains-verify"];

const ALLOWED: &[Edges] = &[
    (CORE, &[], &[]),
    ("chains-config", &[CORE], &[]),
    ("chains-tekton", &[CORE], &[]),
    ("chains-verify", &[CORE], &[]),
    ("chains-formats", &[CORE, "chains-tekton"], &[]),
    // What those have in common who speak to services over HTTP.
    (HTTP, &[CORE], &[]),
    ("chains-signer-x509", &[CORE, "chains-verify"], &[]),
    ("chains-signer-kms", &[CORE, HTTP, "chains-verify"], &[]),
    ("chains-signer-fulcio", &[CORE, "chains-verify"], &[]),
    ("chains-transparency", &[CORE, HTTP, "chains-verify"], &[]),
    ("chains-store-tekton", &[CORE], &[]),
    ("chains-store-oci", &[CORE], &[]),
    ("chains-store-local", &[CORE], &[]),
    ("chains-store-gcs", &[CORE, HTTP], &[]),
    ("chains-store-docdb", &[CORE, HTTP], &[]),
    ("chains-store-grafeas", &[CORE, HTTP], &[]),
    ("chains-store-pubsub", &[CORE], &[]),
    ("chains-store-archivista", &[CORE, HTTP], &[]),
    (
        "chains-engine",
        &[CORE, "chains-tekton", "chains-verify"],
        // Its tests drive the whole line, with real backends that need no network.
        &["chains-formats", "chains-signer-x509", "chains-store-local", "chains-store-tekton"],
    ),
    ("chains-testkit", &[CORE, "chains-verify"], &[]),
    // What the two front ends share of Kubernetes.
    ("chains-cluster", &[CORE, "chains-signer-x509"], &[]),
    (
        "chains-backends",
        &[
            CORE,
            "chains-config",
            "chains-engine",
            "chains-formats",
            "chains-signer-*",
            "chains-store-*",
            "chains-tekton",
            "chains-transparency",
            "chains-verify",
        ],
        &[],
    ),
    (
        "chains-cli",
        &[
            CORE,
            "chains-backends",
            "chains-cluster",
            "chains-config",
            "chains-engine",
            "chains-formats",
            "chains-signer-x509",
            "chains-store-local",
            "chains-store-oci",
            "chains-store-tekton",
            "chains-tekton",
            "chains-verify",
        ],
        // Its tests answer the recorded vectors.
        &["chains-conformance"],
    ),
    (
        "chains-controller",
        &[
            CORE,
            "chains-backends",
            "chains-cluster",
            "chains-config",
            "chains-engine",
            "chains-signer-x509",
            "chains-store-oci",
            "chains-tekton",
        ],
        &[],
    ),
    // Packages of tests and tasks: nothing knows them, so they may know everything.
    ("chains-conformance", &["chains-*"], &["chains-*"]),
    ("chains-e2e", &["chains-*", TESTKIT], &["chains-*"]),
    ("xtask", &["chains-config"], &[]),
    // Stands for crates of others, which may know what they like of ours.
    ("custom-backend", &["chains-*"], &[TESTKIT]),
];

/// Crates that few may know, with those that may.
const GUARDED: &[(&str, &[&str])] = &[
    ("kube", &["chains-cluster", "chains-controller", "chains-e2e"]),
    ("k8s-openapi", &["chains-cluster", "chains-controller", "chains-e2e"]),
    // Front ends choose it; in libraries it would hide what kinds of error there are.
    ("anyhow", &["chains-cli", "chains-controller", "chains-conformance", "chains-e2e", "xtask"]),
    // Libraries tell, front ends listen.
    ("tracing-subscriber", &["chains-cli", "chains-controller", "chains-e2e"]),
];

/// Every edge that is not on the list.
pub(crate) fn check(packages: &[Package]) -> Vec<Finding> {
    packages.iter().flat_map(|package| check_package(package, packages)).collect()
}

fn check_package(package: &Package, all: &[Package]) -> Vec<Finding> {
    let name = package.name.as_str();
    let Some((_, edges, test_edges)) = ALLOWED.iter().find(|(known, ..)| *known == name) else {
        let message = "not in the list of edges: say in xtask/src/tidy/edges.rs what it may know";
        return vec![Finding::new(name, None, message)];
    };
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let on = dependency.name.as_str();
        let for_tests = dependency.kind.as_deref() == Some("dev");
        let may = |edges: &[&str]| edges.iter().any(|edge| matches(edge, on));
        let allowed = if all.iter().any(|other| other.name == on) {
            may(edges) || (for_tests && (FOR_TESTS.contains(&on) || may(test_edges)))
        } else {
            let guard = GUARDED.iter().find(|(guarded, _)| *guarded == on);
            for_tests || guard.is_none_or(|(_, by)| by.contains(&name))
        };
        if !allowed {
            let message = format!("must not know {on}: see docs/architecture.md");
            findings.push(Finding::new(name, None, message));
        }
    }
    findings
}

/// Whether a pattern, with a `*` at its end or without, names the package.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start) && name != TESTKIT,
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    #[track_caller]
    fn check_edge(from: &str, to: &str, kind: Option<&str>, allowed: bool) {
        let package = |name: &str, dependencies| Package {
            name: name.to_owned(),
            dependencies,
            targets: Vec::new(),
        };
        let dependency = Dependency { name: to.to_owned(), kind: kind.map(str::to_owned) };
        let mut packages: Vec<_> =
            ALLOWED.iter().map(|(name, ..)| package(name, Vec::new())).collect();
        packages.retain(|package| package.name != from);
        packages.push(package(from, vec![dependency]));
        let findings = check(&packages);
        assert_eq!(findings.is_empty(), allowed, "{from} -> {to}: {findings:?}");
    }

    #[test]
    fn edges_are_held() {
        check_edge("chains-core", "chains-config", None, false);
        check_edge("chains-formats", "chains-tekton", None, true);
        check_edge("chains-store-oci", "chains-store-tekton", None, false);
        check_edge("chains-store-oci", "chains-store-tekton", Some("dev"), false);
        check_edge("chains-store-oci", "chains-testkit", Some("dev"), true);
        check_edge("chains-store-oci", "chains-testkit", None, false);
        check_edge("chains-store-oci", "chains-verify", Some("dev"), true);
        check_edge("chains-store-oci", "chains-verify", None, false);
        check_edge("chains-store-gcs", "chains-http", None, true);
        check_edge("chains-store-local", "chains-http", None, false);
        check_edge("chains-http", "chains-store-gcs", None, false);
        check_edge("chains-backends", "chains-store-gcs", None, true);
        check_edge("chains-backends", "chains-testkit", None, false);
        check_edge("chains-config", "chains-cli", Some("build"), false);
        check_edge("chains-engine", "kube", None, false);
        check_edge("chains-controller", "kube", None, true);
        check_edge("chains-core", "anyhow", None, false);
        check_edge("chains-core", "serde", None, true);
        check_edge("chains-new", "serde", None, false);
    }
}
