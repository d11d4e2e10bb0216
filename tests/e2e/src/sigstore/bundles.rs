//! Bundles that are kept with an image, and a verifier of them that is neither Go nor Rust.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Identity;
use crate::{
    http,
    registry::{self, Attached, Image},
    scene::Scene,
    tool::Tool,
};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The packages of `@sigstore/verify`.
pub const VERIFY: &str = "sigstore-verify";

/// Reads the bundles that refer to `image`, as the registry lists them or, where it lists none, as the tag of its
/// digest does.
///
/// # Errors
/// If the registry does not answer as it should.
pub fn of(image: &Image) -> Result<Vec<Value>> {
    let path = format!("/v2/{}/referrers/{}", image.repository, image.digest);
    let answer = http::send(&image.host, "GET", &path, &[], b"")?;
    let index: Value = if answer.status == 200 {
        serde_json::from_slice(&answer.body)?
    } else {
        let tag = image.digest.replace(':', "-");
        let tagged = Attached::get(&image.host, &image.repository, &tag)?;
        tagged.map(|it| it.manifest).unwrap_or_default()
    };
    let mut bundles = Vec::new();
    for manifest in index["manifests"].as_array().into_iter().flatten() {
        let digest = manifest["digest"].as_str().context("a referrer without a digest")?;
        let referrer = Attached::get(&image.host, &image.repository, digest)?;
        let referrer = referrer.with_context(|| format!("{digest} is listed and not there"))?;
        ensure!(referrer.layers().len() == 1, "not one bundle: {}", referrer.manifest);
        let kind = referrer.layers()[0]["mediaType"].as_str().unwrap_or_default();
        ensure!(kind.starts_with("application/vnd.dev.sigstore.bundle"), "no bundle: {kind}");
        bundles.push(serde_json::from_slice(&referrer.blob(0)?)?);
    }
    Ok(bundles)
}

/// Keeps `bundle` with `image`, as anybody may who can write to the repository.
///
/// # Errors
/// If the registry does not take it.
pub fn attach(image: &Image, bundle: &Value) -> Result<()> {
    let subject = Attached::get(&image.host, &image.repository, &image.digest)?;
    let subject = subject.context("there is no such image")?.descriptor();
    let blob = serde_json::to_vec(bundle)?;
    let layer = registry::push_blob(&image.host, &image.repository, &blob)?;
    let config = registry::push_blob(&image.host, &image.repository, b"{}")?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": BUNDLE,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 },
        "layers": [{ "mediaType": BUNDLE, "digest": layer, "size": blob.len() }],
        "subject": subject,
    });
    let body = serde_json::to_vec(&manifest)?;
    let path = format!("/v2/{}/manifests/{}", image.repository, registry::digest(&body));
    let answer = http::send(&image.host, "PUT", &path, &[("Content-Type", MANIFEST)], &body)?;
    ensure!(answer.status == 201, "{path} answered {}", answer.status);
    Ok(())
}

/// `@sigstore/verify`, on a bundle that somebody must have signed without a key.
///
/// # Errors
/// If the case does not name [`VERIFY`] among its peers.
pub fn verify(
    scene: &Scene<'_>,
    bundle: &Value,
    trusted_root: &Path,
    who: &Identity,
) -> Result<Tool> {
    let tool = node(scene, bundle, trusted_root)?;
    Ok(tool.args(["--identity", &who.name, &who.issuer]))
}

/// `@sigstore/verify`, on a bundle that somebody must have signed with a key.
///
/// # Errors
/// If the case does not name [`VERIFY`] among its peers.
pub fn verify_with_key(
    scene: &Scene<'_>,
    bundle: &Value,
    trusted_root: &Path,
    public: &Path,
) -> Result<Tool> {
    Ok(node(scene, bundle, trusted_root)?.arg("--key").arg(public))
}

fn node(scene: &Scene<'_>, bundle: &Value, trusted_root: &Path) -> Result<Tool> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/sigstore-verify/verify.cjs");
    let modules: PathBuf = scene
        .program(VERIFY)?
        .ancestors()
        .find(|folder| folder.ends_with("node_modules"))
        .context("the packages are in no folder of modules")?
        .to_owned();
    let bundle = scene.write(&scene.fresh("bundle.json"), serde_json::to_vec(bundle)?)?;
    let tool = scene.system("node").env("NODE_PATH", modules);
    Ok(tool.arg(script).arg(bundle).arg(trusted_root))
}
