//! `chains config`, and how options are laid over files.

use crate::harness::Scene;

const CONFIG_MAP: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: chains-config, namespace: tekton-chains}
data:
  artifacts.taskrun.format: slsa/v2alpha4
  artifacts.taskrun.storage: oci
  builder.id: https://ci.example.com
";

#[test]
fn all_faults_are_told_at_once() {
    let scene = Scene::new();
    let faulty =
        CONFIG_MAP.replace("builder.id", "bulider.id").replace("storage: oci", "storage: ftp");
    scene.write("config.yaml", faulty);
    let said = scene.run(&["config", "validate", "config.yaml"]).expect(2);
    said.says("bulider.id").says("builder.id").says("ftp").says("2 faults");
    let json = scene.run(&["config", "validate", "config.yaml", "-o", "json"]).expect(2).json();
    assert_eq!(json["valid"], false);
    assert_eq!(json["faults"].as_array().unwrap().len(), 2);
    let one = CONFIG_MAP.replace("builder.id", "bulider.id");
    scene.run_with(&["config", "validate", "-"], one.as_bytes()).expect(2).says(": 1 fault\n");
    scene.write("config.yaml", CONFIG_MAP);
    scene.run(&["config", "validate", "config.yaml"]).expect(0).says("valid");
    scene.run_with(&["config", "validate", "-"], CONFIG_MAP.as_bytes()).expect(0);
}

#[test]
fn what_comes_later_wins_and_says_where_it_is_from() {
    let scene = Scene::new();
    scene.write("config.yaml", CONFIG_MAP);
    let args =
        ["config", "show", "--changed", "-o", "json", "-c", "config.yaml", "-c", "builder.id=here"];
    let settings = scene.run(&args).expect(0).json();
    let of = |key: &str| {
        let setting = settings.as_array().unwrap().iter().find(|s| s["key"] == key).unwrap();
        (
            setting["value"].as_str().unwrap().to_owned(),
            setting["origin"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(of("builder.id"), ("here".to_owned(), "command line".to_owned()));
    assert_eq!(of("artifacts.taskrun.storage"), ("oci".to_owned(), "file".to_owned()));
    assert_eq!(settings.as_array().unwrap().len(), 3);
}

#[test]
fn secrets_are_not_shown() {
    let scene = Scene::new();
    let args = ["config", "show", "-c", "signers.kms.auth.token=hunter2"];
    let said = scene.run(&args).expect(0).says("[redacted]");
    assert!(!said.out.contains("hunter2"));
}

#[test]
fn completions_are_printed_for_every_shell() {
    let scene = Scene::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        scene.run(&["completions", shell]).expect(0).says("chains");
    }
}

#[test]
fn what_is_built_in_is_not_noted() {
    let scene = Scene::new();
    let config = "transparency.enabled=true\nstorage.oci.encoding-format=sigstore-bundle\n\
                  artifacts.taskrun.storage=gcs\nstorage.gcs.bucket=provenance\n\
                  signers.x509.fulcio.enabled=true\nartifacts.taskrun.signer=kms\n\
                  signers.kms.kmsref=awskms:///alias/chains\n";
    let said = scene.run_with(&["config", "validate", "-"], config.as_bytes()).expect(0);
    assert!(said.out.contains("valid") && !said.out.contains("note"), "{}", said.out);
}
