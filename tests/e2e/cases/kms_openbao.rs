//! Keys in OpenBao's transit engine: every kind of key, every way to get a token, rotation in the middle.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chains_core::{Secret, Signature, SignatureAlgorithm, Signer as _};
use chains_e2e::{
    Case, Context as _, Result, Scene, case,
    chains::Chains,
    cluster::{SIXTEEN, at_once, wait},
    ensure,
    kms::{self, JwtIssuer, OPENBAO, OpenBao, Proxy, busiest_second, refused, signed},
    registry, runs,
    sigstore::{Cosign, Version},
};
use chains_signer_kms::{KmsOptions, KmsSigner, RsaPadding};
use serde_json::{Value, json};

/// How long a condition may take.
const WITHIN: Duration = Duration::from_secs(60);

const KINDS: [(&str, RsaPadding, SignatureAlgorithm); 8] = {
    use SignatureAlgorithm as A;
    [
        ("ecdsa-p256", RsaPadding::Pkcs1, A::EcdsaP256Sha256),
        ("ecdsa-p384", RsaPadding::Pkcs1, A::EcdsaP384Sha256),
        ("ecdsa-p521", RsaPadding::Pkcs1, A::EcdsaP521Sha256),
        ("rsa-2048", RsaPadding::Pkcs1, A::RsaPkcs1Sha256),
        ("rsa-3072", RsaPadding::Pss, A::RsaPssSha256),
        ("rsa-4096", RsaPadding::Pkcs1, A::RsaPkcs1Sha256),
        ("rsa-4096", RsaPadding::Pss, A::RsaPssSha256),
        ("ed25519", RsaPadding::Pkcs1, A::Ed25519),
    ]
};

pub(crate) fn cases() -> Vec<Case> {
    let with_cosign = [OPENBAO, Version::V2.peer(), Version::V3.peer()];
    vec![
        case("kms_openbao::every_kind_of_key", &[OPENBAO], kinds),
        case("kms_openbao::commands_and_cosign", &with_cosign, commands),
        case("kms_openbao::token_file_rotated", &[OPENBAO], token_file),
        case("kms_openbao::jwt_login", &[OPENBAO], jwt_login),
        case("kms_openbao::namespaces_and_mounts", &[OPENBAO], namespaces),
        case("kms_openbao::rotated_in_the_middle", &[OPENBAO], rotated),
        case("kms_openbao::slow_service", &[OPENBAO], slow),
    ]
}

/// Options for a key of that name, with the token that may do everything.
pub(crate) fn with_root(bao: &OpenBao<'_>, name: &str) -> Result<KmsOptions> {
    let (address, token) = (bao.address(), bao.root_token().to_owned());
    let variables = [("VAULT_ADDR", address.as_str()), ("VAULT_TOKEN", token.as_str())];
    kms::options(&format!("hashivault://{name}"), &variables)
}

/// Each kind signs as its algorithm says, and the server itself verifies what it has signed.
fn kinds(scene: &Scene<'_>) -> Result<()> {
    let bao = OpenBao::start(scene)?;
    for (number, (kind, padding, algorithm)) in KINDS.into_iter().enumerate() {
        let name = format!("key-{number}");
        bao.create_key(&name, kind)?;
        let mut options = with_root(&bao, &name)?;
        options.vault.rsa = padding;
        let signature = wait(signed(&*kms::signer(options)?, b"message"))?;
        ensure!(signature.algorithm == algorithm, "{kind} signs by {:?}", signature.algorithm);
        ensure!(verified(&bao, &name, b"message", &signature)?, "{kind} is not verified");
        ensure!(!verified(&bao, &name, b"another", &signature)?, "{kind}: anything is");
    }
    Ok(())
}

/// Whether the server holds the signature for one by the first version of the key over the message.
fn verified(bao: &OpenBao<'_>, name: &str, message: &[u8], made: &Signature) -> Result<bool> {
    let padding = match made.algorithm {
        SignatureAlgorithm::RsaPssSha256 => "pss",
        _ => "pkcs1v15",
    };
    let hash = if made.algorithm == SignatureAlgorithm::Ed25519 { "" } else { "/sha2-256" };
    let body = json!({
        "input": STANDARD.encode(message),
        "signature": format!("vault:v1:{}", STANDARD.encode(&made.bytes)),
        "signature_algorithm": padding,
    });
    let answer = bao.root("POST", &format!("transit/verify/{name}{hash}"), &body)?;
    answer["data"]["valid"].as_bool().context("it does not say")
}

