//! The shipped manifests: they apply, they suffice, and nothing is asked for that they do not give.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use chains_e2e::{
    Case, Result, Scene, bail, case,
    cluster::{self, Request},
    controller::{Controller, NEEDS, Start},
    ensure,
    install::{Install, Mount, NAMESPACE, SECRET, deploy},
    registry::{Access, CRANE, Registry, USERS},
    runs::{self, Child},
    stage::{Stage, managed_by, told},
    tekton::{Namespace, names},
};
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    let with_registry = [&NEEDS[..], &[CRANE, chains_e2e::registry::DOCKER]].concat();
    vec![
        case(
            "controller_rights::nothing_is_forbidden_and_nothing_idle",
            &with_registry,
            everything,
        ),
        case("controller_rights::of_two_namespaces_only", &NEEDS, namespaces),
    ]
}

/// Everything that the controller can be led to, under the rights of the manifests: none of it is refused, and
/// each right is used.
fn everything(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let stage = Stage::set(scene, &cluster)?;
    let audit = cluster.audit()?;
    lead_everywhere(scene, &stage)?;
    let requests = audit.requests()?;
    scene.note(told(&requests));
    let forbidden: Vec<&Request> =
        requests.iter().filter(|it| matches!(it.code(), 401 | 403)).collect();
    ensure!(forbidden.is_empty(), "{forbidden:#?}");

    let used: BTreeSet<(String, String)> =
        requests.iter().map(|it| (it.verb.clone(), it.resource())).collect();
    for (verb, resource) in &used {
        let writes = matches!(verb.as_str(), "create" | "delete" | "deletecollection" | "update");
        let run = resource.starts_with("taskruns") || resource.starts_with("pipelineruns");
        ensure!(!(writes && run), "{verb} of {resource}");
    }
    let all_secrets = requests
        .iter()
        .find(|request| request.resource() == "secrets" && request.object().1.is_empty());
    ensure!(all_secrets.is_none(), "more than one Secret was asked for: {all_secrets:?}");
    let given = granted(&cluster, stage.namespace.name())?;
    let unused =
        |right: &&(String, String)| !used.contains(*right) && !ELSEWHERE.contains(&words(right));
    let idle: Vec<_> = given.iter().filter(unused).collect();
    ensure!(idle.is_empty(), "rights that nothing here uses: {idle:?}");
    Ok(())
}

/// Used with other API servers.
const ELSEWHERE: [(&str, &str); 1] = [
    // In pages, where there are no streaming lists; see `controller_servers`.
    ("list", "pipelineruns"),
];

fn words((verb, resource): &(String, String)) -> (&str, &str) {
    (verb, resource)
}

