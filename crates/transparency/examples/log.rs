//! Logs what is signed already, has it timestamped, and prints the Sigstore bundle that comes of it:
//!
//! ```text
//! cargo run -p chains-transparency --example log -- --url https://rekor.example.com \
//!     --public-key cosign.pub --envelope attestation.json
//! ```
//!
//! In place of `--envelope FILE`: `--message FILE --signature FILE` (raw bytes). A certificate: `--certificate PEM`.
//! More: `--version 1|2`, `--intoto`, `--log-key PEM`, `--tsa URL`, `--tsa-certificates PEM`, `--trusted-root FILE`,
//! `--signing-config FILE`, `--ca-file PEM`, `--times N`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example prints what it does")]

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::{fs, process};

use chains_core::bundle::Bundle;
use chains_core::dsse::Envelope;
use chains_core::{
    Payload, PublicKey, Signed, TransparencyLog as _, VerificationMaterial, Wrapping, media_type,
};
use chains_transparency::{
    EnvelopeEntry, FixedTrust, RekorVersion, Transparency, TransparencyOptions, TrustSource,
    Verifier,
};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

struct Args(HashMap<String, String>);

impl Args {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.get(name).map(fs::read).transpose()?)
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        Ok(self.get(name).map(fs::read_to_string).transpose()?)
    }
}

fn options(args: &Args) -> Result<TransparencyOptions> {
    let mut options = TransparencyOptions {
        url: args.get("url").map(str::to_owned),
        version: match args.get("version") {
            Some("1") => RekorVersion::V1,
            Some("2") => RekorVersion::V2,
            _ => RekorVersion::Auto,
        },
        log_key: args.text("log-key")?.map(|pem| PublicKey::from_pem(&pem)).transpose()?,
        timestamp_urls: args.get("tsa").into_iter().map(str::to_owned).collect(),
        timestamp_certificates: args.file("tsa-certificates")?,
        ..TransparencyOptions::default()
    };
    if args.get("intoto").is_some() {
        options.envelopes = EnvelopeEntry::Intoto;
    }
    options.http.ca_files.extend(args.get("ca-file").map(Into::into));
    Ok(options)
}

fn material(args: &Args) -> Result<VerificationMaterial> {
    if let Some(pem) = args.text("certificate")? {
        let public_key = certificate_key(&pem)?;
        return Ok(VerificationMaterial { public_key, certificate: Some(pem), chain: None });
    }
    let pem = args.text("public-key")?.ok_or("--public-key or --certificate is missing")?;
    Ok(VerificationMaterial::from_public_key(PublicKey::from_pem(&pem)?))
}

fn certificate_key(pem: &str) -> Result<PublicKey> {
    let der = der::Document::from_pem(pem.trim_start()).map_err(|e| e.to_string())?.1;
    Ok(Verifier::from_certificate_der(der.as_bytes())?.key().clone())
}

fn signed(args: &Args) -> Result<(Payload, Signed)> {
    let payload = |bytes: Vec<u8>, wrapping, media_type| Payload {
        bytes: bytes.into(),
        media_type,
        wrapping,
        format: "example",
        predicate_type: None,
        subjects: Vec::new(),
    };
    if let Some(json) = args.file("envelope")? {
        let envelope = Envelope::from_json(&json)?;
        let bytes = envelope.payload.to_vec();
        return Ok((payload(bytes, Wrapping::Dsse, media_type::IN_TOTO), Signed::Dsse(envelope)));
    }
    let message = args.file("message")?.ok_or("--envelope or --message is missing")?;
    let signature = args.file("signature")?.ok_or("--signature is missing")?;
    let payload = payload(message, Wrapping::Detached, media_type::SIMPLE_SIGNING);
    Ok((payload, Signed::Detached(signature.into())))
}

async fn run(args: Args) -> Result<()> {
    let trust: Option<Arc<dyn TrustSource>> = match args.get("trusted-root") {
        Some(root) => {
            let config = args.get("signing-config").map(Path::new);
            Some(Arc::new(FixedTrust::from_files(Path::new(root), config)?))
        }
        None => None,
    };
    let log = Transparency::new(options(&args)?, trust)?;
    let (payload, signed) = signed(&args)?;
    let material = material(&args)?;
    for _ in 1..args.get("times").unwrap_or("1").parse()? {
        let entry = log.append(&payload, &signed, &material).await?;
        eprintln!("{}", entry.address());
    }
    let entry = log.append(&payload, &signed, &material).await?;
    for address in entry.addresses() {
        eprintln!("{address}");
    }
    println!("{}", Bundle::new(&signed, &payload.bytes, &material, Some(&entry))?.to_json());
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = HashMap::new();
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let name = name.trim_start_matches("--").to_owned();
        let value = if name == "intoto" { Some(String::new()) } else { given.next() };
        args.insert(name, value.unwrap_or_default());
    }
    if let Err(error) = run(Args(args)).await {
        eprintln!("error: {}", chains_core::chain(error.as_ref()));
        process::exit(1);
    }
}
