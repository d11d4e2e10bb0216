//! Verifies the log entries and timestamps of a Sigstore bundle, without a network:
//!
//! ```text
//! cargo run -p chains-transparency --example verify_bundle -- BUNDLE TRUSTED_ROOT [--key PEM] [MESSAGE]
//! ```
//!
//! The signature itself and the certificate's chain are not looked at here.

#![allow(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;
use std::fs;

use chains_core::PublicKey;
use chains_core::bundle::Bundle;
use chains_transparency::{BundlePolicy, TrustedRoot, verify_bundle_evidence};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let key = match args.iter().position(|arg| arg == "--key") {
        Some(at) if at + 1 < args.len() => {
            let path = args.remove(at + 1);
            args.remove(at);
            Some(PublicKey::from_pem(&fs::read_to_string(path)?)?)
        }
        _ => None,
    };
    let [bundle, root, message @ ..] = args.as_slice() else {
        return Err("BUNDLE TRUSTED_ROOT [--key PEM] [MESSAGE]".into());
    };
    let told = |error: chains_core::Error| error.report();
    let bundle = Bundle::from_json(&fs::read(bundle)?).map_err(told)?;
    let root = TrustedRoot::from_json(&fs::read(root)?).map_err(told)?;
    let message = message.first().map(fs::read).transpose()?;
    let policy = if key.is_some() { BundlePolicy::KEY } else { BundlePolicy::CERTIFICATE };
    let evidence = verify_bundle_evidence(&bundle, message.as_deref(), key.as_ref(), &root, policy)
        .map_err(told)?;
    println!("{evidence:?}");
    Ok(())
}
