//! Registry credentials of the run's own ServiceAccount, and of nobody else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chains_e2e::{
    Case, Context as _, Result, Scene, case,
    chains::Chains,
    cluster,
    controller::NEEDS,
    ensure,
    registry::{Access, CRANE, DOCKER, Door, Image, Registry, USERS},
    runs,
    stage::Stage,
    tekton::Namespace,
};
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    let needs = [&NEEDS[..], &[CRANE, DOCKER]].concat();
    vec![
        case("controller_credentials::of_secrets", &needs, of_secrets),
        case("controller_credentials::of_image_pull_secrets", &needs, of_image_pull_secrets),
        case("controller_credentials::given_later", &needs, given_later),
        case("controller_credentials::never_of_another_account", &needs, none),
    ]
}

/// A registry with passwords, an image in it, and a controller that has no credentials itself.
struct Room<'a> {
    stage: Stage<'a>,
    registry: Registry,
    access: Access,
    image: Image,
}

impl<'a> Room<'a> {
    fn set(scene: &'a Scene<'a>, cluster: &'a cluster::Cluster) -> Result<Self> {
        let stage = Stage::set(scene, cluster)?;
        let registry = Registry::docker(scene, &Door { passwords: true, ..Door::default() })?;
        let (user, password) = USERS[0];
        let config = scene.docker_config(&[(&registry.host(), user, password)])?;
        let access = Access { docker_config: Some(config), ..Access::default() };
        let image = registry.push(scene, &access, "shop/app", "v1")?;
        stage.install.configure(&[
            ("artifacts.taskrun.storage", "oci"),
            ("artifacts.oci.storage", "oci"),
            ("retry.limit", "5"),
            ("retry.total-time", "30s"),
        ])?;
        Ok(Self { stage, registry, access, image })
    }

    fn controller(&self) -> Result<chains_e2e::controller::Controller> {
        let insecure = format!("--insecure-registry={}", self.registry.host());
        self.stage.controller("controller").arg(insecure).ready()
    }

    fn run_of(&self, account: &str) -> Value {
        let mut run = runs::kaniko("build", &self.image.name(), &self.image.digest);
        run["spec"]["serviceAccountName"] = account.into();
        run
    }

    /// The content of a `.dockerconfigjson` for the registry.
    fn docker_config(&self) -> Result<String> {
        let folder = self.access.docker_config.as_ref().context("no credentials")?;
        Ok(std::fs::read_to_string(folder.join("config.json"))?)
    }

    fn is_signed(&self, scene: &Scene<'_>) -> Result<()> {
        let chains = Chains::new(scene).at(&self.registry).with(&self.access);
        chains.verify(&self.stage.keys.public, self.image.by_digest()).ok().map(drop)
    }
}

fn make(namespace: &Namespace<'_>, plural: &str, object: &Value) -> Result<()> {
    let path = format!("/api/v1/namespaces/{}/{plural}", namespace.name());
    namespace.cluster().api().create(&path, object).map(drop)
}

fn secret(name: &str, kind: &str, file: &str, content: &str) -> Value {
    json!({ "metadata": { "name": name }, "type": kind, "data": { file: STANDARD.encode(content) } })
}

fn of_secrets(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let room = Room::set(scene, &cluster)?;
    let namespace = &room.stage.namespace;
    let config = room.docker_config()?;
    let kind = "kubernetes.io/dockerconfigjson";
    make(namespace, "secrets", &secret("registry", kind, ".dockerconfigjson", &config))?;
    // Those that are not there, or hold something else, hide no other.
    make(namespace, "secrets", &secret("unrelated", "Opaque", "token", "x"))?;
    let named = json!([{ "name": "gone" }, { "name": "unrelated" }, { "name": "registry" }]);
    let account = json!({ "metadata": { "name": "builder" }, "secrets": named });
    make(namespace, "serviceaccounts", &account)?;
    signs(scene, &room)
}

