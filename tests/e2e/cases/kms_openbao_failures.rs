//! What goes wrong with keys in OpenBao: the right outcome, in the right words.

use std::{
    thread,
    time::{Duration, Instant},
};

use chains_e2e::{
    Case, Result, Scene, case,
    cluster::wait,
    ensure,
    kms::{self, OPENBAO, OpenBao, attempt, expect, refused, signed},
    runs,
};
use chains_signer_kms::KmsSigner;
use serde_json::json;

use crate::kms_openbao::with_root;

const WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("kms_openbao_failures::permission_and_tokens", &[OPENBAO], tokens),
        case("kms_openbao_failures::keys_that_do_not_sign", &[OPENBAO], keys),
        case("kms_openbao_failures::throttled", &[OPENBAO], throttled),
        case("kms_openbao_failures::sealed_and_restarted", &[OPENBAO], restarted),
        case("kms_openbao_failures::malformed_references", &[], malformed),
    ]
}

fn is_refused(signer: &KmsSigner, kind: &str, words: &[&str]) -> Result<()> {
    wait(async { refused(signer, kind, words).await })?;
    Ok(())
}

/// A token that may not is told from one that is not known, or that was and has expired.
fn tokens(scene: &Scene<'_>) -> Result<()> {
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    bao.write_policy("chains")?;
    let with = |token: &str| {
        let address = bao.address();
        let variables = [("VAULT_ADDR", address.as_str()), ("VAULT_TOKEN", token)];
        kms::signer(kms::options("hashivault://key", &variables)?)
    };
    let what = "fetching the public key of hashivault://key: it answered 403";
    let powerless = with(&bao.token(&["default"], "1h")?)?;
    let denied = "the token is good, its policies do not allow this";
    is_refused(&powerless, "unauthorized", &[what, "permission denied", denied])?;
    let unknown = "the token is not known, expired or revoked";
    is_refused(&*with("s.nobodyknowsthistoken00000")?, "unauthorized", &[what, unknown])?;

    // It may see the key and not sign.
    let policy = "path \"transit/keys/*\" { capabilities = [\"read\"] }";
    bao.root("PUT", "sys/policies/acl/reader", &json!({ "policy": policy }))?;
    let reader = with(&bao.token(&["default", "reader"], "1h")?)?;
    is_refused(&reader, "unauthorized", &["signing with hashivault://key", denied])?;

    let short = bao.token(&["chains"], "2s")?;
    let signer = with(&short)?;
    wait(signed(&signer, b"message"))?;
    let deadline = Instant::now() + WITHIN;
    while bao.call("GET", "auth/token/lookup-self", &short, &json!(null))?.0 == 200 {
        ensure!(Instant::now() < deadline, "the token does not expire");
        thread::sleep(Duration::from_millis(50));
    }
    is_refused(&signer, "unauthorized", &["signing with hashivault://key", "403", unknown])
}

/// A key that is not there, that cannot sign, that was deleted, that was made anew under its name.
fn keys(scene: &Scene<'_>) -> Result<()> {
    let bao = OpenBao::start(scene)?;
    let signer = |name: &str| kms::signer(with_root(&bao, name)?);
    let missing = ["fetching the public key of hashivault://missing", "404"];
    is_refused(&*signer("missing")?, "not_found", &missing)?;
    bao.create_key("cipher", "aes256-gcm96")?;
    let words = ["a key of type \"aes256-gcm96\" makes no signatures that are supported"];
    is_refused(&*signer("cipher")?, "key", &words)?;
    bao.root("POST", "transit/keys/derived", &json!({ "type": "ed25519", "derived": true }))?;
    is_refused(&*signer("derived")?, "key", &["the key is derived"])?;

    bao.create_key("key", "ecdsa-p256")?;
    let signer = signer("key")?;
    let first = wait(signed(&signer, b"message"))?;
    bao.root("DELETE", "transit/keys/key/soft-delete", &json!(null))?;
    let words = ["signing with hashivault://key: it answered 500", "soft-deleted key"];
    is_refused(&signer, "key", &words)?;
    bao.root("POST", "transit/keys/key/soft-delete-restore", &json!({}))?;
    wait(signed(&signer, b"message"))?;

    bao.root("POST", "transit/keys/key/config", &json!({ "deletion_allowed": true }))?;
    bao.root("DELETE", "transit/keys/key", &json!(null))?;
    let words = ["signing with hashivault://key: it answered 400", "signing key not found"];
    is_refused(&signer, "not_found", &words)?;
    bao.create_key("key", "ecdsa-p256")?;
    // Who makes bad signatures is not asked again and again for another key: it takes a second.
    let deadline = Instant::now() + WITHIN;
    let second = loop {
        match wait(attempt(&signer))? {
            Ok(signature) => break signature,
            Err(error) => expect(&error, "verification", &["hashivault://key (version 1)"])?,
        }
        ensure!(Instant::now() < deadline, "the new key is not noticed");
        thread::sleep(Duration::from_millis(50));
    };
    ensure!(first.material.key_id() != second.material.key_id(), "it is the same key");
    Ok(())
}

