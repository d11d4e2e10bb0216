//! Keys in the clouds' services, as far as there is something of each to try them against.

use std::path::Path;

use chains_core::SignatureAlgorithm;
use chains_e2e::{
    Case, Result, Scene, Tool, case,
    chains::Chains,
    cluster::wait,
    ensure,
    kms::{
        self, AZURE, AzureVault, CLOUD_KMS, CloudKms, GOOGLE_CLIENT, JwtIssuer, MINISTACK, Made,
        MiniStack, refused, signed,
    },
    runs,
};
use chains_signer_kms::KmsOptions;
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("kms_clouds::aws", &[MINISTACK], aws),
        case("kms_clouds::aws_credentials", &[MINISTACK], aws_credentials),
        case("kms_clouds::azure", &[AZURE], azure),
        case("kms_clouds::google", &[CLOUD_KMS, GOOGLE_CLIENT], google),
    ]
}

/// The commands take the reference: the public key is exported, a run is signed, and both the reference and the
/// exported key verify it.
fn commands(scene: &Scene<'_>, reference: &str, with: impl Fn(Tool) -> Tool) -> Result<()> {
    let public = with(scene.chains()).args(["keys", "public", "--key", reference]).ok()?;
    let public = scene.write(&scene.fresh("key.pub"), public.stdout)?;
    let (key, out) = (Path::new(reference), scene.path(&scene.fresh("out")));
    let run = runs::kaniko("run", "registry.test/app", &format!("sha256:{}", "1".repeat(64)));
    let chains = Chains::new(scene);
    with(chains.sign_to("local", key, &run)?).arg("--out-dir").arg(&out).ok()?;
    chains.verify(&public, &out).ok()?;
    with(chains.verify(key, &out)).ok()?;
    Ok(())
}