fn of_image_pull_secrets(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let room = Room::set(scene, &cluster)?;
    let namespace = &room.stage.namespace;
    // The older form: no `auths` around.
    let config: Value = serde_json::from_str(&room.docker_config()?)?;
    let config = config["auths"].to_string();
    let kind = "kubernetes.io/dockercfg";
    make(namespace, "secrets", &secret("registry", kind, ".dockercfg", &config))?;
    let named = json!([{ "name": "registry" }]);
    let account = json!({ "metadata": { "name": "builder" }, "imagePullSecrets": named });
    make(namespace, "serviceaccounts", &account)?;
    signs(scene, &room)
}

fn signs(scene: &Scene<'_>, room: &Room<'_>) -> Result<()> {
    let controller = room.controller()?;
    let watch = room.stage.namespace.watch("taskruns")?;
    room.stage.namespace.run(&[room.run_of("builder")])?;
    let seen = watch.until("build", |seen| seen.chains("signed").is_some())?;
    ensure!(seen.is_signed(), "{seen:#?}");
    room.is_signed(scene)?;
    tells_no_secret(room, &controller.log()?)
}

/// The Secret comes while the run waits for its next attempt.
fn given_later(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let room = Room::set(scene, &cluster)?;
    let namespace = &room.stage.namespace;
    let account = json!({ "metadata": { "name": "builder" }, "secrets": [{ "name": "registry" }] });
    make(namespace, "serviceaccounts", &account)?;
    let _controller = room.controller()?;
    let watch = namespace.watch("taskruns")?;
    namespace.run(&[room.run_of("builder")])?;
    watch.until("build", |seen| seen.chains("retries").is_some() || seen.is_failed())?;
    let config = room.docker_config()?;
    let kind = "kubernetes.io/dockerconfigjson";
    make(namespace, "secrets", &secret("registry", kind, ".dockerconfigjson", &config))?;
    let seen = watch.until("build", |seen| seen.chains("signed").is_some())?;
    ensure!(seen.is_signed(), "{seen:#?}");
    room.is_signed(scene)
}

fn none(scene: &Scene<'_>) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let room = Room::set(scene, &cluster)?;
    room.stage.install.configure(&[("retry.limit", "0")])?;
    let namespace = &room.stage.namespace;
    let config = room.docker_config()?;
    let kind = "kubernetes.io/dockerconfigjson";
    make(namespace, "secrets", &secret("registry", kind, ".dockerconfigjson", &config))?;
    for (name, secrets) in [("builder", json!([{ "name": "registry" }])), ("other", json!([]))] {
        make(
            namespace,
            "serviceaccounts",
            &json!({ "metadata": { "name": name }, "secrets": secrets }),
        )?;
    }
    // The controller's own are for nobody unless the operator says so.
    let folder = room.access.docker_config.as_ref().context("no credentials")?;
    let insecure = format!("--insecure-registry={}", room.registry.host());
    let start = room.stage.controller("controller").arg(&insecure).env("DOCKER_CONFIG", folder);
    let controller = start.ready()?;
    let watch = namespace.watch("taskruns")?;
    namespace.run(&[room.run_of("other")])?;
    let seen = watch.until("build", |seen| seen.chains("signed").is_some())?;
    ensure!(seen.is_failed(), "signed with credentials of another: {seen:#?}");
    let reason = seen.chains("reason").unwrap_or_default();
    ensure!(reason.contains("unauthorized"), "the reason does not tell: {reason}");
    tells_no_secret(&room, &format!("{}{reason}", controller.log()?))?;
    drop(controller);

    // Now the operator says so.
    let start = start.arg("--ambient-registry-credentials");
    let _controller = start.ready()?;
    let retry = scene.chains().env("KUBECONFIG", cluster.admin_kubeconfig());
    retry.args(["retry", "--namespace", namespace.name(), "--all-failed"]).ok()?;
    watch.until("build", |seen| seen.is_signed())?;
    room.is_signed(scene)
}

fn tells_no_secret(room: &Room<'_>, text: &str) -> Result<()> {
    let (user, password) = USERS[0];
    let basic = STANDARD.encode(format!("{user}:{password}"));
    let key = std::fs::read_to_string(&room.stage.keys.private)?;
    let middle = key.lines().nth(1).context("no key")?;
    for secret in [password, &basic, middle] {
        ensure!(!text.contains(secret), "a secret is told: {text}");
    }
    Ok(())
}
