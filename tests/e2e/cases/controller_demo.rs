//! The demo of the Tekton blog as a cluster does it: the controller signs a kaniko build, cosign verifies it.

use chains_e2e::{
    Case, Result, Scene, bail, case,
    chains::Chains,
    cluster::{self, Cluster},
    controller::{NEEDS, Start},
    ensure,
    install::{Install, Mount, NAMESPACE, SECRET},
    registry::{Access, CRANE, Registry},
    runs,
    sigstore::{Cosign, Version},
    tekton::Namespace,
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for version in Version::BOTH {
        for ours in [true, false] {
            let whose = if ours { "our_key" } else { "its_own_key" };
            let name = format!("controller_demo::cosign_{version}_verifies_with_{whose}");
            let needs = [&NEEDS[..], &[CRANE, version.peer()]].concat();
            cases.push(case(name, &needs, move |scene| demo(scene, version, ours)));
        }
    }
    cases
}

fn demo(scene: &Scene<'_>, version: Version, ours: bool) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let registry = Registry::crane(scene)?;
    let image = registry.push(scene, &Access::default(), "kaniko-chains", "latest")?;
    let cosign = Cosign::new(scene, version);

    let install = Install::apply(scene, &cluster)?;
    generate_keys(scene, &cluster, &cosign, ours)?;
    let public = scene.write("cosign.pub", secret_file(&cluster, "cosign.pub")?)?;
    let settings = r#"{"data": {
        "artifacts.taskrun.format": "in-toto",
        "artifacts.taskrun.storage": "oci",
        "transparency.enabled": "false",
        "signers.x509.key": "k8s://tekton-chains/signing-secrets"
    }}"#;
    let patch = ["patch", "configmap", "chains-config", "-n", NAMESPACE, "-p", settings];
    cluster.kubectl(scene).args(patch).ok()?;
    // Nothing is mounted: the key comes from the Secret.
    let nothing = Mount::empty(scene)?;
    let start = Start::new(scene, &install, "controller", &nothing);
    let _controller = start.arg(format!("--insecure-registry={}", registry.host())).ready()?;

    let namespace = Namespace::default_of(&cluster);
    let watch = namespace.watch("taskruns")?;
    let run = [runs::kaniko("build-push-run-output-image", &image.name(), &image.digest)];
    namespace.create(&run)?;
    watch.until("build-push-run-output-image", |seen| seen.is_held())?;
    cosign.verify(&public, &image.by_digest())?.refused()?;
    namespace.complete(&run)?;
    let seen =
        watch.until("build-push-run-output-image", |seen| seen.chains("signed").is_some())?;
    ensure!(seen.is_signed() && !seen.is_held(), "{seen:#?}");

    let others = cosign.generate_key_pair("others")?.public;
    let kind = "slsaprovenance";
    cosign.verify(&public, &image.by_digest())?.ok()?;
    cosign.verify_attestation(&public, kind, &image.by_digest())?.ok()?;
    cosign.verify(&others, &image.by_digest())?.refused()?;
    cosign.verify_attestation(&others, kind, &image.by_digest())?.refused()?;
    Chains::new(scene).at(&registry).verify(&public, image.by_digest()).ok()?;
    Ok(())
}

/// Makes the Secret of the keys, as the tutorial does or with our own command.
fn generate_keys(
    scene: &Scene<'_>,
    cluster: &Cluster,
    cosign: &Cosign<'_>,
    ours: bool,
) -> Result<()> {
    let secret = format!("k8s://{NAMESPACE}/{SECRET}");
    let tool = if ours {
        scene.chains().args(["keys", "generate", &secret])
    } else {
        cosign.command("generate-key-pair")?.arg(&secret)
    };
    let tool = tool.env("COSIGN_PASSWORD", chains_e2e::sigstore::PASSWORD);
    tool.env("KUBECONFIG", cluster.admin_kubeconfig()).within(scene.folder()).ok()?;
    Ok(())
}

fn secret_file(cluster: &Cluster, name: &str) -> Result<Vec<u8>> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let secret = cluster.api().get(&format!("/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}"))?;
    match secret["data"][name].as_str() {
        Some(content) => Ok(STANDARD.decode(content)?),
        None => bail!("the Secret has no {name}"),
    }
}