fn of_aws(aws: &MiniStack, id: &str) -> Result<KmsOptions> {
    let address = aws.address();
    kms::options(
        &format!("awskms:///{id}"),
        &[
            ("AWS_ENDPOINT_URL", address.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", MiniStack::REGION),
        ],
    )
}

fn aws(scene: &Scene<'_>) -> Result<()> {
    use SignatureAlgorithm as A;
    let aws = MiniStack::start(scene)?;
    let mut arns = Vec::new();
    for (spec, algorithm) in [
        ("ECC_NIST_P256", A::EcdsaP256Sha256),
        ("ECC_NIST_P384", A::EcdsaP384Sha384),
        ("ECC_NIST_P521", A::EcdsaP521Sha512),
        ("RSA_2048", A::RsaPkcs1Sha256),
        ("RSA_4096", A::RsaPkcs1Sha256),
    ] {
        let arn = aws.create_key(spec)?;
        let by_arn = wait(signed(&*kms::signer(of_aws(&aws, &arn)?)?, b"message"))?;
        ensure!(by_arn.algorithm == algorithm, "{spec} signs by {:?}", by_arn.algorithm);
        let id = arn.rsplit('/').next().unwrap_or_default();
        let by_id = wait(signed(&*kms::signer(of_aws(&aws, id)?)?, b"message"))?;
        ensure!(by_arn.material == by_id.material, "{spec}: another key");
        arns.push(arn);
    }

    // An alias that is pointed elsewhere, to a key that is then disabled, to one that is to be deleted.
    aws.point("alias/signing", &arns[0], true)?;
    let signer = kms::signer(of_aws(&aws, "alias/signing")?)?;
    let first = wait(signed(&signer, b"message"))?;
    let other = aws.create_key("ECC_NIST_P256")?;
    aws.point("alias/signing", &other, false)?;
    let second = wait(signed(&signer, b"message"))?;
    ensure!(first.material.key_id() != second.material.key_id(), "the alias is not followed");
    aws.call("DisableKey", &json!({ "KeyId": other }))?;
    let what = "signing with awskms:///alias/signing: it answered 400";
    wait(async { refused(&signer, "key", &[what, "DisabledException"]).await })?;
    aws.call("ScheduleKeyDeletion", &json!({ "KeyId": other, "PendingWindowInDays": 7 }))?;
    wait(async { refused(&signer, "key", &[what, "KMSInvalidStateException"]).await })?;
    aws.point("alias/signing", &arns[0], false)?;
    wait(signed(&signer, b"message"))?;

    let none = kms::signer(of_aws(&aws, "alias/none")?)?;
    let words = ["fetching the public key of awskms:///alias/none", "NotFoundException"];
    wait(async { refused(&none, "not_found", &words).await })?;
    let cipher = aws.call("CreateKey", &json!({}))?;
    let cipher = cipher["KeyMetadata"]["KeyId"].as_str().unwrap_or_default().to_owned();
    let cipher = kms::signer(of_aws(&aws, &cipher)?)?;
    let words = ["fetching the public key of awskms:///"];
    let error = wait(async { refused(&cipher, "key", &words).await })?;
    ensure!(!error.is_retryable(), "{}", error.report());
    Ok(())
}

/// As AWS's own library finds them: variables, a profile, a program, a web identity.
fn aws_credentials(scene: &Scene<'_>) -> Result<()> {
    let aws = MiniStack::start(scene)?;
    aws.point("alias/signing", &aws.create_key("ECC_NIST_P256")?, true)?;
    let there = |tool: Tool| {
        tool.env("AWS_ENDPOINT_URL", aws.address()).env("AWS_REGION", MiniStack::REGION)
    };
    let reference = "awskms:///alias/signing";
    commands(scene, reference, |tool| {
        there(tool).env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test")
    })?;

    let program = scene.write(
        "credentials.sh",
        "#!/bin/sh\necho '{\"Version\": 1, \"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\"}'\n",
    )?;
    let config = format!(
        "[profile keys]\naws_access_key_id = test\naws_secret_access_key = test\n\
         region = {region}\nendpoint_url = {address}\n\
         [profile program]\ncredential_process = /bin/sh {program}\nregion = {region}\n",
        region = MiniStack::REGION,
        address = aws.address(),
        program = program.display(),
    );
    let config = scene.write("aws-config", config)?;
    let public = |tool: Tool| tool.args(["keys", "public", "--key", reference]);
    let of_keys = scene.chains().env("AWS_CONFIG_FILE", &config).env("AWS_PROFILE", "keys");
    public(of_keys).ok()?.saying("BEGIN PUBLIC KEY")?;
    let of_program = there(scene.chains()).env("AWS_CONFIG_FILE", &config);
    public(of_program.env("AWS_PROFILE", "program")).ok()?.saying("BEGIN PUBLIC KEY")?;

    let file =
        scene.write("web-identity", JwtIssuer::new()?.jwt("chains", "sts.amazonaws.com")?)?;
    let role = "arn:aws:iam::000000000000:role/chains";
    let irsa = there(scene.chains()).env("AWS_ROLE_ARN", role);
    public(irsa.env("AWS_WEB_IDENTITY_TOKEN_FILE", &file)).ok()?.saying("BEGIN PUBLIC KEY")?;

    let nobody = public(there(scene.chains())).refused()?;
    nobody.saying("looking for credentials of AWS")?;
    let nowhere = scene.chains().env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b");
    public(nowhere).refused()?.saying("set AWS_REGION")?;
    Ok(())
}

fn azure(scene: &Scene<'_>) -> Result<()> {
    use SignatureAlgorithm as A;
    let azure = AzureVault::start(scene)?;
    let variables = azure.variables();
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let signer = |rest: &str| {
        let mut options = kms::options(&azure.reference(rest), &variables)?;
        options.ca_files = vec![azure.certificate().to_owned()];
        kms::signer(options)
    };
    for (name, kind, algorithm) in [
        ("p256", json!({ "kty": "EC", "crv": "P-256" }), A::EcdsaP256Sha256),
        ("p384", json!({ "kty": "EC", "crv": "P-384" }), A::EcdsaP384Sha384),
        ("p521", json!({ "kty": "EC", "crv": "P-521" }), A::EcdsaP521Sha512),
        ("rsa2048", json!({ "kty": "RSA", "key_size": 2048 }), A::RsaPkcs1Sha256),
        ("rsa3072", json!({ "kty": "RSA", "key_size": 3072 }), A::RsaPkcs1Sha384),
        ("rsa4096", json!({ "kty": "RSA", "key_size": 4096 }), A::RsaPkcs1Sha512),
    ] {
        azure.create(name, &kind)?;
        let signature = wait(signed(&*signer(name)?, b"message"))?;
        ensure!(signature.algorithm == algorithm, "{name} signs by {:?}", signature.algorithm);
    }

    let p256 = json!({ "kty": "EC", "crv": "P-256" });
    let first = azure.create("signing", &p256)?;
    let (newest, pinned) = (signer("signing")?, signer(&format!("signing/{first}"))?);
    let old = wait(signed(&newest, b"message"))?;
    ensure!(wait(signed(&pinned, b"message"))?.material == old.material, "another key");
    let logins = azure.logins().len();
    let second = azure.create("signing", &p256)?;
    azure.disable("signing", &first)?;
    let new = until_another(&newest, &old)?;
    ensure!(azure.logins().len() == logins, "a login for each signature");
    let second = signer(&format!("signing/{second}"))?;
    ensure!(wait(signed(&second, b"message"))?.material == new.material, "another key");
    let words = ["signing with azurekms://", "403", "Forbidden/KeyDisabled"];
    wait(async { refused(&pinned, "key", &words).await })?;
    let words = ["fetching the public key of azurekms://", "404", "KeyNotFound"];
    wait(async { refused(&*signer("none")?, "not_found", &words).await })?;

    commands(scene, &azure.reference("signing"), |tool| {
        let tool = tool.env("SSL_CERT_FILE", azure.certificate());
        variables.iter().fold(tool, |tool, (name, value)| tool.env(name, value))
    })
}

/// Waits until another key signs than the one of this signature: a disabled one is left within a second or so.
fn until_another(
    signer: &chains_signer_kms::KmsSigner,
    old: &chains_core::Signature,
) -> Result<chains_core::Signature> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        match wait(kms::attempt(signer))? {
            Ok(new) if new.material.key_id() != old.material.key_id() => return Ok(new),
            Ok(_) => {}
            Err(error) => kms::expect(&error, "key", &["KeyDisabled"])?,
        }
        ensure!(std::time::Instant::now() < deadline, "the old key is not left");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Google's own client works with the stand-in; then ours meets the same keys.
fn google(scene: &Scene<'_>) -> Result<()> {
    use SignatureAlgorithm as A;
    let google = CloudKms::start(scene)?;
    let made = google.try_with_googles_client(scene)?;
    let account = kms::service_account(scene)?;
    let address = google.address();
    let variables = [
        ("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", address.as_str()),
        ("GOOGLE_APPLICATION_CREDENTIALS", account.to_str().unwrap_or_default()),
    ];
    let signer = |name: &str| kms::signer(kms::options(&format!("gcpkms://{name}"), &variables)?);
    ensure!(made.len() == 6, "{made:?}");
    for Made { algorithm, name, pem } in &made {
        let expect = match algorithm.as_str() {
            "EC_SIGN_P256_SHA256" => A::EcdsaP256Sha256,
            "EC_SIGN_P384_SHA384" => A::EcdsaP384Sha384,
            "RSA_SIGN_PKCS1_2048_SHA256" | "RSA_SIGN_PKCS1_3072_SHA256" => A::RsaPkcs1Sha256,
            "RSA_SIGN_PSS_2048_SHA256" => A::RsaPssSha256,
            _ => A::RsaPssSha512,
        };
        let signature = wait(signed(&*signer(name)?, b"message"))?;
        ensure!(signature.algorithm == expect, "{algorithm}: {:?}", signature.algorithm);
        let ours = signature.material.public_key.to_pem()?;
        ensure!(ours.trim() == pem.trim(), "{algorithm}: it is not the newest version's key");
        let pinned = signer(&format!("{name}/cryptoKeyVersions/2"))?;
        ensure!(wait(signed(&pinned, b"message"))?.material == signature.material, "{algorithm}");
        let disabled = signer(&format!("{name}/versions/1"))?;
        let words = ["fetching the public key of gcpkms://", "FAILED_PRECONDITION", "DISABLED"];
        wait(async { refused(&disabled, "key", &words).await })?;
    }
    let none = signer("projects/p/locations/global/keyRings/r/cryptoKeys/none")?;
    let words = ["fetching the public key of gcpkms://", "404", "NOT_FOUND"];
    wait(async { refused(&none, "not_found", &words).await })?;

    let name: Value = made.iter().map(|one| one.name.clone()).next().into();
    let reference = format!("gcpkms://{}", name.as_str().unwrap_or_default());
    commands(scene, &reference, |tool| {
        variables.iter().fold(tool, |tool, (name, value)| tool.env(name, value))
    })
}