/// `chains keys public`, `sign` and `verify` take a reference as they take a file, and cosign verifies with the
/// public key that was exported.
fn commands(scene: &Scene<'_>) -> Result<()> {
    let bao = OpenBao::start(scene)?;
    bao.write_policy("chains")?;
    let token = bao.token(&["chains"], "1h")?;
    let manifest = scene.write("manifest.json", "{\"a\": \"manifest\"}")?;
    let digest = registry::digest(&std::fs::read(&manifest)?);
    let with =
        |tool: chains_e2e::Tool| tool.env("VAULT_ADDR", bao.address()).env("VAULT_TOKEN", &token);
    for kind in ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "rsa-4096", "ed25519"] {
        bao.create_key(kind, kind)?;
        let reference = format!("hashivault://{kind}");
        let (key, out) = (Path::new(&reference), scene.path(&format!("out-{kind}")));
        let public = with(scene.chains()).args(["keys", "public", "--key", &reference]).ok()?;
        let public = scene.write(&format!("{kind}.pub"), public.stdout)?;
        let chains = Chains::new(scene);
        let run = runs::kaniko(kind, "registry.test/app", &digest);
        with(chains.sign_to("local", key, &run)?).arg("--out-dir").arg(&out).ok()?;
        chains.verify(&public, &out).ok()?;
        with(chains.verify(key, &out)).ok()?;
        let verified = cosign_verifies(scene, kind, &public, &out, &manifest)?;
        ensure!(verified > 0, "{kind}: there is no attestation");
    }
    let reference = Path::new("hashivault://ecdsa-p256");
    let other = with(Chains::new(scene).verify(reference, scene.path("out-ed25519")));
    other.refused()?;
    Ok(())
}

/// How many attestations in the folder cosign verified.
fn cosign_verifies(
    scene: &Scene<'_>,
    kind: &str,
    public: &Path,
    out: &Path,
    manifest: &Path,
) -> Result<usize> {
    let mut count = 0;
    for bundle in bundles(out)? {
        let content: Value = serde_json::from_slice(&std::fs::read(&bundle)?)?;
        if !content["dsseEnvelope"].is_object() {
            continue;
        }
        for version in Version::BOTH {
            let cosign = Cosign::new(scene, version);
            let tool = cosign.verify_bundle(public, "slsaprovenance", &bundle)?;
            tool.arg(manifest).ok().with_context(|| format!("{kind} by cosign {version}"))?;
            count += 1;
        }
    }
    Ok(count)
}

/// Sigstore bundles in a folder and those in it.
fn bundles(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(bundles(&path)?);
        } else if path.to_string_lossy().ends_with("sigstore.json") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The file wins over a token that is given; whoever replaces what is in it, and revokes the old one, loses nothing.
fn token_file(scene: &Scene<'_>) -> Result<()> {
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    bao.write_policy("chains")?;
    let first = bao.token(&["chains"], "1h")?;
    let file = scene.write("token", format!("{first}\n"))?;
    let mut options = kms::options("hashivault://key", &[("VAULT_TOKEN", "not this")])?;
    options.vault.address = Some(bao.address());
    options.vault.token = Some(Secret::new("nor this"));
    options.vault.token_path = Some(file.clone());
    let signer = kms::signer(options)?;
    wait(signed(&signer, b"message"))?;
    for _ in 0..3 {
        let old = std::fs::read_to_string(&file)?;
        std::fs::write(&file, bao.token(&["chains"], "1h")?)?;
        bao.revoke(old.trim())?;
        wait(signed(&signer, b"message"))?;
    }
    bao.revoke(&std::fs::read_to_string(&file)?)?;
    let words = ["signing with hashivault://key", "403", "not known, expired or revoked"];
    wait(async { refused(&signer, "unauthorized", &words).await })?;
    Ok(())
}

/// A signer that logs in with the JWT in `file`.
pub(crate) fn with_login(bao: &OpenBao<'_>, file: &Path) -> Result<Arc<KmsSigner>> {
    let address = bao.address();
    let mut options = kms::options("hashivault://key", &[("VAULT_ADDR", &address)])?;
    options.vault.oidc_path = Some("jwt".to_owned());
    options.vault.oidc_role = Some("chains".to_owned());
    options.vault.oidc_token_path = Some(file.to_owned());
    kms::signer(options)
}

