//! Whose certificate it is, and whether it held at a time: for those who verify.

use std::time::SystemTime;

use chains_core::{Error, ErrorKind, PublicKey, Result};
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::certificate::Certificates;
use crate::{Trust, sct};

/// The issuer of the identity token as bare text
/// ([the registry of these numbers](https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md)).
const ISSUER_V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
/// The same as an ASN.1 string.
const ISSUER_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
/// A name of a user, as another name of the subject.
const USERNAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// Whose certificate it is, as Fulcio has it from the identity token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The names of the subject: addresses of mail, URIs, names of hosts and of users.
    pub subjects: Vec<String>,
    /// The issuer of the identity token.
    pub issuer: Option<String>,
}

impl Identity {
    /// Reads it from a DER certificate, which is not verified by that.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is no certificate, or its names cannot be read.
    pub fn of_certificate(der: &[u8]) -> Result<Self> {
        let odd = |why: String| {
            Error::new(ErrorKind::InvalidInput, "reading the signer's certificate").with_source(why)
        };
        let certificate = Certificate::from_der(der).map_err(|e| odd(e.to_string()))?;
        let tbs = certificate.tbs_certificate();
        let names = tbs.get_extension::<SubjectAltName>().map_err(|e| odd(e.to_string()))?;
        let names = names.map(|(_, names)| names.0).unwrap_or_default();
        let find = |id| {
            let mut extensions = tbs.extensions().into_iter().flatten();
            extensions.find(|one| one.extn_id == id).map(|one| one.extn_value.as_bytes())
        };
        let v2 = find(ISSUER_V2).and_then(|der| Utf8StringRef::from_der(der).ok());
        let v1 = || find(ISSUER_V1).and_then(|text| std::str::from_utf8(text).ok());
        Ok(Self {
            subjects: names.iter().filter_map(subject).collect(),
            issuer: v2.map(|text| text.as_str()).or_else(v1).map(str::to_owned),
        })
    }
}

fn subject(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::Rfc822Name(text)
        | GeneralName::DnsName(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.to_string()),
        GeneralName::OtherName(other) if other.type_id == USERNAME => {
            other.value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.as_str().to_owned())
        }
        _ => None,
    }
}

/// A certificate that held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCertificate {
    /// Its key.
    pub key: PublicKey,
    /// Whose it is.
    pub identity: Identity,
}

/// Checks that a certificate was valid at this time, led up to an authority of the trust then, is for signing code,
/// and was promised to be shown by one of its logs, where the trust has any.
///
/// `above` are the certificates that came with it, PEM, which need not be complete: those of the trust are used too.
///
/// # Errors
/// [`ErrorKind::Verification`] beginning with `certificate:` and the check; [`ErrorKind::InvalidInput`] where it cannot
/// be read.
pub fn verify_certificate(
    pem: &str,
    above: Option<&str>,
    trust: &Trust,
    at: SystemTime,
) -> Result<VerifiedCertificate> {
    let pems: Vec<String> = std::iter::once(pem).chain(above).map(str::to_owned).collect();
    let odd = |why: String| {
        Error::new(ErrorKind::InvalidInput, "reading the signer's certificate").with_source(why)
    };
    let certificates = Certificates::read(&pems).map_err(odd)?;
    let spki = certificates.leaf().tbs_certificate().subject_public_key_info().to_der();
    let key = PublicKey::from_spki_der(&spki.map_err(|e| odd(e.to_string()))?)?;
    let refused = |why: String| Error::new(ErrorKind::Verification, format!("certificate: {why}"));
    let (start, end) = certificates.validity();
    if at < start || at > end {
        let why = "it was not valid when it was used: it had ended, or had not begun";
        return Err(refused(why.to_owned()));
    }
    certificates.check(&key, Some(trust), at).map_err(refused)?;
    sct::check(&certificates, None, trust).map_err(refused)?;
    Ok(VerifiedCertificate { key, identity: Identity::of_certificate(certificates.der())? })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::{Authority, CtLog, Window};

    fn fixture(name: &str) -> String {
        let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).expect("a fixture")
    }

    fn public_trust() -> Trust {
        let authority = Authority::from_pem(&fixture("public-chain.pem"), Window::default());
        let key = PublicKey::from_pem(&fixture("public-ct.pub")).expect("a key");
        Trust {
            authorities: vec![authority.expect("an authority")],
            ct_logs: vec![CtLog { key, valid: Window::default() }],
        }
    }

    fn validity() -> (SystemTime, SystemTime) {
        Certificates::read(&[fixture("public-leaf.pem")]).expect("a certificate").validity()
    }

    #[test]
    fn a_certificate_of_the_public_instance_tells_whose_it_is() {
        let (start, _) = validity();
        let verified =
            verify_certificate(&fixture("public-leaf.pem"), None, &public_trust(), start);
        let identity = verified.expect("it holds").identity;
        assert_eq!(identity.subjects.len(), 1, "{identity:?}");
        assert!(identity.issuer.is_some_and(|issuer| issuer.starts_with("https://")));
    }

    #[track_caller]
    fn refused(at: SystemTime, trust: &Trust, words: &str) {
        let error =
            verify_certificate(&fixture("public-leaf.pem"), None, trust, at).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Verification);
        assert!(error.report().contains(words), "{}", error.report());
    }

    #[test]
    fn what_does_not_hold_is_told() {
        let (start, end) = validity();
        refused(end + Duration::from_secs(1), &public_trust(), "certificate: it was not valid");
        refused(UNIX_EPOCH, &public_trust(), "certificate: it was not valid");
        let others = Trust { ct_logs: Vec::new(), authorities: Vec::new() };
        refused(start, &others, "certificate: none of the trusted authorities");
        let key = PublicKey::from_pem(&fixture("extensions-ct.pub")).expect("a key");
        let log = CtLog { key, valid: Window::default() };
        let other_log = Trust { ct_logs: vec![log], ..public_trust() };
        refused(start, &other_log, "certificate: no promise of a certificate transparency log");
    }
}
