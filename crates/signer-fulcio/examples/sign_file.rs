//! Signs a file keyless, and writes the signature with its certificate as a Sigstore bundle.
//!
//! ```text
//! cargo run -p chains-signer-fulcio --example sign_file -- http://127.0.0.1:5555 TOKEN-FILE FILE [CA.pem [CT-LOG.pub]]
//! ```
//!
//! writes `FILE.sigstore.json`, `FILE.sig`, `FILE.pem` and `FILE.chain.pem`. With the certificates of an authority,
//! and the key of a certificate transparency log, the certificate must lead up to them.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::bundle::Bundle;
use chains_core::{Error, ErrorKind, PublicKey, Result, Signed, Signer as _};
use chains_signer_fulcio::{
    Authority, CtLog, Filesystem, FulcioOptions, FulcioSigner, Trust, TrustSource, Window,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), String> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    sign().await.map_err(|error| error.report())
}

async fn sign() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, token, file, trust @ ..] = arguments.as_slice() else {
        let usage = "usage: sign_file ADDRESS TOKEN-FILE FILE [CA.pem [CT-LOG.pub]]";
        return Err(Error::new(ErrorKind::InvalidInput, usage));
    };
    let options = FulcioOptions { address: address.clone(), ..FulcioOptions::default() };
    let signer = FulcioSigner::new(options, Arc::new(Filesystem::new(token)), read_trust(trust)?)?;

    let content = read(file)?;
    let signature = signer.sign(&content).await?;
    let material = &signature.material;
    let signed = Signed::Detached(signature.bytes.clone());
    let bundle = Bundle::new(&signed, &content, material, None)?;
    write(file, "sigstore.json", &bundle.to_json())?;
    write(file, "sig", &STANDARD.encode(&signature.bytes))?;
    write(file, "pem", material.certificate.as_deref().unwrap_or_default())?;
    write(file, "chain.pem", material.chain.as_deref().unwrap_or_default())
}

fn read_trust(files: &[String]) -> Result<Option<Arc<dyn TrustSource>>> {
    let [authority, logs @ ..] = files else { return Ok(None) };
    let text = |file: &String| {
        String::from_utf8(read(file)?)
            .map_err(|e| Error::new(ErrorKind::InvalidInput, file.as_str()).with_source(e))
    };
    let mut trust = Trust {
        authorities: vec![Authority::from_pem(&text(authority)?, Window::default())?],
        ct_logs: Vec::new(),
    };
    for log in logs {
        let key = PublicKey::from_pem(&text(log)?)?;
        trust.ct_logs.push(CtLog { key, valid: Window::default() });
    }
    Ok(Some(Arc::new(trust)))
}

fn read(file: &str) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|e| failed(file, e))
}

fn write(file: &str, extension: &str, content: &str) -> Result<()> {
    let path = format!("{file}.{extension}");
    std::fs::write(Path::new(&path), content).map_err(|e| failed(&path, e))
}

fn failed(file: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("the file {file}")).with_source(error)
}