/// Who asks too often is told so, in a way that is tried again.
fn throttled(scene: &Scene<'_>) -> Result<()> {
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    let signer = kms::signer(with_root(&bao, "key")?)?;
    wait(signed(&signer, b"message"))?;
    let quota = json!({ "path": "transit/", "rate": 1, "interval": "1h" });
    bao.root("POST", "sys/quotas/rate-limit/slow", &quota)?;
    let deadline = Instant::now() + WITHIN;
    let error = loop {
        match wait(attempt(&signer))? {
            Err(error) => break error,
            Ok(_) => ensure!(Instant::now() < deadline, "it is not throttled"),
        }
    };
    let words = ["signing with hashivault://key: it answered 429", "rate limit quota exceeded"];
    expect(&error, "throttled", &words)?;
    ensure!(error.is_retryable(), "it is not tried again");
    bao.root("DELETE", "sys/quotas/rate-limit/slow", &json!(null))?;
    wait(signed(&signer, b"message"))?;
    Ok(())
}

/// The same signer signs again when the server is back, as if nothing had been.
fn restarted(scene: &Scene<'_>) -> Result<()> {
    let mut bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    let signer = kms::signer(with_root(&bao, "key")?)?;
    let before = wait(signed(&signer, b"message"))?;
    bao.root("PUT", "sys/seal", &json!({}))?;
    is_refused(
        &signer,
        "unavailable",
        &["signing with hashivault://key: it answered 503", "sealed"],
    )?;
    bao.unseal()?;
    wait(signed(&signer, b"message"))?;

    bao.stop();
    is_refused(&signer, "unavailable", &["signing with hashivault://key: 127.0.0.1: "])?;
    is_refused(&signer, "unavailable", &["Connection refused"])?;
    bao.start_again()?;
    is_refused(&signer, "unavailable", &["503", "sealed"])?;
    bao.unseal()?;
    let after = wait(signed(&signer, b"message"))?;
    ensure!(before.material == after.material, "another key signs");
    Ok(())
}

/// Refused before anything is sent, with the part that is wrong and how it should read.
fn malformed(scene: &Scene<'_>) -> Result<()> {
    let run = runs::kaniko("run", "registry.test/app", "sha256:0");
    let run = scene.write("run.json", run.to_string())?;
    for (reference, words) in [
        ("gcpkms://", "names no key"),
        (
            "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/",
            "nothing is named after cryptoKeys",
        ),
        ("gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/", "cryptoKeyVersions"),
        ("gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/1", "follows the key"),
        ("awskms://alias/key", "is no id of a key"),
        ("awskms:///key", "is no id of a key"),
        ("awskms:///arn:aws:s3:eu-west-1:111122223333:alias/a", "not of kms"),
        ("awskms:///alias/", "no name follows alias/"),
        ("azurekms://vault.azure.net", "no key follows the vault"),
        ("azurekms://v.vault.azure.net/a_b", "allowed are a-z A-Z 0-9 -"),
        ("hashivault://", "names no key"),
        ("hashivault://transit/key", "TRANSIT_SECRET_ENGINE_PATH"),
        ("openbao://-key", "starts or ends with"),
    ] {
        let nowhere = |tool: chains_e2e::Tool| {
            tool.env("VAULT_ADDR", "http://127.0.0.1:1").env("VAULT_TOKEN", "token")
        };
        let public = scene.chains().args(["keys", "public", "--key", reference]);
        nowhere(public).refused()?.saying(words)?;
        let setting = format!("signers.kms.kmsref={reference}");
        let sign = scene.chains().arg("sign").arg(&run).args(["--store", "tekton"]);
        let sign = sign.args(["--config", &setting, "--config", "artifacts.taskrun.signer=kms"]);
        nowhere(sign).refused()?.saying("signers.kms.kmsref")?;
    }
    Ok(())
}
