//! Bundles with something wrong in them, kept with an image by somebody who can write to its repository: nobody is to
//! believe them, and Chains says why not.

use chains_e2e::{
    Case, Context as _, Result, Scene, bail, case,
    chains::Chains,
    registry::{Access, CRANE, Image, REFERRERS, Registry},
    runs,
    sigstore::{
        Cosign, Keyless, Log, Parts, Sigstore, Version,
        bundles::{self, VERIFY},
        settings,
    },
};
use serde_json::{Value, json};

const KIND: &str = "https://slsa.dev/provenance/v0.2";

/// What is done to a bundle, with another good one at hand.
type Damage = fn(&mut Value, &Value);

/// The damage, and what Chains says of it.
const EVERYWHERE: [(&str, Damage); 6] = [
    ("inclusion proof", |bundle, _| {
        entry(bundle)["inclusionProof"]["hashes"][0] = json!(format!("{}=", "A".repeat(43)));
    }),
    ("entry body", |bundle, other| {
        bundle["verificationMaterial"]["tlogEntries"] =
            other["verificationMaterial"]["tlogEntries"].clone();
    }),
    ("checkpoint", |bundle, _| {
        let envelope = &mut entry(bundle)["inclusionProof"]["checkpoint"]["envelope"];
        let text = envelope.as_str().unwrap_or_default();
        // One entry more than the log has signed for.
        let lines: Vec<String> = text
            .split('\n')
            .enumerate()
            .map(|(n, line)| if n == 1 { format!("{line}0") } else { line.to_owned() })
            .collect();
        *envelope = json!(lines.join("\n"));
    }),
    ("log entry", |bundle, _| bundle["verificationMaterial"]["tlogEntries"] = json!([])),
    ("signature", |bundle, other| {
        bundle["verificationMaterial"]["certificate"] =
            other["verificationMaterial"]["certificate"].clone();
    }),
    ("signature", |bundle, other| {
        bundle["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"].clone();
    }),
];

/// Version 1 promises, and tells when.
const V1: [(&str, Damage); 1] = [("signed entry timestamp", |bundle, other| {
    let mut other = other.clone();
    entry(bundle)["inclusionPromise"] = entry(&mut other)["inclusionPromise"].clone();
})];

/// With version 2, others tell the time.
const V2: [(&str, Damage); 2] = [
    ("timestamp", |bundle, other| {
        bundle["verificationMaterial"]["timestampVerificationData"] =
            other["verificationMaterial"]["timestampVerificationData"].clone();
    }),
    ("time", |bundle, _| {
        bundle["verificationMaterial"]["timestampVerificationData"] = json!({});
    }),
];

pub(crate) fn cases() -> Vec<Case> {
    let logs = [("rekor_1", Parts::V1), ("rekor_2", Parts::V2)];
    let of = |(log, parts): (&str, Parts)| {
        let needs = [&parts.needs()[..], &[CRANE, REFERRERS, VERIFY, Version::V3.peer()]].concat();
        case(format!("bundles::damaged_ones_with_{log}"), &needs, move |scene| {
            damaged(scene, parts)
        })
    };
    logs.into_iter().map(of).collect()
}

fn entry(bundle: &mut Value) -> &mut Value {
    &mut bundle["verificationMaterial"]["tlogEntries"][0]
}

fn damaged(scene: &Scene<'_>, parts: Parts) -> Result<()> {
    let sigstore = Sigstore::start(scene, parts)?;
    let registry = Registry::referrers(scene)?;
    let (who, token) = sigstore.somebody("alice")?;
    let settings = sigstore.keyless_settings(&who.issuer, &token)?;
    let settings = settings::with(settings, "storage.oci.encoding-format", "sigstore-bundle");
    let chains = Chains::new(scene).at(&registry);
    let signed = |repository: &str| -> Result<(Image, Value)> {
        let image = registry.push(scene, &Access::default(), repository, "v1")?;
        let run = runs::kaniko(repository, &image.name(), &image.digest);
        chains.sign_by("oci", &settings, &run)?.ok()?;
        let bundle = provenance(&image)?;
        Ok((image, bundle))
    };
    // Another command is another certificate, too.
    let (_, other) = signed("other")?;
    let (image, good) = signed("app")?;
    let root = sigstore.trusted_root_file()?;
    let cosign = Cosign::new(scene, Version::V3);
    let cosign = Keyless::new(&cosign, &sigstore)?;
    let attested =
        |image: &Image| cosign.verify_attestation(&who, "slsaprovenance", &image.by_digest());
    let verify = |image: &Image| chains.verify_identity(&who, &root, image.by_digest());

    let copy = image.copy(scene, "good")?;
    bundles::attach(&copy, &good)?;
    verify(&copy).ok()?;
    attested(&copy)?.ok()?;
    let more = if parts.log == Log::V1 { &V1[..] } else { &V2[..] };
    for (number, (words, damage)) in EVERYWHERE.iter().chain(more).enumerate() {
        let what = format!("damage {number}, {words}");
        let mut bundle = good.clone();
        damage(&mut bundle, &other);
        let copy = image.copy(scene, &format!("damaged-{number}"))?;
        bundles::attach(&copy, &bundle)?;
        bundles::verify(scene, &bundle, &root, &who)?.refused().context(what.clone())?;
        attested(&copy)?.refused().context(what.clone())?;
        verify(&copy).refused()?.saying(words).context(what)?;
    }
    Ok(())
}

/// The bundle of an image that has its provenance.
fn provenance(image: &Image) -> Result<Value> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    for bundle in bundles::of(image)? {
        let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap_or_default();
        let statement: Value = serde_json::from_slice(&STANDARD.decode(payload)?)?;
        if statement["predicateType"] == KIND {
            return Ok(bundle);
        }
    }
    bail!("no provenance is kept with the image")
}
