//! AWS KMS, over a small server that misbehaves as it is told. An emulator is in the end-to-end tests.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{SignatureAlgorithm, Signer as _};
use chains_signer_kms::KmsSigner;
use serde_json::{Value, json};

use crate::support::keys::PrivateKey;
use crate::support::server::{Asked, Reply, Server};
use crate::support::{check, refused, signed, signer};

const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890a";

/// What the service knows: keys behind an alias, the last one in use.
struct Aws {
    keys: Vec<(PrivateKey, &'static str)>,
    instead: Vec<Reply>,
}

impl Aws {
    fn answer(&mut self, asked: &Asked) -> Reply {
        check_signed(asked);
        if let Some(reply) = self.instead.pop() {
            return reply;
        }
        let body = asked.json();
        let id = body["KeyId"].as_str().unwrap();
        let number = match id.strip_prefix(ARN) {
            Some(last) => last.parse::<usize>().unwrap(),
            None => self.keys.len() - 1,
        };
        let Some((key, algorithm)) = self.keys.get(number) else {
            return failure(400, "NotFoundException", &format!("Key '{id}' does not exist"));
        };
        let arn = format!("{ARN}{number}");
        match asked.header("x-amz-target") {
            "TrentService.GetPublicKey" => Reply::json(
                200,
                &json!({ "KeyId": arn, "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": [algorithm],
                    "PublicKey": STANDARD.encode(key.public_key().spki_der()) }),
            ),
            "TrentService.Sign" => sign(key, algorithm, &arn, &body),
            other => failure(400, "UnknownOperationException", other),
        }
    }
}

fn sign(key: &PrivateKey, algorithm: &str, arn: &str, body: &Value) -> Reply {
    assert_eq!(body["MessageType"], "DIGEST");
    if body["SigningAlgorithm"] != algorithm {
        return failure(400, "InvalidKeyUsageException", "the algorithm is incompatible");
    }
    let digest = STANDARD.decode(body["Message"].as_str().unwrap()).unwrap();
    let signature = STANDARD.encode(key.sign_digest(&digest).unwrap());
    Reply::json(
        200,
        &json!({ "KeyId": arn, "Signature": signature, "SigningAlgorithm": algorithm }),
    )
}

/// As a service sees it: by whom, for which region and service, over which headers.
fn check_signed(asked: &Asked) {
    let header = asked.header("authorization");
    assert!(header.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{header}");
    assert!(header.contains("/eu-west-1/kms/aws4_request"), "{header}");
    assert!(
        header.contains("content-type;host;x-amz-date;x-amz-security-token;x-amz-target"),
        "{header}"
    );
    assert_eq!(asked.header("x-amz-security-token"), "session-token");
    assert_eq!(asked.header("content-type"), "application/x-amz-json-1.1");
}

fn failure(status: u16, code: &str, message: &str) -> Reply {
    let body = json!({ "__type": format!("com.amazonaws.kms#{code}"), "message": message });
    Reply::json(status, &body).header("x-amzn-requestid", "request-1")
}

async fn start() -> (Server, Arc<Mutex<Aws>>) {
    let keys = vec![(PrivateKey::p256(), "ECDSA_SHA_256")];
    let aws = Arc::new(Mutex::new(Aws { keys, instead: Vec::new() }));
    let answers = Arc::clone(&aws);
    (Server::start(move |asked| answers.lock().unwrap().answer(asked)).await, aws)
}

fn of(server: &Server, id: &str) -> KmsSigner {
    signer(
        &format!("awskms:///{id}"),
        &[
            ("AWS_ENDPOINT_URL", &server.url()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret-access-key"),
            ("AWS_SESSION_TOKEN", "session-token"),
            ("AWS_REGION", "eu-west-1"),
        ],
    )
}

#[tokio::test]
async fn an_alias_that_is_pointed_elsewhere_is_noticed() {
    let (server, aws) = start().await;
    let signer = of(&server, "alias/signing");
    let first = signed(&signer, b"message").await;
    aws.lock().unwrap().keys.push((PrivateKey::p256(), "ECDSA_SHA_256"));
    let second = signed(&signer, b"message").await;
    assert_ne!(first.material.key_id(), second.material.key_id());
    // A key of another kind is asked for what it cannot do, once.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    aws.lock().unwrap().keys.push((PrivateKey::p384(), "ECDSA_SHA_384"));
    let third = signed(&signer, b"message").await;
    assert_eq!(third.algorithm, SignatureAlgorithm::EcdsaP384Sha384);
    assert_eq!(signer.material().await.unwrap(), third.material);
}

#[tokio::test]
async fn failures_have_awss_own_code() {
    let (server, aws) = start().await;
    let signer = of(&server, &format!("{ARN}0"));
    signed(&signer, b"message").await;
    for (status, code, kind) in [
        (400, "AccessDeniedException", "unauthorized"),
        (400, "UnrecognizedClientException", "unauthorized"),
        (403, "InvalidSignatureException", "unauthorized"),
        (400, "NotFoundException", "not_found"),
        (400, "DisabledException", "key"),
        (400, "KMSInvalidStateException", "key"),
        (400, "InvalidKeyUsageException", "key"),
        (400, "ThrottlingException", "throttled"),
        (429, "TooManyRequestsException", "throttled"),
        (400, "DependencyTimeoutException", "timeout"),
        (500, "KMSInternalException", "unavailable"),
        (500, "KeyUnavailableException", "unavailable"),
        (503, "ServiceUnavailable", "unavailable"),
        (400, "ValidationException", "signing"),
    ] {
        aws.lock().unwrap().instead.push(failure(status, code, "in AWS's words"));
        let words = ["signing with awskms:///arn:aws:kms:", code, "(in AWS's words)"];
        check(&refused(&signer).await, kind, &words);
    }
    let header =
        Reply::text(403, "").header("x-amzn-errortype", "AccessDeniedException:http://internal/");
    aws.lock().unwrap().instead.push(header);
    check(
        &refused(&signer).await,
        "unauthorized",
        &["it answered 403 Forbidden: AccessDeniedException"],
    );
    aws.lock().unwrap().instead.push(Reply::text(200, "<html>"));
    check(&refused(&signer).await, "protocol", &["not what the API promises"]);
}

#[tokio::test]
async fn credentials_that_expired_are_looked_for_again() {
    let (server, aws) = start().await;
    let signer = of(&server, "alias/signing");
    signed(&signer, b"message").await;
    let expired = || failure(400, "ExpiredTokenException", "the security token is expired");
    aws.lock().unwrap().instead.push(expired());
    signed(&signer, b"message").await;
    aws.lock().unwrap().instead.extend([expired(), expired()]);
    check(&refused(&signer).await, "unauthorized", &["ExpiredTokenException"]);
}

#[tokio::test]
async fn keys_that_do_not_sign_are_told() {
    let (server, aws) = start().await;
    aws.lock().unwrap().keys = vec![(PrivateKey::p256(), "ECDSA_SHA_384")];
    let error = of(&server, "alias/signing").material().await.unwrap_err();
    check(&error, "key", &["its usage is SIGN_VERIFY, it signs by [ECDSA_SHA_384]"]);
}

#[tokio::test]
async fn without_a_region_nothing_is_asked() {
    let (server, _) = start().await;
    let variables = [("AWS_ENDPOINT_URL_KMS", server.url())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let error = refused(&signer("awskms:///alias/signing", &variables)).await;
    check(&error, "configuration", &["the region of awskms:///alias/signing", "set AWS_REGION"]);
    assert!(server.asked("").is_empty());
}
