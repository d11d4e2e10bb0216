//! What can be set about the signer.

use std::time::Duration;

use crate::Connection;

/// Options of [`FulcioSigner`](crate::FulcioSigner).
///
/// ```
/// use chains_signer_fulcio::FulcioOptions;
/// let options = FulcioOptions {
///     address: "https://fulcio.example.com".to_owned(),
///     ..FulcioOptions::default()
/// };
/// assert_eq!(options.audience, "sigstore");
/// ```
#[derive(Debug, Clone)]
pub struct FulcioOptions {
    /// Address of the server (`signers.x509.fulcio.address`), with or without a path.
    pub address: String,
    /// The issuer that identity tokens must be of (`signers.x509.fulcio.issuer`); unset: any, which leaves it to
    /// the server.
    pub issuer: Option<String>,
    /// The audience that identity tokens are asked for, and must have: a token for another one is good for
    /// something else, and is not shown to Fulcio.
    pub audience: String,
    /// How the server is reached.
    pub connection: Connection,
    /// For how long after the last signature certificates are still renewed; unset: as long as the signer lives.
    ///
    /// While they are, no signature waits for one. Each is an entry in a log that keeps it for ever, so somebody
    /// who signs nothing should ask for none.
    pub idle: Option<Duration>,
}

impl Default for FulcioOptions {
    /// Sigstore's public server, any issuer, renewals for a day after the last signature.
    fn default() -> Self {
        Self {
            address: "https://fulcio.sigstore.dev".to_owned(),
            issuer: None,
            audience: "sigstore".to_owned(),
            connection: Connection::default(),
            idle: Some(Duration::from_secs(24 * 60 * 60)),
        }
    }
}