/// One login serves many; when its token is at its end, another follows, and nobody notices.
fn jwt_login(scene: &Scene<'_>) -> Result<()> {
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    let issuer = JwtIssuer::new()?;
    bao.trust(&issuer, "6s")?;
    let file = scene.write("jwt", issuer.jwt("chains", "elsewhere")?)?;
    let signer = with_login(&bao, &file)?;
    let words = ["logging in at Vault as \"chains\" (auth/jwt/login)", "400", "audience"];
    wait(async { refused(&signer, "unauthorized", &words).await })?;

    std::fs::write(&file, issuer.jwt("chains", "vault")?)?;
    let before = bao.audit("auth/jwt/login")?.len();
    let logins = || -> Result<usize> { Ok(bao.audit("auth/jwt/login")?.len() - before) };
    let messages = (0..50_u32).map(u32::to_be_bytes);
    let signer = &signer;
    at_once(SIXTEEN, messages, |message| async move { signed(signer, &message).await })?;
    ensure!(logins()? == 1, "{} logins for fifty signatures", logins()?);

    let deadline = Instant::now() + WITHIN;
    while logins()? < 3 {
        wait(signed(signer, b"message"))?;
        ensure!(Instant::now() < deadline, "its token lives for ever");
        thread::sleep(Duration::from_millis(50));
    }
    let refused = bao.audit("transit/")?.into_iter().filter(|one| !one.error.is_empty());
    ensure!(refused.count() == 0, "a token was used after its end");
    Ok(())
}

/// A namespace of its own, and another mount than the usual one.
fn namespaces(scene: &Scene<'_>) -> Result<()> {
    let bao = OpenBao::start(scene)?;
    bao.root("POST", "sys/namespaces/team", &json!({}))?;
    bao.root("POST", "team/sys/mounts/keys/eu", &json!({ "type": "transit" }))?;
    bao.root("POST", "team/keys/eu/keys/key", &json!({ "type": "ecdsa-p256" }))?;
    let (address, token) = (bao.address(), bao.root_token().to_owned());
    let mut variables = vec![
        ("BAO_ADDR", address.as_str()),
        ("BAO_TOKEN", token.as_str()),
        ("TRANSIT_SECRET_ENGINE_PATH", "keys/eu"),
    ];
    let elsewhere = kms::signer(kms::options("openbao://key", &variables)?)?;
    let words = ["fetching the public key of openbao://key", "404"];
    wait(async { refused(&elsewhere, "not_found", &words).await })?;
    variables.push(("BAO_NAMESPACE", "team"));
    let signer = kms::signer(kms::options("openbao://key", &variables)?)?;
    wait(signed(&signer, b"message"))?;
    Ok(())
}

/// Every signature is one by the key that comes with it, whoever rotates meanwhile, and the newest version signs at
/// the end.
fn rotated(scene: &Scene<'_>) -> Result<()> {
    const ROTATIONS: usize = 3;
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    let signer = &kms::signer(with_root(&bao, "key")?)?;
    let bao = &bao;
    let ids = at_once(SIXTEEN, 0..200_usize, |number| async move {
        if number % 50 == 49 && number / 50 < ROTATIONS {
            bao.rotate("key")?;
        }
        let signature = signed(signer, &number.to_be_bytes()).await?;
        Ok(signature.material.key_id().to_owned())
    })?;
    let ids: BTreeSet<_> = ids.into_iter().collect();
    ensure!(ids.len() == ROTATIONS + 1, "{} versions signed", ids.len());
    let fetches = bao.audit("transit/keys/key")?;
    let fetches = fetches.iter().filter(|one| one.operation == "read").count();
    ensure!(fetches <= ids.len(), "{fetches} fetches of {} public keys", ids.len());

    let key = bao.root("GET", "transit/keys/key", &Value::Null)?;
    let newest = &key["data"]["keys"][(ROTATIONS + 1).to_string()]["public_key"];
    let material = wait(async { signer.material().await })?;
    let pem = material.public_key.to_pem()?;
    ensure!(newest.as_str().map(str::trim) == Some(pem.trim()), "{newest} and {pem}");
    Ok(())
}

/// Whoever signs much has a hundred signatures under way at a service that takes 200 ms for each, and no more.
fn slow(scene: &Scene<'_>) -> Result<()> {
    const COUNT: usize = 1500;
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    let proxy = Proxy::start(bao.host(), Duration::from_millis(200))?;
    let mut options = with_root(&bao, "key")?;
    options.vault.address = Some(format!("http://{}", proxy.host()));
    let signer = &kms::signer(options)?;
    let started = Instant::now();
    let sign = |number: usize| async move { signed(signer, &number.to_be_bytes()).await };
    at_once(COUNT, 0..COUNT, sign)?;
    let (took, most) = (started.elapsed(), proxy.most_under_way());
    scene.note(format!(
        "{COUNT} signatures in {took:.1?}: {:.0} a second, {} in the busiest; {most} at once, {} connections",
        COUNT as f64 / took.as_secs_f64(),
        busiest_second(&bao.audit("transit/sign/key")?),
        proxy.connections(),
    ));
    // The lookup of the token is none of them; and who waits for a connection takes the first that is there, a new
    // one or one that another is done with.
    ensure!((90..=101).contains(&most), "{most} at once");
    ensure!(proxy.connections() <= 150, "{} connections", proxy.connections());
    Ok(())
}
