//! The encryption of cosign's private keys.
//!
//! JSON that names scrypt ([RFC 7914](https://www.rfc-editor.org/rfc/rfc7914)) with its parameters and NaCl's
//! [secretbox](https://nacl.cr.yp.to/secretbox.html) (XSalsa20 and Poly1305), with PKCS#8 inside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Error, ErrorKind, Result, Secret};
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::key_error;

/// The label that is written; cosign wrote the other one before version 2.
pub(crate) const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// The label of older keys.
pub(crate) const OLD_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";
const SALT: usize = 32;
const NONCE: usize = 24;
const KEY: usize = 32;
const TAG: usize = 16;

/// Logarithms of the work factors `N` that cosign's library writes and reads: 32, 64 and 128 MiB of memory.
///
/// Whoever can plant a key could otherwise have us take all memory there is.
const LOG_N: [u8; 3] = [15, 16, 17];
const DEFAULT_LOG_N: u8 = 16;
const R: u32 = 8;
const P: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Encrypted {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// Decrypts the JSON inside the PEM and returns PKCS#8.
///
/// # Errors
/// Where it is not such JSON, the parameters are not cosign's, or the password is wrong.
pub(crate) fn decrypt(json: &[u8], password: &Secret) -> Result<Zeroizing<Vec<u8>>> {
    let encrypted: Encrypted = serde_json::from_slice(json)
        .map_err(|e| key_error("reading the JSON of an encrypted cosign key").with_source(e))?;
    let Encrypted { kdf, cipher, ciphertext } = encrypted;
    if kdf.name != KDF || cipher.name != CIPHER {
        return Err(key_error(format!(
            "the cosign key is encrypted with {:?} and {:?}, supported are {KDF} and {CIPHER}",
            kdf.name, cipher.name
        )));
    }
    let log_n = check(&kdf.params)?;
    let salt = decode("salt", &kdf.salt)?;
    let nonce: [u8; NONCE] = decode("nonce", &cipher.nonce)?
        .try_into()
        .map_err(|_| key_error(format!("the nonce of the cosign key has not {NONCE} bytes")))?;
    let sealed = decode("ciphertext", &ciphertext)?;
    let key = derive(password, &salt, log_n)?;
    open(&key, &nonce, &sealed).ok_or_else(|| wrong_password(password))
}

/// Encrypts PKCS#8 as cosign does, and returns the JSON for the inside of the PEM.
///
/// # Errors
/// Where the system gives no random bytes.
pub(crate) fn encrypt(pkcs8: &[u8], password: &Secret) -> Result<String> {
    let salt: [u8; SALT] = random()?;
    let nonce: [u8; NONCE] = random()?;
    let key = derive(password, &salt, DEFAULT_LOG_N)?;
    let encrypted = Encrypted {
        kdf: Kdf {
            name: KDF.to_owned(),
            params: Params { n: 1 << DEFAULT_LOG_N, r: R, p: P },
            salt: STANDARD.encode(salt),
        },
        cipher: Cipher { name: CIPHER.to_owned(), nonce: STANDARD.encode(nonce) },
        ciphertext: STANDARD.encode(seal(&key, &nonce, pkcs8)),
    };
    serde_json::to_string(&encrypted)
        .map_err(|e| Error::new(ErrorKind::Internal, "writing an encrypted key").with_source(e))
}

/// Random bytes from the operating system's generator.
pub(crate) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| key_error("getting random bytes from the operating system"))?;
    Ok(bytes)
}

fn check(params: &Params) -> Result<u8> {
    let Params { n, r, p } = *params;
    LOG_N.into_iter().find(|log_n| n == 1 << log_n && r == R && p == P).ok_or_else(|| {
        key_error(format!(
            "the cosign key asks for scrypt with N={n}, r={r}, p={p}: \
             cosign writes N=32768, 65536 or 131072 with r=8, p=1"
        ))
    })
}

fn decode(what: &str, base64: &str) -> Result<Vec<u8>> {
    STANDARD
        .decode(base64)
        .map_err(|e| key_error(format!("reading the {what} of the cosign key")).with_source(e))
}

fn wrong_password(password: &Secret) -> Error {
    if password.expose().ends_with(['\n', '\r']) {
        return key_error(
            "the password is wrong (it ends in a line break, which is part of it), \
             or the key has been changed",
        );
    }
    key_error("the password is wrong, or the key has been changed")
}

fn derive(password: &Secret, salt: &[u8], log_n: u8) -> Result<Zeroizing<[u8; KEY]>> {
    let mut key = Zeroizing::new([0; KEY]);
    let failed = |why: String| key_error("deriving a key from the password").with_source(why);
    let params = scrypt::Params::new(log_n, R, P).map_err(|e| failed(e.to_string()))?;
    scrypt::scrypt(password.expose().as_bytes(), salt, &params, key.as_mut_slice())
        .map_err(|e| failed(e.to_string()))?;
    Ok(key)
}

/// The stream cipher after its first 32 bytes, which are the key of the authenticator.
fn ciphers(key: &[u8; KEY], nonce: &[u8; NONCE]) -> (XSalsa20, Poly1305) {
    let mut stream = XSalsa20::new(key.into(), nonce.into());
    let mut mac_key = Zeroizing::new([0; KEY]);
    stream.apply_keystream(mac_key.as_mut_slice());
    let mac = Poly1305::new((&*mac_key).into());
    (stream, mac)
}

fn seal(key: &[u8; KEY], nonce: &[u8; NONCE], plain: &[u8]) -> Vec<u8> {
    let (mut stream, mac) = ciphers(key, nonce);
    // Encrypted in place, so that no unencrypted copy is left behind.
    let mut sealed = vec![0; TAG];
    sealed.extend_from_slice(plain);
    let (tag, text) = sealed.split_at_mut(TAG);
    stream.apply_keystream(text);
    tag.copy_from_slice(&mac.compute_unpadded(text));
    sealed
}

/// `None` where the authenticator does not match.
fn open(key: &[u8; KEY], nonce: &[u8; NONCE], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (tag, text) = sealed.split_at_checked(TAG)?;
    let (mut stream, mac) = ciphers(key, nonce);
    if !bool::from(mac.compute_unpadded(text).as_slice().ct_eq(tag)) {
        return None;
    }
    let mut plain = Zeroizing::new(text.to_vec());
    stream.apply_keystream(&mut plain);
    Some(plain)
}
