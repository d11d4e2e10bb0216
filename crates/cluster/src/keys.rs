//! Keys in Secrets: what the mounted folder holds, read from the API server.
//!
//! The entries are those of [`X509Signer::from_dir`], in the same order: `x509.pem`, or else `cosign.key` with
//! `cosign.password` and `cosign.pub`.

mod generate;

pub use generate::{Generated, check_vacant, generate};

use chains_core::{Error, ErrorKind, PublicKey, Result};
use chains_signer_x509::{COSIGN_PUBLIC_KEY, X509_KEY, X509Signer};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::SecretRef;

/// Reads the Secret.
///
/// # Errors
/// [`ErrorKind::Key`] where it is not there; else what the API server answered, or that it could not be reached.
pub async fn fetch(client: &Client, at: &SecretRef) -> Result<Secret> {
    match find(client, at).await? {
        Some(secret) => Ok(secret),
        None => Err(Error::new(ErrorKind::Key, format!("the Secret {at} is not there"))),
    }
}

async fn find(client: &Client, at: &SecretRef) -> Result<Option<Secret>> {
    api(client, at)
        .get_opt(at.name())
        .await
        .map_err(|e| crate::error(format!("reading the Secret {at}"), e))
}

fn api(client: &Client, at: &SecretRef) -> Api<Secret> {
    Api::namespaced(client.clone(), at.namespace())
}

/// The private key in the Secret, ready to sign.
///
/// Decrypting a cosign key takes 64 MiB of memory and some tenths of a second of the calling thread.
///
/// # Errors
/// As for [`X509Signer::from_dir`], naming the entry and the Secret. No error holds anything of the key.
pub fn signer(secret: &Secret, at: &SecretRef) -> Result<X509Signer> {
    X509Signer::from_entries(&at.to_string(), |name| Ok(entry(secret, name).map(<[u8]>::to_vec)))
}

/// The public half of the key that [`signer`] signs with.
///
/// `cosign.pub` is taken at its word, which spares the decryption; a Secret with nothing but that will do.
///
/// # Errors
/// As for [`signer`], and where `cosign.pub` is no public key.
pub fn public_key(secret: &Secret, at: &SecretRef) -> Result<PublicKey> {
    match entry(secret, COSIGN_PUBLIC_KEY) {
        Some(pem) if entry(secret, X509_KEY).is_none() => {
            let pem = std::str::from_utf8(pem).unwrap_or_default();
            PublicKey::from_pem(pem)
                .map_err(|error| error.context(format!("{COSIGN_PUBLIC_KEY} in {at}")))
        }
        _ => signer(secret, at).map(|signer| signer.public_key().clone()),
    }
}

fn entry<'a>(secret: &'a Secret, name: &str) -> Option<&'a [u8]> {
    secret.data.as_ref()?.get(name).map(|bytes| bytes.0.as_slice())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chains_core::Secret as Password;
    use chains_signer_x509::{KeyKind, KeyPair};
    use k8s_openapi::ByteString;

    use super::*;

    fn at() -> SecretRef {
        "k8s://ci/keys".parse().unwrap()
    }

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
        let data = entries.iter().map(|(name, text)| ((*name).to_owned(), bytes(text)));
        Secret { data: Some(data.collect::<BTreeMap<_, _>>()), ..Secret::default() }
    }

    #[test]
    fn the_key_is_found_as_in_the_mounted_folder() {
        let (plain, cosign) =
            (KeyPair::generate(KeyKind::Ed25519), KeyPair::generate(KeyKind::P256));
        let (plain, cosign) = (plain.unwrap(), cosign.unwrap());
        let encrypted = cosign.private_pem_encrypted(&Password::new("pw")).unwrap();
        let (public, pem) = (cosign.public_pem().unwrap(), plain.private_pem().unwrap());
        let mut entries = vec![
            ("cosign.key", encrypted.as_str()),
            ("cosign.password", "pw"),
            ("cosign.pub", &public),
        ];
        let made = secret(&entries);
        assert_eq!(signer(&made, &at()).unwrap().public_key(), cosign.public_key());
        assert_eq!(public_key(&made, &at()).unwrap(), *cosign.public_key());
        entries.push((X509_KEY, pem.expose()));
        let both = secret(&entries);
        assert_eq!(signer(&both, &at()).unwrap().public_key(), plain.public_key());
        assert_eq!(public_key(&both, &at()).unwrap(), *plain.public_key());
        let shared = secret(&[("cosign.pub", &public)]);
        assert_eq!(public_key(&shared, &at()).unwrap(), *cosign.public_key());
        let unshared = secret(entries.get(..2).unwrap());
        assert_eq!(public_key(&unshared, &at()).unwrap(), *cosign.public_key());
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let report = |entries: &[(&str, &str)]| {
            let secret = secret(entries);
            let error = signer(&secret, &at()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Key);
            assert_eq!(public_key(&secret, &at()).unwrap_err().kind(), ErrorKind::Key);
            error.report()
        };
        let none = "no private key in k8s://ci/keys: looked for x509.pem and cosign.key";
        assert_eq!(report(&[]), none);
        assert_eq!(report(&[("password", "x")]), none);
        assert!(report(&[(X509_KEY, "x")]).starts_with("the key x509.pem in k8s://ci/keys: "));
        assert_eq!(signer(&Secret::default(), &at()).unwrap_err().report(), none);
        let error = public_key(&secret(&[("cosign.pub", "x")]), &at()).unwrap_err();
        assert!(error.report().starts_with("cosign.pub in k8s://ci/keys: "), "{}", error.report());
    }
}
