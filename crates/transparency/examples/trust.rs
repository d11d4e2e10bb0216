//! Fetches the roots of trust of a TUF repository and tells what is in them:
//!
//! ```text
//! cargo run -p chains-transparency --features tuf --example trust [-- MIRROR ROOT_JSON [CACHE_FOLDER]]
//! ```
//!
//! Without arguments: those of the public instance of Sigstore.

#![allow(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use chains_transparency::{ServiceKind, TrustSource as _, TufOptions, TufTrust};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut options = TufOptions::default();
    if let [mirror, root, cache @ ..] = args.as_slice() {
        options.mirror.clone_from(mirror);
        options.root = Some(fs::read(root)?);
        options.cache = cache.first().map(Into::into);
    }
    let trust = TufTrust::new(options)?.trust().await.map_err(|error| error.report())?;
    for log in &trust.root.logs {
        println!("log {:?}, key {}, {}", log.url, log.key.id(), log.valid);
    }
    for authority in &trust.root.certificate_authorities {
        println!("certificates {}, {}", authority.url, authority.valid);
    }
    for authority in &trust.root.timestamp_authorities {
        println!("timestamps {}, {}", authority.url, authority.valid);
    }
    if let Some(config) = &trust.config {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().try_into()?;
        for kind in [ServiceKind::Log, ServiceKind::TimestampAuthority] {
            println!("to use: {:?}", config.select(kind, &[1, 2], now));
        }
    }
    Ok(())
}