/// Runs of both kinds, from every state; a Secret with registry credentials; a key in a Secret; Leases; Events.
fn lead_everywhere(scene: &Scene<'_>, stage: &Stage<'_>) -> Result<()> {
    let namespace = &stage.namespace;
    let api = namespace.cluster().api();
    let door = chains_e2e::registry::Door { passwords: true, ..Default::default() };
    let registry = Registry::docker(scene, &door)?;
    let (user, password) = USERS[0];
    let config = scene.docker_config(&[(&registry.host(), user, password)])?;
    let access = Access { docker_config: Some(config.clone()), ..Access::default() };
    let image = registry.push(scene, &access, "app", "v1")?;
    let credentials = json!({
        "metadata": { "name": "registry" },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": std::fs::read_to_string(config.join("config.json"))? },
    });
    let home = format!("/api/v1/namespaces/{}", namespace.name());
    api.create(&format!("{home}/secrets"), &credentials)?;
    let account = json!({ "metadata": { "name": "builder" }, "secrets": [{ "name": "registry" }] });
    api.create(&format!("{home}/serviceaccounts"), &account)?;

    stage.install.set_secret(&[("x509.pem", &std::fs::read(&stage.keys.private)?)])?;
    stage.install.configure(&[
        ("artifacts.oci.storage", "oci"),
        ("artifacts.taskrun.storage", "tekton,oci"),
        ("signers.x509.key", &format!("k8s://{NAMESPACE}/{SECRET}")),
    ])?;
    let insecure = format!("--insecure-registry={}", registry.host());
    let first = stage.controller("replica-0").arg(&insecure).arg("--lease-duration=5s").ready()?;
    let second = stage.controller("replica-1").arg(&insecure).arg("--lease-duration=5s").ready()?;

    let (tasks, pipelines) = (namespace.watch("taskruns")?, namespace.watch("pipelineruns")?);
    let mut build = runs::kaniko("build", &image.name(), &image.digest);
    build["spec"]["serviceAccountName"] = "builder".into();
    let family = runs::pipeline("release", &[Child::Task("a"), Child::Gone("b")], "x", "sha256:0");
    let mut all = vec![build, runs::failed("broken"), managed_by(runs::failed("theirs"), "other")];
    all.extend(family.children);
    all.push(family.run);
    namespace.create(&all)?;
    tasks.until_all(&["build", "broken"], |seen| seen.is_held())?;
    namespace.complete(&all)?;
    tasks.until_all(&["build", "broken", "release-a"], |seen| seen.is_signed())?;
    pipelines.until("release", |seen| seen.is_signed())?;
    image_is_attested(scene, stage, &access, &image)?;
    // A write of somebody else in between: ours reads the run again.
    conflict(namespace, "taskruns", runs::failed)?;
    conflict(namespace, "pipelineruns", |name| runs::pipeline(name, &[], "x", "sha256:0").run)?;
    // The same Event again is the same object.
    refused_twice(stage, &second)?;
    // Its Leases run out, and another takes them.
    first.kill()?;
    let late = [runs::failed("late-0"), runs::failed("late-1"), runs::failed("late-2")];
    namespace.run(&late)?;
    tasks.until_all(&names(&late), |seen| seen.is_signed())?;
    ensure!(second.terminate()?.success(), "it did not end well");
    Ok(())
}

fn image_is_attested(
    scene: &Scene<'_>,
    stage: &Stage<'_>,
    access: &Access,
    image: &chains_e2e::registry::Image,
) -> Result<()> {
    let chains = chains_e2e::chains::Chains::new(scene).insecure(&image.host).with(access);
    chains.verify(&stage.keys.public, image.by_digest()).ok().map(drop)
}

/// Writes on runs until one of ours was too late once.
fn conflict(namespace: &Namespace<'_>, plural: &str, run: impl Fn(&str) -> Value) -> Result<()> {
    let audit = namespace.cluster().audit()?;
    let watch = namespace.watch(plural)?;
    for round in 0..50 {
        let runs: Vec<Value> = (0..20).map(|n| run(&format!("raced-{round}-{n}"))).collect();
        namespace.run(&runs)?;
        for name in names(&runs) {
            namespace.leave(plural, &name, &[("theirs", "x")], &["example.test/keep"])?;
        }
        watch.until_all(&names(&runs), |seen| seen.is_signed())?;
        if audit.requests()?.iter().any(|it| it.resource() == plural && it.code() == 409) {
            return Ok(());
        }
    }
    bail!("no write of ours on {plural} met another's")
}

/// Breaks the configuration, mends it, and breaks it again, until an Event was written again.
fn refused_twice(stage: &Stage<'_>, replica: &Controller) -> Result<()> {
    let audit = stage.install.cluster().audit()?;
    for _ in 0..2 {
        let before = audit.requests()?.len();
        stage.install.configure(&[("no.such.key", "x")])?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while !audit.requests()?[before..].iter().any(|it| it.resource() == "events") {
            ensure!(Instant::now() < deadline, "no Event tells of a faulty configuration");
            std::thread::sleep(Duration::from_millis(100));
        }
        stage.install.unset("no.such.key")?;
        replica.until_counted("chains_config_valid", 1.0)?;
    }
    Ok(())
}

