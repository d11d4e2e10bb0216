//! Signing with keys that never leave a key management service.
//!
//! | reference | service | feature |
//! |---|---|---|
//! | `gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K[/versions/V]` | Google Cloud KMS | `gcp` |
//! | `awskms://[ENDPOINT]/ID`, `…/ARN`, `…/alias/NAME` | AWS KMS | `aws` |
//! | `azurekms://VAULT/KEY[/VERSION]` | Azure Key Vault, Managed HSM | `azure` |
//! | `hashivault://KEY`, `openbao://KEY` | the transit engine of HashiCorp Vault and OpenBao | `vault` |
//!
//! [`KmsSigner`] is the signer: it hashes, keeps the public key, notices when the service rotates it, bounds how
//! many calls are under way, and checks every signature before it leaves. What differs between services is behind
//! [`Provider`], which is small: fetch a public key, sign.
//!
//! Retries of whole operations are not in here: errors say by their kind whether a later attempt may succeed. Only
//! where a service says how long to wait is that waited for, within bounds.
//!
//! ```no_run
//! # async fn example() -> chains_core::Result<()> {
//! use chains_core::Signer;
//! use chains_signer_kms::{KmsOptions, KmsSigner};
//!
//! let signer = KmsSigner::new(KmsOptions::new("hashivault://cosign".parse()?))?;
//! let signature = signer.sign(b"message").await?;
//! println!("signed by {}", signature.material.key_id());
//! # Ok(())
//! # }
//! ```

#![cfg_attr(
    not(all(feature = "aws", feature = "azure", feature = "gcp", feature = "vault")),
    allow(
        dead_code,
        unused_imports,
        reason = "what services share is not used in full by each of them"
    )
)]

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "gcp")]
mod gcp;
mod hash;
mod http;
mod keys;
mod options;
mod provider;
mod reference;
mod signer;
#[cfg(feature = "vault")]
mod vault;

pub use chains_http::Variables;
pub use options::{KmsOptions, Limits, RsaPadding, Spire, VaultOptions};
pub use provider::{Key, Made, Provider};
pub use reference::{AwsKey, AzureKey, GcpKey, Reference, VaultKey};
pub use signer::KmsSigner;
