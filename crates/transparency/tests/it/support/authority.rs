//! A timestamp authority with certificates of its own, which does one thing wrong where it is told to.

use std::sync::Mutex;

use chains_transparency::{Authority, Validity};
use der::asn1::{AnyRef, OctetStringRef, UintRef};
use der::{Decode as _, Encode as _, Reader as _, SliceReader};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;

use super::{Answers, Reply, TestKey};

const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 47];
pub(crate) const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
pub(crate) const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];

/// The one thing that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// The time has a fraction of a second, which is not wrong.
    Fraction,
    /// Its certificate is not in the answer, which is not wrong where it is known.
    NotEmbedded,
    OtherImprint,
    OtherNonce,
    /// Signed with another key than the certificate's.
    OtherKey,
    /// Changed after it was signed.
    Changed,
    /// Its attributes name another certificate.
    NamesAnother,
    /// Its attributes name no certificate.
    NamesNone,
    Refused,
    Throttled,
}

/// The authority.
#[derive(Debug)]
pub(crate) struct TestAuthority {
    key: TestKey,
    leaf: Vec<u8>,
    root: Vec<u8>,
    /// What it says the time is.
    pub(crate) now: Mutex<&'static str>,
    pub(crate) fault: Mutex<Fault>,
}

/// Tag, length and the parts one after the other.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let len = content.len();
    let mut all = vec![tag];
    match len {
        0..0x80 => all.push(u8::try_from(len).unwrap()),
        _ => {
            all.push(0x82);
            all.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    if (0x80..0x100).contains(&len) {
        all.truncate(1);
        all.extend([0x81, u8::try_from(len).unwrap()]);
    }
    all.extend(content);
    all
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

fn oid(value: &[u8]) -> Vec<u8> {
    tlv(0x06, &[value])
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Certificates for this usage, critical or not: leaf and root. Both are valid from 2023 to 2024, both years included.
fn certificates(key: &TestKey, usage: &[u8], critical: bool) -> (Vec<u8>, Vec<u8>) {
    let dates = (date_time_ymd(2023, 1, 1), date_time_ymd(2025, 1, 1));
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    (root.not_before, root.not_after) = dates;
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(DnType::CommonName, "Root");
    let root_certificate = root.self_signed(&root_key).unwrap();
    let mut leaf = CertificateParams::new(Vec::new()).unwrap();
    (leaf.not_before, leaf.not_after) = dates;
    leaf.distinguished_name.push(DnType::CommonName, "Time");
    let mut usages = CustomExtension::from_oid_content(&[2, 5, 29, 37], sequence(&[&oid(usage)]));
    usages.set_criticality(critical);
    leaf.custom_extensions.push(usages);
    let leaf_key = KeyPair::try_from(key.pkcs8.as_slice()).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &Issuer::new(root, root_key)).unwrap();
    (leaf.der().to_vec(), root_certificate.der().to_vec())
}

impl TestAuthority {
    pub(crate) fn new() -> Self {
        Self::with_usage(TIME_STAMPING, true)
    }

    pub(crate) fn with_usage(usage: &[u8], critical: bool) -> Self {
        let key = TestKey::new();
        let (leaf, root) = certificates(&key, usage, critical);
        let (now, fault) = (Mutex::new("20231114221320"), Mutex::new(Fault::Nothing));
        Self { key, leaf, root, now, fault }
    }

    /// As a trusted root has it.
    pub(crate) fn authority(&self) -> Authority {
        Authority {
            url: "https://timestamp.example.com".to_owned(),
            certificates: vec![self.leaf.clone().into(), self.root.clone().into()],
            valid: Validity::default(),
        }
    }

    /// With the root alone: the leaf has to be in the timestamp.
    pub(crate) fn root_only(&self) -> Authority {
        Authority { certificates: vec![self.root.clone().into()], ..self.authority() }
    }

    pub(crate) fn pem(&self) -> String {
        let pem = |der: &[u8]| {
            let document = der::Document::try_from(der).unwrap();
            document.to_pem("CERTIFICATE", der::pem::LineEnding::LF).unwrap()
        };
        pem(&self.leaf) + &pem(&self.root)
    }

    pub(crate) fn set(&self, now: &'static str, fault: Fault) {
        *self.now.lock().unwrap() = now;
        *self.fault.lock().unwrap() = fault;
    }

    /// A `TimeStampResp` over these bytes.
    pub(crate) fn stamp(&self, signature: &[u8]) -> Vec<u8> {
        self.respond(&sha256(signature), &[0x55; 8])
    }

    fn respond(&self, imprint: &[u8], nonce: &[u8]) -> Vec<u8> {
        let (now, fault) = (*self.now.lock().unwrap(), *self.fault.lock().unwrap());
        if fault == Fault::Refused {
            let said = sequence(&[&tlv(0x0c, &[b"not today"])]);
            return sequence(&[&sequence(&[&[2, 1, 2], &said])]);
        }
        let imprint = if fault == Fault::OtherImprint { &[7; 32] } else { imprint };
        let nonce = if fault == Fault::OtherNonce { &[0x42; 8] } else { nonce };
        let fraction: &[u8] = if fault == Fault::Fraction { b".25Z" } else { b"Z" };
        let info = sequence(&[
            &[2, 1, 1],
            &oid(&[0x2a, 3, 4]),
            &sequence(&[&sequence(&[&oid(SHA256), &[5, 0]]), &tlv(4, &[imprint])]),
            &[2, 1, 9],
            &tlv(0x18, &[now.as_bytes(), fraction]),
            // An accuracy of one second.
            &sequence(&[&[2, 1, 1]]),
            &tlv(2, &[nonce]),
        ]);
        let token = self.token(info, fault);
        sequence(&[&sequence(&[&[2, 1, 0]]), &token])
    }

    fn token(&self, info: Vec<u8>, fault: Fault) -> Vec<u8> {
        let hash = sequence(&[&oid(SHA256)]);
        let attributes = self.attributes(&info, fault);
        let other = TestKey::new();
        let key = if fault == Fault::OtherKey { &other } else { &self.key };
        let signature = key.sign(&tlv(0x31, &[&attributes]));
        let mut info = info;
        if fault == Fault::Changed {
            let at = info.windows(4).position(|part| part == b"2023").unwrap();
            info[at + 3] = b'4';
        }
        let certificate = Certificate::from_der(&self.leaf).unwrap();
        let tbs = certificate.tbs_certificate();
        let signer = sequence(&[
            &[2, 1, 1],
            &sequence(&[&tbs.issuer().to_der().unwrap(), &tbs.serial_number().to_der().unwrap()]),
            &hash,
            &tlv(0xa0, &[&attributes]),
            &sequence(&[&oid(ECDSA_SHA256)]),
            &tlv(4, &[&signature]),
        ]);
        let embedded = match fault {
            Fault::NotEmbedded => Vec::new(),
            _ => tlv(0xa0, &[&self.leaf]),
        };
        let signed = sequence(&[
            &[2, 1, 3],
            &tlv(0x31, &[&hash]),
            &sequence(&[&oid(TST_INFO), &tlv(0xa0, &[&tlv(4, &[&info])])]),
            &embedded,
            &tlv(0x31, &[&signer]),
        ]);
        sequence(&[&oid(SIGNED_DATA), &tlv(0xa0, &[&signed])])
    }

    fn attributes(&self, info: &[u8], fault: Fault) -> Vec<u8> {
        let attribute = |name: &[u8], value: &[u8]| sequence(&[&oid(name), &tlv(0x31, &[value])]);
        let named = if fault == Fault::NamesAnother { &self.root } else { &self.leaf };
        let certificate = sequence(&[&sequence(&[&sequence(&[&tlv(4, &[&sha256(named)])])])]);
        let mut all = vec![
            attribute(CONTENT_TYPE, &oid(TST_INFO)),
            attribute(MESSAGE_DIGEST, &tlv(4, &[&sha256(info)])),
            attribute(SIGNING_CERTIFICATE_V2, &certificate),
        ];
        if fault == Fault::NamesNone {
            all.pop();
        }
        all.sort();
        all.concat()
    }
}

impl Answers for TestAuthority {
    fn answer(&self, request: &str, body: &[u8]) -> Reply {
        if *self.fault.lock().unwrap() == Fault::Throttled {
            return Reply::new(429, "");
        }
        match request {
            "POST /api/v1/timestamp" => {
                let mut reader = SliceReader::new(body).unwrap();
                let reply = reader.sequence(|reader| {
                    let _version: AnyRef<'_> = reader.decode()?;
                    let imprint = reader.sequence(|imprint| {
                        let _algorithm: AnyRef<'_> = imprint.decode()?;
                        imprint.decode::<&OctetStringRef>()
                    })?;
                    let nonce: UintRef<'_> = reader.decode()?;
                    let asked: bool = reader.decode()?;
                    assert!(asked, "the certificate is asked for");
                    Ok::<_, der::Error>(self.respond(imprint.as_bytes(), nonce.as_bytes()))
                });
                Reply::new(201, reply.unwrap())
            }
            "GET /api/v1/timestamp/certchain" => Reply::new(200, self.pem()),
            _ => Reply::new(404, ""),
        }
    }
}