/// What the roles give to the controller's account, as verb and resource, by the API server's own reckoning.
fn granted(cluster: &cluster::Cluster, namespace: &str) -> Result<BTreeSet<(String, String)>> {
    let token = cluster.token_of(NAMESPACE, chains_e2e::install::ACCOUNT)?;
    let mut rights = BTreeSet::new();
    for namespace in [NAMESPACE, namespace] {
        let review = json!({ "spec": { "namespace": namespace } });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        let answer = cluster.api_as(&token)?.create(path, &review)?;
        for rule in answer["status"]["resourceRules"].as_array().into_iter().flatten() {
            // What every user may ask.
            let groups = rule["apiGroups"].to_string();
            let everyones = groups.contains("authorization.k8s.io")
                || groups.contains("authentication.k8s.io")
                || rule["resourceNames"] == json!(["chains-info"]);
            if everyones {
                continue;
            }
            let list = |of: &Value| -> Vec<String> {
                let all = of.as_array().into_iter().flatten();
                all.filter_map(|it| it.as_str().map(str::to_owned)).collect()
            };
            for verb in list(&rule["verbs"]) {
                rights.extend(list(&rule["resources"]).into_iter().map(|it| (verb.clone(), it)));
            }
        }
    }
    Ok(rights)
}

/// `--namespace a,b` with Roles in these and none beyond.
fn namespaces(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let (mount, _keys) = Mount::with_key(scene)?;
    let (one, two) = (Namespace::new(&cluster, "team")?, Namespace::new(&cluster, "team")?);
    let elsewhere = Namespace::new(&cluster, "elsewhere")?;
    let install = only_in(scene, &cluster, &[one.name(), two.name()])?;
    install.configure(&[("artifacts.oci.storage", "")])?;
    let audit = cluster.audit()?;
    let start = Start::new(scene, &install, "controller", &mount);
    let _controller = start.arg(format!("--namespace={},{}", one.name(), two.name())).ready()?;

    let (first, second) = (one.watch("taskruns")?, two.watch("pipelineruns")?);
    let run = runs::kaniko("build", "registry.test/app", "sha256:0");
    elsewhere.run(std::slice::from_ref(&run))?;
    one.create(std::slice::from_ref(&run))?;
    first.until("build", |seen| seen.is_held())?;
    one.complete(&[run])?;
    first.until("build", |seen| seen.is_signed() && !seen.is_held())?;
    let family = runs::pipeline("release", &[Child::Task("a")], "registry.test/app", "sha256:0");
    two.run(&family.children)?;
    two.run(&[family.run])?;
    second.until("release", |seen| seen.is_signed() && !seen.is_held())?;

    let untouched = elsewhere.get("taskruns", "build")?;
    ensure!(untouched["metadata"]["annotations"].is_null(), "{untouched}");
    let requests = audit.requests()?;
    let refused = requests.iter().find(|request| matches!(request.code(), 401 | 403));
    ensure!(refused.is_none(), "{refused:?}");
    let beyond = requests.iter().find(|request| {
        let (namespace, _) = request.object();
        request.resource().ends_with("runs") && namespace != one.name() && namespace != two.name()
    });
    ensure!(beyond.is_none(), "{beyond:?}");
    Ok(())
}

/// Installs Chains without rights in the whole cluster, and gives it rights in these namespaces.
fn only_in<'c>(
    scene: &Scene<'_>,
    cluster: &'c cluster::Cluster,
    namespaces: &[&str],
) -> Result<Install<'c>> {
    for namespace in namespaces {
        let apply = ["apply", "--server-side", "--namespace", namespace, "-k"];
        cluster.kubectl(scene).args(apply).arg(deploy().join("tenant")).ok()?;
    }
    Install::apply_folder(scene, cluster, &deploy().join("namespaced"))
}
