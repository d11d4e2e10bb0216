//! The peers prove themselves: cosign signs and verifies with each registry, without Chains. Where
//! another case fails and these do too, it is not Chains that is broken.

use chains_e2e::{
    Case, Result, Scene, case,
    cluster::{self, CLUSTER},
    ensure,
    registry::{Access, CRANE, DOCKER, Door, REFERRERS, Registry, USERS},
    runs,
    sigstore::{Cosign, Version},
    tekton::{Namespace, names},
    tls::Authority,
    tokens::{TokenServer, User},
};
use serde_json::json;

/// The least that cosign 2 takes for SLSA v0.2.
const PREDICATE: &str =
    r#"{"builder": {"id": "https://example.test/builder"}, "buildType": "https://example.test"}"#;

type Body = fn(&Scene<'_>, Version) -> Result<()>;

pub(crate) fn cases() -> Vec<Case> {
    let registries: [(&str, &[&'static str], Body); 6] = [
        ("crane", &[CRANE], open_crane),
        ("referrers", &[CRANE, REFERRERS], open_referrers),
        ("docker", &[CRANE, DOCKER], open_docker),
        ("passwords", &[CRANE, DOCKER], passwords),
        ("tls", &[CRANE, DOCKER], tls),
        ("tokens", &[CRANE, DOCKER], bearer_tokens),
    ];
    let mut cases = Vec::new();
    for version in Version::BOTH {
        for (name, needs, body) in registries {
            let needs = [needs, &[version.peer()]].concat();
            let name = format!("peers::cosign_{version}_and_{name}");
            cases.push(case(name, &needs, move |scene| body(scene, version)));
        }
    }
    cases.push(case("peers::cluster_lent_again", &CLUSTER, lent_again));
    cases.push(case("peers::cluster_restarted", &CLUSTER, restarted));
    cases
}

/// What one case left in a cluster, the next does not see.
fn lent_again(scene: &Scene<'_>) -> Result<()> {
    for _ in 0..2 {
        let cluster = cluster::borrow(scene)?;
        let namespace = Namespace::default_of(&cluster);
        let runs: Vec<_> =
            (0..50).map(|n| runs::kaniko(&format!("run-{n}"), "app", "sha256:0")).collect();
        let watch = namespace.watch("taskruns")?;
        namespace.run(&runs)?;
        let done = namespace.get("taskruns", "run-7")?;
        ensure!(done["status"]["conditions"][0]["status"] == "True", "not completed: {done}");
        ensure!(done["apiVersion"] == "tekton.dev/v1", "{done}");

        namespace.leave("taskruns", "run-7", &[("signed", "true")], &["example.test/held"])?;
        watch.until("run-7", |seen| seen.is_signed() && !seen.is_held())?;
        namespace.delete_all("taskruns", &names(&runs))?;
        watch.until("run-8", |seen| seen.gone)?;
        watch.until("run-7", |seen| seen.deleting && !seen.gone)?;
        let text = cluster.kubectl(scene).args(["get", "taskruns", "-A", "-o", "name"]).ok()?;
        ensure!(text.stdout.lines().count() == 1, "{text}");
    }
    Ok(())
}

/// A watch goes on after the API server was killed, and the audit log tells service accounts' requests only.
fn restarted(scene: &Scene<'_>) -> Result<()> {
    let options = cluster::Options { v1beta1_only: true, ..cluster::Options::default() };
    let mut cluster = cluster::Cluster::start(scene, &options)?;
    let watch = Namespace::default_of(&cluster).watch("taskruns")?;
    cluster.kill_api_server();
    cluster.start_api_server(scene)?;
    cluster.stop_api_server();
    cluster.start_api_server(scene)?;
    let namespace = Namespace::default_of(&cluster);
    let audit = cluster.audit()?;
    let run = runs::kaniko("run", "app", "sha256:0");
    namespace.run(std::slice::from_ref(&run))?;
    watch.until("run", |seen| !seen.is_held())?;

    let account = json!({ "metadata": { "name": "someone", "namespace": "default" } });
    cluster.api().create("/api/v1/namespaces/default/serviceaccounts", &account)?;
    let someone = cluster.api_as(&cluster.token_of("default", "someone")?)?;
    let refused = someone.get(&namespace.path("taskruns"));
    ensure!(refused.is_err(), "someone may read runs");
    let asked: Vec<_> = audit.requests()?.iter().map(|it| (it.what(), it.code())).collect();
    ensure!(asked == [("list taskruns".to_owned(), 403)], "{asked:?}");
    Ok(())
}

fn open_crane(scene: &Scene<'_>, version: Version) -> Result<()> {
    sign_and_verify(scene, version, &Registry::crane(scene)?, &Access::default())
}

fn open_referrers(scene: &Scene<'_>, version: Version) -> Result<()> {
    sign_and_verify(scene, version, &Registry::referrers(scene)?, &Access::default())
}

fn open_docker(scene: &Scene<'_>, version: Version) -> Result<()> {
    let registry = Registry::docker(scene, &Door::default())?;
    sign_and_verify(scene, version, &registry, &Access::default())
}

fn passwords(scene: &Scene<'_>, version: Version) -> Result<()> {
    let registry = Registry::docker(scene, &Door { passwords: true, ..Door::default() })?;
    let (user, password) = USERS[0];
    let access = Access {
        docker_config: Some(scene.docker_config(&[(&registry.host(), user, password)])?),
        ..Access::default()
    };
    let anyone = registry.push(scene, &Access::default(), "shop/app", "open");
    ensure!(anyone.is_err(), "the registry lets in anyone");
    sign_and_verify(scene, version, &registry, &access)
}

fn tls(scene: &Scene<'_>, version: Version) -> Result<()> {
    let authority = Authority::new(scene.folder(), "authority")?;
    let door = Door { authority: Some(&authority), ..Door::default() };
    let registry = Registry::docker(scene, &door)?;
    let access =
        Access { authority: Some(authority.certificate().to_owned()), ..Access::default() };
    sign_and_verify(scene, version, &registry, &access)
}

fn bearer_tokens(scene: &Scene<'_>, version: Version) -> Result<()> {
    let user = User { name: "alice", secret: "wonderland", prefix: "shop/" };
    let tokens = TokenServer::start(scene, &[user])?;
    let registry = Registry::docker(scene, &Door { tokens: Some(&tokens), ..Door::default() })?;
    let config = scene.docker_config(&[(&registry.host(), "alice", "wonderland")])?;
    let access = Access { docker_config: Some(config), ..Access::default() };
    let elsewhere = registry.push(scene, &access, "elsewhere/app", "v1");
    ensure!(elsewhere.is_err(), "alice may write where she has no rights");
    sign_and_verify(scene, version, &registry, &access)
}

fn sign_and_verify(
    scene: &Scene<'_>,
    version: Version,
    registry: &Registry,
    access: &Access,
) -> Result<()> {
    let image = registry.push(scene, access, "shop/app", "v1")?.by_digest();
    let cosign = Cosign::new(scene, version).with(access);
    let keys = cosign.generate_key_pair("ours")?;
    let others = cosign.generate_key_pair("others")?;
    let predicate = scene.write("predicate.json", PREDICATE)?;
    let kind = "slsaprovenance";

    cosign.verify(&keys.public, &image)?.refused()?;
    cosign.sign(&keys.private, &image)?.ok()?;
    cosign.verify(&keys.public, &image)?.ok()?;
    cosign.verify(&others.public, &image)?.refused()?;

    cosign.verify_attestation(&keys.public, kind, &image)?.refused()?;
    cosign.attest(&keys.private, kind, &predicate, &image)?.ok()?;
    cosign.verify_attestation(&keys.public, kind, &image)?.ok()?;
    cosign.verify_attestation(&others.public, kind, &image)?.refused()?;
    Ok(())
}
