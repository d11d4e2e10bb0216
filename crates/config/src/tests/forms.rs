//! The forms that a text may have.

use super::check;
use crate::{Config, FormatName, Layers, SignerName, StorageName, TransparencyMode};

/// As people who run the reference have it.
const REAL: &str = r#"
# Applied by the platform team.
apiVersion: v1
kind: ConfigMap
metadata:
  name: chains-config
  namespace: tekton-chains
  labels:
    app.kubernetes.io/part-of: tekton-chains
    app.kubernetes.io/instance: default
data:
  _example: |
    ################################
    #     EXAMPLE CONFIGURATION    #
    ################################
    artifacts.taskrun.format: "nonsense"
  artifacts.taskrun.format: slsa/v2alpha3
  artifacts.taskrun.storage: "tekton, oci"
  artifacts.taskrun.signer: kms
  artifacts.pipelinerun.format: slsa/v2alpha4
  artifacts.pipelinerun.storage: ""
  artifacts.pipelinerun.enable-deep-inspection: "true"
  artifacts.oci.storage: oci
  artifacts.oci.format: simplesigning
  artifacts.oci.signer: none
  builder.id: https://ci.example.com/chains
  builddefinition.buildtype: https://tekton.dev/chains/v2/slsa-tekton
  signers.kms.kmsref: hashivault://chains
  signers.kms.auth.address: http://vault.vault.svc.cluster.local:8200
  signers.kms.auth.oidc.path: jwt
  signers.kms.auth.oidc.role: tekton-chains
  signers.x509.fulcio.provider: ""
  storage.oci.repository.insecure: "false"
  transparency.enabled: manual
  transparency.url: https://rekor.example.com
  filter.managed-by: "custom-controller"
"#;

#[track_caller]
fn check_real(text: &str) {
    let config = Config::read(text).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.artifacts.taskrun.format, FormatName::SlsaV2Alpha3);
    assert_eq!(config.artifacts.taskrun.storage, [StorageName::Oci, StorageName::Tekton].into());
    assert_eq!(config.signers_in_use(), [SignerName::Kms].into());
    assert!(config.artifacts.deep_inspection);
    assert!(!config.artifacts.pipelinerun.is_enabled());
    assert_eq!(config.transparency.mode, TransparencyMode::Manual);
    assert!(config.filter.accepts(Some("custom-controller")));
}

#[test]
fn a_real_config_map_loads_unchanged() {
    check_real(REAL);
}

#[test]
fn it_is_found_among_other_manifests() {
    check_real(&format!(
        "---\nkind: Namespace\napiVersion: v1\nmetadata: {{name: tekton-chains}}\n---\n{REAL}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: config-logging}}\ndata: {{a: b}}\n---\n"
    ));
}

#[test]
fn json_and_lists_are_read() {
    check(r#"{"kind": "ConfigMap", "data": {"builder.id": "x"}}"#, "");
    check(
        r#"{"kind": "List", "items": [{"kind": "ConfigMap", "data": {"foo": "x"}}]}"#,
        "`foo`: unknown key",
    );
    check("{\"builder.id\": \"x\",\n\t\"transparency.enabled\": true}", "");
}

#[test]
fn the_shipped_config_map_has_no_data() {
    check(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: chains-config\n# data:\n#   a: b\n",
        "",
    );
    check("kind: ConfigMap\ndata:\n", "");
    check("", "");
    check("# nothing\n---\n", "");
}

#[test]
fn other_texts_are_refused() {
    let neither = "is neither a ConfigMap nor a map of keys nor lines of key=value";
    check("hello", neither);
    check("[a, b]", neither);
    check("kind: Secret\ndata: {a: b}", "is a manifest of kind Secret, not ConfigMap");
    check("apiVersion: v1\ndata: {a: b}", "is a manifest of kind nothing, not ConfigMap");
    check("kind: ConfigMap\ndata: [a]", "has data that is not a map");
    check(
        "kind: Secret\n---\nkind: Namespace\n",
        "has 2 documents, of which 0 are the ConfigMap chains-config: there must be one",
    );
    check(
        &format!("{REAL}---{REAL}"),
        "has 2 documents, of which 2 are the ConfigMap chains-config: there must be one",
    );
    let large = format!("builder.id={}", "x".repeat(5 * 1024 * 1024));
    check(&large, "has 5242891 bytes, more than 4194304 are not read");
}

#[test]
fn broken_yaml_is_told_in_one_line_without_the_text() {
    let text = "signers.kms.auth.token: 'hunter2\nbuilder.id: x";
    let faults = Config::read(text).unwrap_err().to_string();
    assert!(faults.starts_with("is not YAML: "), "{faults}");
    assert!(!faults.contains("hunter2") && !faults.contains('\n'), "{faults}");
    let twice =
        Config::read("kind: ConfigMap\ndata:\n  builder.id: a\n  builder.id: b").unwrap_err();
    assert!(twice.to_string().contains("builder.id"), "{twice}");
    let deep = format!("a: {}", "[".repeat(100_000));
    assert!(Config::read(&deep).is_err());
}

#[test]
fn what_the_api_server_refuses_is_refused() {
    check(
        "kind: ConfigMap\ndata:\n  transparency.enabled: true\n  builder.id: 7\n  storage.gcs.bucket: [a]\n",
        "
`builder.id`: is a number where a ConfigMap takes strings: put it in quotes
`storage.gcs.bucket`: is a list where a ConfigMap takes strings: put it in quotes
`transparency.enabled`: is a boolean where a ConfigMap takes strings: put it in quotes",
    );
    check(
        "kind: ConfigMap\nbinaryData:\n  builder.id: eA==\n",
        "`builder.id`: is in binaryData, which is not read: put it into data",
    );
}

#[test]
fn flat_maps_take_plain_values() {
    check("transparency.enabled: true\nstorage.gcs.bucket: null\nbuilder.id: 7\n", "");
    check("builder.id: {a: b}", "`builder.id`: is a map and must be a text");
}

#[test]
fn lines_are_read() {
    check("# comment\n\n builder.id = a=b \ntransparency.enabled=true\r\n", "");
    let config = Config::read("builder.id = a=b \n").unwrap();
    assert_eq!(config.builder_id, "a=b");
    check(
        "builder.id=x\nsigners.kms.auth.token hunter2\nbuilder.id=y",
        "`signers.kms.auth.token`: is not followed by `=` and a value\n`builder.id`: is given twice",
    );
}

#[test]
fn faults_of_text_and_values_come_together() {
    let faults = Layers::new()
        .text("kind: ConfigMap\ndata:\n  transparency.enabled: true\n  foo: bar\n")
        .resolve()
        .unwrap_err();
    assert_eq!(faults.iter().count(), 2, "{faults}");
}
