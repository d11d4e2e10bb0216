//! What one signature costs, hashing included, and what reading a key costs.
//!
//! Wanted: at most 80 µs for P-256 over 8 KiB.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to say")]

use chains_core::Secret;
use chains_signer_x509::{KeyKind, KeyPair, X509Signer};
use divan::Bencher;
use divan::counter::BytesCount;

const MESSAGE: [u8; 8192] = [7; 8192];

fn main() {
    divan::main();
}

fn sign(bencher: Bencher<'_, '_>, kind: KeyKind) {
    let signer = KeyPair::generate(kind).unwrap().into_signer().unwrap();
    bencher
        .counter(BytesCount::of_slice(&MESSAGE))
        .bench(|| signer.sign_message(divan::black_box(&MESSAGE)).unwrap());
}

#[divan::bench]
fn sign_p256_8k(bencher: Bencher<'_, '_>) {
    sign(bencher, KeyKind::P256);
}

#[divan::bench]
fn sign_p384_8k(bencher: Bencher<'_, '_>) {
    sign(bencher, KeyKind::P384);
}

#[divan::bench]
fn sign_ed25519_8k(bencher: Bencher<'_, '_>) {
    sign(bencher, KeyKind::Ed25519);
}

#[divan::bench]
fn sign_rsa_2048_8k(bencher: Bencher<'_, '_>) {
    let pem = include_str!("../tests/fixtures/test-openssl-rsa-pkcs8.pem");
    let signer = X509Signer::from_pem(pem, None).unwrap();
    bencher.bench(|| signer.sign_message(divan::black_box(&MESSAGE)).unwrap());
}

#[divan::bench]
fn read_plain_key(bencher: Bencher<'_, '_>) {
    let pem = KeyPair::generate(KeyKind::P256).unwrap().private_pem().unwrap();
    bencher.bench(|| X509Signer::from_pem(divan::black_box(pem.expose()), None).unwrap());
}

/// Most of it is scrypt: once for a key, never for a signature.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn read_cosign_key(bencher: Bencher<'_, '_>) {
    let pem = include_str!("../tests/fixtures/test-cosign3.key");
    let password = Secret::new("test password of cosign 3");
    bencher.bench(|| X509Signer::from_pem(divan::black_box(pem), Some(&password)).unwrap());
}
