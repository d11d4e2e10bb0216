//! What was signed and then changed, by someone who can write to the registry, to the folder or to
//! the run but has no key: `chains verify` refuses each and says why.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chains_e2e::{
    Case, Result, Scene, case,
    chains::Chains,
    ensure,
    registry::{Access, Attached, CRANE, Image, Registry},
    runs,
    sigstore::Keys,
};
use serde_json::Value;

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// A signed image and what signed it.
struct Signed<'s> {
    scene: &'s Scene<'s>,
    registry: Registry,
    image: Image,
    keys: Keys,
}

/// Changes something and tells a word that the refusal must have.
type Tamper = fn(&Signed<'_>) -> Result<()>;

pub(crate) fn cases() -> Vec<Case> {
    let tampers: [(&str, &'static str, Tamper); 8] = [
        ("signature_payload", "signature", signature_payload),
        ("signature", "signature", signature),
        ("signature_of_another_image", "digest", |signed| moved(signed, "sig")),
        ("envelope_payload", "signature", envelope_payload),
        ("envelope_signature", "signature", envelope_signature),
        ("envelope_type", "type", envelope_type),
        ("attestation_of_another_image", "subject", |signed| moved(signed, "att")),
        ("garbage", "envelope", garbage),
    ];
    let mut cases = Vec::new();
    for (name, word, tamper) in tampers {
        let name = format!("tampering::registry_{name}");
        cases.push(case(name, &[CRANE], move |scene| refused(scene, tamper, word)));
    }
    cases.push(case("tampering::another_key", &[CRANE], another_key));
    cases.push(case("tampering::nothing_is_signed", &[CRANE], nothing_is_signed));
    cases.push(case("tampering::what_is_planted_does_not_stop_ours", &[CRANE], planted));
    cases
}

impl<'s> Signed<'s> {
    fn new(scene: &'s Scene<'s>) -> Result<Self> {
        let registry = Registry::crane(scene)?;
        let image = registry.push(scene, &Access::default(), "shop/app", "v1")?;
        let chains = Chains::new(scene).at(&registry);
        let keys = chains.generate_keys("ecdsa-p256", "ours")?;
        let run = runs::kaniko("build", &image.name(), &image.digest);
        chains.sign(&keys.private, &run)?.ok()?;
        chains.verify(&keys.public, image.by_digest()).ok()?;
        Ok(Self { scene, registry, image, keys })
    }

    fn chains(&self) -> Chains<'s> {
        Chains::new(self.scene).at(&self.registry)
    }

    fn attached(&self, suffix: &str) -> Result<Attached> {
        self.image.attached(suffix)?.with_context(|| format!("no .{suffix}"))
    }

    /// Changes the only blob of a tag, as JSON.
    fn change_blob(
        &self,
        suffix: &str,
        change: impl FnOnce(&mut Value) -> Result<()>,
    ) -> Result<()> {
        let mut attached = self.attached(suffix)?;
        let mut content: Value = serde_json::from_slice(&attached.blob(0)?)?;
        change(&mut content)?;
        attached.replace_blob(0, &serde_json::to_vec(&content)?)?;
        attached.push()
    }
}

fn refused(scene: &Scene<'_>, tamper: Tamper, word: &str) -> Result<()> {
    let signed = Signed::new(scene)?;
    tamper(&signed)?;
    let verify = signed.chains().verify(&signed.keys.public, signed.image.by_digest());
    verify.refused()?.saying(word)?;
    Ok(())
}

fn signature_payload(signed: &Signed<'_>) -> Result<()> {
    signed.change_blob("sig", |payload| {
        payload["critical"]["identity"]["docker-reference"] = "elsewhere.test/app".into();
        Ok(())
    })
}

fn signature(signed: &Signed<'_>) -> Result<()> {
    let mut attached = signed.attached("sig")?;
    flip(&mut attached.manifest["layers"][0]["annotations"][SIGNATURE])?;
    attached.push()
}

/// All that belongs to the image is put where another image's would be.
fn moved(signed: &Signed<'_>, suffix: &str) -> Result<()> {
    let Signed { scene, registry, image, .. } = signed;
    let other = registry.push(scene, &Access::default(), &image.repository, "other")?;
    let chains = signed.chains();
    let run = runs::kaniko("other", &other.name(), &other.digest);
    chains.sign(&signed.keys.private, &run)?.ok()?;
    let theirs = other.attached(suffix)?.context("nothing to move")?;
    theirs.push_as(&image.repository, &image.cosign_tag(suffix))
}

fn envelope_payload(signed: &Signed<'_>) -> Result<()> {
    signed.change_blob("att", |envelope| {
        let payload = STANDARD.decode(envelope["payload"].as_str().context("no payload")?)?;
        let mut statement: Value = serde_json::from_slice(&payload)?;
        statement["predicate"]["builder"]["id"] = "https://elsewhere.test".into();
        envelope["payload"] = STANDARD.encode(serde_json::to_vec(&statement)?).into();
        Ok(())
    })
}

fn envelope_signature(signed: &Signed<'_>) -> Result<()> {
    signed.change_blob("att", |envelope| flip(&mut envelope["signatures"][0]["sig"]))
}

fn envelope_type(signed: &Signed<'_>) -> Result<()> {
    signed.change_blob("att", |envelope| {
        envelope["payloadType"] = "application/vnd.elsewhere+json".into();
        Ok(())
    })
}

fn garbage(signed: &Signed<'_>) -> Result<()> {
    let mut attached = signed.attached("att")?;
    attached.replace_blob(0, b"\xff\xfe not an envelope")?;
    attached.push()
}

fn another_key(scene: &Scene<'_>) -> Result<()> {
    let signed = Signed::new(scene)?;
    let chains = signed.chains();
    for kind in ["ecdsa-p256", "ecdsa-p384", "ed25519"] {
        let others = chains.generate_keys(kind, &format!("others-{kind}"))?;
        chains
            .verify(&others.public, signed.image.by_digest())
            .refused()?
            .saying("signature: it is not by")?;
    }
    Ok(())
}

fn nothing_is_signed(scene: &Scene<'_>) -> Result<()> {
    let signed = Signed::new(scene)?;
    let bare = signed.registry.push(scene, &Access::default(), "shop/bare", "v1")?;
    let chains = signed.chains();
    chains
        .verify(&signed.keys.public, bare.by_digest())
        .refused()?
        .saying("nothing signed was found")?;
    let missing = format!("{}@sha256:{}", bare.name(), "0".repeat(64));
    chains.verify(&signed.keys.public, missing).refused()?;
    Ok(())
}

/// Someone without a key is there first, with the very payload that we would sign.
fn planted(scene: &Scene<'_>) -> Result<()> {
    let signed = Signed::new(scene)?;
    let mut bogus = signed.attached("sig")?;
    flip(&mut bogus.manifest["layers"][0]["annotations"][SIGNATURE])?;
    bogus.push()?;
    let run = runs::kaniko("build", &signed.image.name(), &signed.image.digest);
    let chains = signed.chains();

    chains.sign(&signed.keys.private, &run)?.ok()?;
    let now = signed.attached("sig")?;
    ensure!(now.layers().len() == 2, "ours beside what was planted: {}", now.manifest);
    chains.verify(&signed.keys.public, signed.image.by_digest()).ok()?;
    Ok(())
}

/// Changes one bit of what is in base64.
fn flip(value: &mut Value) -> Result<()> {
    let mut bytes = STANDARD.decode(value.as_str().context("nothing to change")?)?;
    let last = bytes.last_mut().context("nothing to change")?;
    *last ^= 1;
    *value = STANDARD.encode(bytes).into();
    Ok(())
}
