//! Whose certificate it is, and whether it held at a time: for those who verify.

use std::time::SystemTime;

use chains_core::{Error, ErrorKind, PublicKey, Result};
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::certificate::{Certificates, der_of_one};
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

/// DER of a PEM text that somebody shows: of exactly one certificate, with nothing around it.
///
/// All that is then checked has to be checked of what this returns: two readers of the same text may find two
/// certificates in it.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] where it is anything else.
pub fn certificate_der(pem: &str) -> Result<Vec<u8>> {
    der_of_one(pem).map_err(|why| {
        Error::new(ErrorKind::InvalidInput, "reading the signer's certificate").with_source(why)
    })
}

/// A certificate that held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCertificate {
    /// Its key.
    pub key: PublicKey,
    /// Whose it is.
    pub identity: Identity,
}

/// Checks that a DER certificate was valid at this time, led up to an authority of the trust then, is for signing code,
/// and was promised to be shown by one of its logs, where the trust has any.
///
/// `above` are the certificates that came with it, PEM, which need not be complete: those of the trust are used too.
///
/// # Errors
/// [`ErrorKind::Verification`] beginning with `certificate:` and the check; [`ErrorKind::InvalidInput`] where it cannot
/// be read.
pub fn verify_certificate(
    der: &[u8],
    above: Option<&str>,
    trust: &Trust,
    at: SystemTime,
) -> Result<VerifiedCertificate> {
    let odd = |why: String| {
        Error::new(ErrorKind::InvalidInput, "reading the signer's certificate").with_source(why)
    };
    let certificates = Certificates::of(der, above).map_err(odd)?;
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

    fn leaf() -> Vec<u8> {
        certificate_der(&fixture("public-leaf.pem")).expect("a certificate")
    }

    fn validity() -> (SystemTime, SystemTime) {
        Certificates::read(&[fixture("public-leaf.pem")]).expect("a certificate").validity()
    }

    #[test]
    fn a_certificate_of_the_public_instance_tells_whose_it_is() {
        let (start, _) = validity();
        let verified = verify_certificate(&leaf(), None, &public_trust(), start);
        let identity = verified.expect("it holds").identity;
        assert_eq!(identity.subjects.len(), 1, "{identity:?}");
        assert!(identity.issuer.is_some_and(|issuer| issuer.starts_with("https://")));
    }

    #[track_caller]
    fn refused(at: SystemTime, trust: &Trust, words: &str) {
        let error = verify_certificate(&leaf(), None, trust, at).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Verification);
        assert!(error.report().contains(words), "{}", error.report());
    }

    #[test]
    fn a_text_with_anything_but_one_certificate_is_refused() {
        let pem = fixture("public-leaf.pem");
        let other = fixture("extensions-leaf.pem");
        assert_eq!(certificate_der(&format!("\r\n{pem}\n")).expect("a certificate"), leaf());
        let texts = [
            format!("x{pem}{other}"),
            format!("{pem}{other}"),
            format!("text\n{pem}"),
            format!("{pem}text"),
            pem.replace("CERTIFICATE", "PUBLIC KEY"),
            String::new(),
        ];
        for text in texts {
            let error = certificate_der(&text).expect_err(&text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.report().contains("exactly one certificate"), "{}", error.report());
        }
        let (start, _) = validity();
        let chain = fixture("public-chain.pem");
        let error = verify_certificate(&[], Some(&chain), &public_trust(), start);
        assert_eq!(error.expect_err("no leaf").kind(), ErrorKind::InvalidInput);
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
