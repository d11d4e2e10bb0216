//! The demo of the Tekton blog without a key: certificates of Fulcio, a log, and verifiers that know nothing of Chains.

use std::path::Path;

use chains_e2e::{
    Case, Result, Scene, case,
    chains::Chains,
    cluster, controller, ensure,
    install::{ACCOUNT, Install, Mount, NAMESPACE},
    registry::{Access, CRANE, DOCKER, Door, Image, REFERRERS, Registry},
    runs,
    sigstore::{
        Cosign, Identity, Keyless, Parts, Settings, Sigstore, Version,
        bundles::{self, VERIFY},
        issuer::{AUDIENCE, account_identity},
        settings,
    },
    tekton::Namespace,
};

/// An instance, a registry, an image, and where signatures are to be kept.
struct Demo<'a> {
    scene: &'a Scene<'a>,
    sigstore: Sigstore<'a>,
    registry: Registry,
    image: Image,
    layout: &'static str,
}

pub(crate) fn cases() -> Vec<Case> {
    let logs = [("rekor_1", Parts::V1), ("rekor_2", Parts::V2)];
    // cosign 2 knows neither bundles of images nor logs of version 2.
    let verifiers = [
        ("cosign_2", Version::V2, "dsse", &logs[..1]),
        ("cosign_3", Version::V3, "sigstore-bundle", &logs[..]),
    ];
    let mut cases = Vec::new();
    for (verifier, version, layout, logs) in verifiers {
        for (log, parts) in logs.iter().copied() {
            let needs = [&parts.needs()[..], &[CRANE, REFERRERS, VERIFY, version.peer()]].concat();
            let name = format!("keyless::{verifier}_verifies_a_command_with_{log}");
            cases.push(case(name, &needs, move |scene| by_command(scene, parts, layout, version)));
            let needs = [&needs[..], &controller::NEEDS].concat();
            let name = format!("keyless::{verifier}_verifies_a_controller_with_{log}");
            cases.push(case(name, &needs, move |scene| {
                by_controller(scene, parts, layout, version)
            }));
        }
    }
    let needs = [&Parts::V2.needs()[..], &[CRANE, DOCKER, VERIFY, Version::V3.peer()]].concat();
    cases.push(case("keyless::cosign_3_verifies_where_no_bundles_are_listed", &needs, |scene| {
        let registry = Registry::docker(scene, &Door::default())?;
        by_command_at(scene, Parts::V2, registry, "sigstore-bundle", Version::V3)
    }));
    cases
}

/// `chains sign`, with the token of somebody who has an email address.
fn by_command(
    scene: &Scene<'_>,
    parts: Parts,
    layout: &'static str,
    version: Version,
) -> Result<()> {
    by_command_at(scene, parts, Registry::referrers(scene)?, layout, version)
}

/// As [`by_command`], at this registry.
fn by_command_at(
    scene: &Scene<'_>,
    parts: Parts,
    registry: Registry,
    layout: &'static str,
    version: Version,
) -> Result<()> {
    let demo = Demo::set(scene, Sigstore::start(scene, parts)?, registry, layout)?;
    let (who, token) = demo.sigstore.somebody("alice")?;
    let settings = demo.settings(&who.issuer, &token)?;
    let run = runs::kaniko("build", &demo.image.name(), &demo.image.digest);
    Chains::new(scene).at(&demo.registry).sign_by("oci", &settings, &run)?.ok()?;
    demo.show(version, &who)
}

/// The controller, with the token of its service account: the API server's own, as a kubelet projects it.
fn by_controller(
    scene: &Scene<'_>,
    parts: Parts,
    layout: &'static str,
    version: Version,
) -> Result<()> {
    let cluster = cluster::borrow(scene)?;
    let install = Install::apply(scene, &cluster)?;
    let sigstore = Sigstore::start_for_cluster(scene, parts, &cluster)?;
    let demo = Demo::set(scene, sigstore, Registry::referrers(scene)?, layout)?;
    let who = Identity { name: account_identity(NAMESPACE, ACCOUNT), issuer: cluster.issuer() };
    let token = scene.write("token", cluster.token_for(AUDIENCE, NAMESPACE, ACCOUNT)?)?;
    let mut settings = demo.settings(&who.issuer, &token)?;
    settings.push(("artifacts.taskrun.storage", "oci".to_owned()));
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    install.configure(&settings)?;
    let nothing = Mount::empty(scene)?;
    let start = controller::Start::new(scene, &install, "controller", &nothing);
    let _controller = start.arg(format!("--insecure-registry={}", demo.registry.host())).ready()?;

    let namespace = Namespace::default_of(&cluster);
    let watch = namespace.watch("taskruns")?;
    namespace.run(&[runs::kaniko("build", &demo.image.name(), &demo.image.digest)])?;
    let seen = watch.until("build", |seen| seen.chains("signed").is_some())?;
    ensure!(seen.is_signed(), "{seen:#?}");
    let told = seen.chains("transparency").unwrap_or_default();
    ensure!(told.contains(&demo.sigstore.log.url()), "no entry of the log is told: {seen:#?}");
    demo.show(version, &who)
}

impl<'a> Demo<'a> {
    fn set(
        scene: &'a Scene<'a>,
        sigstore: Sigstore<'a>,
        registry: Registry,
        layout: &'static str,
    ) -> Result<Self> {
        let image = registry.push(scene, &Access::default(), "kaniko-chains", "latest")?;
        Ok(Self { scene, sigstore, registry, image, layout })
    }

    fn settings(&self, issuer: &str, token: &Path) -> Result<Settings> {
        let settings = self.sigstore.keyless_settings(issuer, token)?;
        Ok(settings::with(settings, "storage.oci.encoding-format", self.layout))
    }

    /// What verifiers say, who know nothing of Chains, and what Chains says.
    fn show(&self, version: Version, who: &Identity) -> Result<()> {
        let image = self.image.by_digest();
        let mallory = Identity { name: "mallory@example.test".to_owned(), ..who.clone() };
        let elsewhere = Identity { issuer: "http://127.0.0.1:1".to_owned(), ..who.clone() };
        let cosign = Cosign::new(self.scene, version);
        let cosign = Keyless::new(&cosign, &self.sigstore)?;
        let kind = "slsaprovenance";
        cosign.verify(who, &image)?.ok()?;
        cosign.verify_attestation(who, kind, &image)?.ok()?;
        for other in [&mallory, &elsewhere] {
            cosign.verify(other, &image)?.refused()?;
            cosign.verify_attestation(other, kind, &image)?.refused()?;
        }

        let root = self.sigstore.trusted_root_file()?;
        for bundle in bundles::of(&self.image)? {
            bundles::verify(self.scene, &bundle, &root, who)?.ok()?;
            bundles::verify(self.scene, &bundle, &root, &mallory)?.refused()?;
        }

        let chains = Chains::new(self.scene).at(&self.registry);
        chains.verify_identity(who, &root, &image).ok()?;
        chains.verify_identity(&mallory, &root, &image).refused()?;
        chains.verify_identity(&elsewhere, &root, &image).refused()?;

        // One for the run's provenance, one for the image; one certificate for both.
        self.sigstore.until_entries(2)?;
        let certificates = self.sigstore.certificates()?;
        ensure!(certificates == 1, "{certificates} certificates for one run");
        Ok(())
    }
}
