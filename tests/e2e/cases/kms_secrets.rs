//! No token, password or JWT in what the commands print and log, at the most talkative that they can be, whether it
//! works or not.

use std::path::Path;

use chains_e2e::{
    Case, Ran, Result, Scene, Tool, case,
    chains::Chains,
    ensure,
    kms::{AZURE, AzureVault, JwtIssuer, MINISTACK, MiniStack, OPENBAO, OpenBao},
    runs,
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("kms_secrets::openbao", &[OPENBAO], openbao),
        case("kms_secrets::clouds", &[AZURE, MINISTACK], clouds),
    ]
}

/// Signs at the most talkative.
fn sign(scene: &Scene<'_>, reference: &str, with: impl Fn(Tool) -> Tool) -> Result<Ran> {
    let run = runs::kaniko("run", "registry.test/app", &format!("sha256:{}", "1".repeat(64)));
    let tool = Chains::new(scene).sign_to("local", Path::new(reference), &run)?;
    let tool = tool.arg("--out-dir").arg(scene.path(&scene.fresh("out")));
    with(tool.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1")).run()
}

/// Nothing of this is printed or logged, and there is something to look at.
pub(crate) fn hides(ran: &Ran, secrets: &[&str]) -> Result<()> {
    ensure!(ran.stderr.lines().count() > 10, "{ran} logs nothing");
    for text in [&ran.stdout, &ran.stderr] {
        for secret in secrets {
            let shown = text.lines().find(|line| line.contains(secret));
            ensure!(shown.is_none(), "a secret shows: {shown:?}");
        }
        ensure!(!holds_service_token(text), "a token of the server shows");
        ensure!(!holds_jwt(text), "a JWT shows");
    }
    Ok(())
}

/// Tokens that OpenBao gives: `s.` and 24 letters and digits or more.
pub(crate) fn holds_service_token(text: &str) -> bool {
    text.match_indices("s.").any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let length = text[at + 2..].chars().take_while(char::is_ascii_alphanumeric).count();
        length >= 24 && before.is_none_or(|c| !c.is_ascii_alphanumeric())
    })
}

/// A header and claims in base64, with a dot between them.
pub(crate) fn holds_jwt(text: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .any(|word| word.starts_with("eyJ") && word.contains(".eyJ"))
}

fn openbao(scene: &Scene<'_>) -> Result<()> {
    let bao = OpenBao::start(scene)?;
    bao.create_key("key", "ecdsa-p256")?;
    let issuer = JwtIssuer::new()?;
    bao.trust(&issuer, "1h")?;
    let (good, powerless) = (bao.token(&["chains"], "1h")?, bao.token(&["default"], "1h")?);
    ensure!(holds_service_token(&format!("token={good}")), "tokens have another form: {good}");
    let unknown = "s.nobodyknowsthistoken00000";
    let reference = "hashivault://key";
    for (token, works) in [(good.as_str(), true), (&powerless, false), (unknown, false)] {
        let ran = sign(scene, reference, |tool| {
            tool.env("VAULT_ADDR", bao.address()).env("VAULT_TOKEN", token)
        })?;
        ensure!(ran.status.success() == works, "{ran}");
        hides(&ran, &[token])?;
        let file = scene.write("token", token)?;
        let setting = format!("signers.kms.auth.token-path={}", file.display());
        let ran = sign(scene, reference, |tool| {
            tool.env("VAULT_ADDR", bao.address()).args(["--config", &setting])
        })?;
        ensure!(ran.status.success() == works, "{ran}");
        hides(&ran, &[token])?;
    }
    for (audience, works) in [("vault", true), ("elsewhere", false)] {
        let jwt = issuer.jwt("chains", audience)?;
        let file = scene.write("jwt", &jwt)?;
        let settings = [
            format!("signers.kms.auth.address={}", bao.address()),
            "signers.kms.auth.oidc.path=jwt".to_owned(),
            "signers.kms.auth.oidc.role=chains".to_owned(),
            format!("signers.kms.auth.oidc.token-path={}", file.display()),
        ];
        let ran = sign(scene, reference, |tool| {
            settings.iter().fold(tool, |tool, setting| tool.args(["--config", setting]))
        })?;
        ensure!(ran.status.success() == works, "{ran}");
        let signature = jwt.rsplit('.').next().unwrap_or_default();
        hides(&ran, &[&jwt, signature])?;
    }
    Ok(())
}

fn clouds(scene: &Scene<'_>) -> Result<()> {
    let azure = AzureVault::start(scene)?;
    azure.create("key", &serde_json::json!({ "kty": "EC", "crv": "P-256" }))?;
    let variables = azure.variables();
    for (password, works) in [(AzureVault::PASSWORD, true), ("a-wrong-password", false)] {
        let ran = sign(scene, &azure.reference("key"), |tool| {
            let tool = tool.env("SSL_CERT_FILE", azure.certificate());
            let tool = variables.iter().fold(tool, |tool, (name, value)| tool.env(name, value));
            tool.env("AZURE_CLIENT_SECRET", password)
        })?;
        ensure!(ran.status.success() == works, "{ran}");
        hides(&ran, &[password, AzureVault::TOKEN])?;
    }
    let aws = MiniStack::start(scene)?;
    aws.point("alias/key", &aws.create_key("ECC_NIST_P256")?, true)?;
    for (alias, works) in [("alias/key", true), ("alias/none", false)] {
        let ran = sign(scene, &format!("awskms:///{alias}"), |tool| {
            tool.env("AWS_ENDPOINT_URL", aws.address())
                .env("AWS_REGION", MiniStack::REGION)
                .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
                .env("AWS_SECRET_ACCESS_KEY", "aws-secret-access-key")
                .env("AWS_SESSION_TOKEN", "aws-session-token")
        })?;
        ensure!(ran.status.success() == works, "{ran}");
        hides(&ran, &["aws-secret-access-key", "aws-session-token"])?;
    }
    Ok(())
}
