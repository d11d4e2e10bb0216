//! What is told where there is no cluster to ask; `tests/e2e` asks a real one.

use crate::harness::Scene;

const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: ci}}]
current-context: x
";

/// Every command that asks a cluster.
const COMMANDS: [&[&str]; 4] = [
    &["retry", "--all-failed"],
    &["keys", "generate", "k8s://tekton-chains/signing-secrets"],
    &["keys", "public", "--key", "k8s://tekton-chains/signing-secrets"],
    &["verify", "chains-out", "--key", "k8s://tekton-chains/signing-secrets"],
];

fn check(scene: &Scene, options: &[&str], words: &str) {
    for command in COMMANDS {
        let args = [command, options].concat();
        let said = scene.run(&args).expect(2).says(words);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
    }
}

#[test]
fn what_is_wrong_with_the_connection_is_told() {
    let scene = Scene::signed();
    check(&scene, &[], "kubeconfig");
    check(&scene, &["--kubeconfig", "nowhere"], "nowhere");
    scene.write("broken", "a: [");
    check(&scene, &["--kubeconfig", "broken"], "broken");
    scene.write("kubeconfig", KUBECONFIG);
    check(&scene, &["--kubeconfig", "kubeconfig", "--context", "other"], "other");
    check(&scene, &["--kubeconfig", "kubeconfig"], "the API server is http://127.0.0.1:1/");
}

#[test]
fn runs_are_named_in_one_way() {
    let scene = Scene::new();
    let refused = |args: &[&str], words: &str| {
        scene.run(&[&["retry"], args].concat()).expect(2).says(words);
    };
    refused(&[], "--all-failed");
    refused(&["build"], "taskrun/NAME");
    refused(&["tr/build", "--all-failed"], "cannot be used with");
    refused(&["tr/build", "-l", "a=b"], "cannot be used with");
    refused(&["tr/build", "-A"], "cannot be used with");
    refused(&["--all-failed", "-A", "-n", "ci"], "cannot be used with");
    refused(&["--all-failed", "--again"], "cannot be used with");
    refused(&["--all-failed", "-n", "../ci"], "is no namespace");
}
