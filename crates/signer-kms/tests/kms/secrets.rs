//! No token, password or key shows in an error, in a log or in `Debug`, whatever services answer.

use std::io::Write;
use std::sync::{Arc, Mutex};

use chains_core::{Secret, Signer as _};
use chains_signer_kms::{KmsOptions, KmsSigner, Spire};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::options;
use crate::support::server::{Asked, Reply, Server};

/// Everything that is secret here has this in it.
const SECRET: &str = "TOPSECRET";

/// As it is, or in the base64 of `user:TOPSECRET`.
fn shows(line: &str) -> bool {
    line.contains(SECRET) || line.contains("dXNlcjpUT1BTRUNSRVQ")
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Repeats all it was sent, in every place where services put their words.
fn echo(status: u16) -> impl FnMut(&Asked) -> Reply {
    move |asked| {
        let headers: Vec<_> =
            asked.headers.values().filter_map(|value| value.to_str().ok()).collect();
        let said = format!("{} {}", headers.join(" "), String::from_utf8_lossy(&asked.body));
        let body = json!({
            "errors": [said],
            "__type": "AccessDeniedException",
            "message": said,
            "error": { "code": "Forbidden", "status": "PERMISSION_DENIED", "message": said },
            "error_description": said,
            "auth": said,
            "data": said,
        });
        Reply::json(status, &body)
    }
}

async fn try_all(server: &Server, folder: &std::path::Path) -> Vec<String> {
    let (url, file) = (server.url(), folder.join("secret"));
    std::fs::write(&file, SECRET).unwrap();
    let path = file.to_str().unwrap();
    let google = folder.join("google.json");
    std::fs::write(&google, crate::gcp::service_account()).unwrap();
    let vault = |token: Option<&str>| {
        let variables = [("VAULT_ADDR", url.as_str()), ("VAULT_TOKEN", token.unwrap_or_default())];
        options("hashivault://key", &variables)
    };
    let mut all = vec![vault(Some(SECRET)), vault(Some("TOPSECRET with\u{7f}odd characters"))];
    let mut given = vault(None);
    given.vault.token = Some(Secret::new(SECRET));
    let mut in_file = vault(None);
    in_file.vault.token_path = Some(file.clone());
    let mut login = vault(None);
    login.vault.oidc_path = Some("jwt".to_owned());
    login.vault.oidc_role = Some("role".to_owned());
    login.vault.oidc_token_path = Some(file.clone());
    let mut spire = vault(None);
    spire.vault.spire = Some(Spire { socket: "unix:///none".to_owned(), audience: "a".to_owned() });
    let userinfo = url.replace("://", "://user:TOPSECRET@");
    // In base64 it is another text.
    let mut at_address = options("hashivault://key", &[("VAULT_TOKEN", SECRET)]);
    at_address.vault.address = Some(userinfo.clone());
    let proxy = options(
        "hashivault://key",
        &[("VAULT_ADDR", &url), ("VAULT_TOKEN", SECRET), ("VAULT_PROXY_ADDR", &userinfo)],
    );
    let aws = options(
        "awskms:///alias/a",
        &[
            ("AWS_ENDPOINT_URL", &url),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_SESSION_TOKEN", SECRET),
            ("AWS_REGION", "eu-west-1"),
        ],
    );
    let gcp = options(
        "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/versions/1",
        &[
            ("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", &url),
            ("GOOGLE_APPLICATION_CREDENTIALS", google.to_str().unwrap()),
        ],
    );
    all.extend([given, in_file, login, spire, at_address, proxy, aws, gcp]);
    for variables in [
        vec![("AZURE_CLIENT_SECRET", SECRET)],
        vec![("AZURE_FEDERATED_TOKEN_FILE", path)],
        vec![("IDENTITY_ENDPOINT", url.as_str()), ("IDENTITY_HEADER", SECRET)],
    ] {
        all.push(azure(server, folder, &variables));
    }
    let mut told = Vec::new();
    for options in all {
        told.push(format!("{options:?}"));
        match KmsSigner::new(options) {
            Ok(signer) => {
                let error = signer.sign(b"message").await.expect_err("it is refused");
                told.push(format!("{} {error:?} {signer:?}", error.report()));
            }
            Err(error) => told.push(format!("{} {error:?}", error.report())),
        }
    }
    told
}

fn azure(server: &Server, folder: &std::path::Path, variables: &[(&str, &str)]) -> KmsOptions {
    let url = server.url();
    let mut all = vec![("AZURE_AUTHORITY_HOST", url.as_str()), ("AZURE_TENANT_ID", "t")];
    all.push(("AZURE_CLIENT_ID", "c"));
    all.extend(variables);
    let host = url.split_once("://").unwrap().1;
    let mut options = options(&format!("azurekms://{host}/key"), &all);
    options.ca_files = vec![folder.join("ca.pem")];
    options
}

/// What is told of every kind of signer, in errors, in `Debug` and in logs, down to the last detail of ours and down
/// to `debug` of the libraries'.
async fn told(status: u16, tls: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    // Made before, so that there is a file to read where the server is without TLS.
    let with_tls = Server::start_tls(&folder, echo(status)).await;
    let server = if tls { with_tls } else { Server::start(echo(status)).await };
    let told = try_all(&server, folder.path()).await;
    assert!(!server.asked("").is_empty());
    told.join("\n")
}

#[test]
fn nothing_secret_shows() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for (status, tls) in
                [(403, false), (403, true), (400, true), (200, false), (200, true), (500, false)]
            {
                let told = told(status, tls).await;
                let shown = told.lines().find(|line| shows(line));
                assert_eq!(shown, None, "{status} {tls}");
                assert!(told.contains("signing with") || told.contains("fetching the public key"));
            }
        });
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.lines().find(|line| shows(line)), None, "in the log");
    assert!(!log.is_empty(), "there is something to look at");
}
