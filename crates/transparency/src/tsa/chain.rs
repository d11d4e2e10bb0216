//! From an authority's certificate to its root.

use bytes::Bytes;
use chains_core::Result;
use der::{Decode as _, Encode as _};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_cert::Certificate;
use x509_cert::ext::pkix::BasicConstraints;

use super::verify::{MAX_CERTIFICATES, unreadable};
use crate::fault::failed;
use crate::root::Authority;
use crate::time::{of_certificate, show};

/// The value of the DER of `id-kp-timeStamping`.
const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];

/// What an authority's timestamps are verified with.
pub(super) struct Chain {
    /// The certificate that signs, where the authority is known with it.
    pub(super) leaf: Option<Certificate>,
    intermediates: Vec<CertificateDer<'static>>,
    root: CertificateDer<'static>,
    root_valid: (i64, i64),
}

impl Chain {
    pub(super) fn read(authority: &Authority) -> Result<Self> {
        let odd = |why: &str| {
            failed(format!("timestamp: certificate: of the authority {:?}: {why}", authority.url))
        };
        let ders = &authority.certificates;
        if ders.len() > MAX_CERTIFICATES {
            return Err(odd("it has too many"));
        }
        let read = |der: &Bytes| Certificate::from_der(der).map_err(|e| odd(&e.to_string()));
        let parsed = ders.iter().map(read).collect::<Result<Vec<_>>>()?;
        let (Some(root), Some(root_der)) = (parsed.last(), ders.last()) else {
            return Err(odd("it has none"));
        };
        if !is_ca(root) {
            return Err(odd("the last is no root"));
        }
        let owned = |der: &Bytes| CertificateDer::from(der.to_vec());
        let between = parsed.iter().zip(ders).take(ders.len() - 1).filter(|(one, _)| is_ca(one));
        let validity = root.tbs_certificate().validity();
        Ok(Self {
            leaf: parsed.first().filter(|first| !is_ca(first)).cloned(),
            intermediates: between.map(|(_, der)| owned(der)).collect(),
            root: owned(root_der),
            root_valid: (of_certificate(validity.not_before), of_certificate(validity.not_after)),
        })
    }

    /// A path from the certificate to the root, each certificate of which is valid at this time.
    pub(super) fn check(
        &self,
        certificate: &Certificate,
        embedded: &[Certificate],
        time: i64,
    ) -> Result<()> {
        let odd = |why: &str| failed(format!("timestamp: certificate: {why}"));
        if time < self.root_valid.0 || time > self.root_valid.1 {
            let time = show(time);
            return Err(odd(&format!("the authority's root is not valid at {time}")));
        }
        let der = |certificate: &Certificate| {
            certificate.to_der().map(CertificateDer::from).map_err(unreadable)
        };
        let leaf = der(certificate)?;
        let leaf = webpki::EndEntityCert::try_from(&leaf).map_err(|e| odd(&told(&e)))?;
        let anchor = webpki::anchor_from_trusted_cert(&self.root).map_err(|e| odd(&told(&e)))?;
        let mut between = self.intermediates.clone();
        for other in embedded.iter().filter(|other| *other != certificate && is_ca(other)) {
            between.push(der(other)?);
        }
        let seconds = u64::try_from(time).map_err(|_| odd("the time is before 1970"))?;
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            &between,
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)),
            webpki::KeyUsage::required_if_present(TIME_STAMPING),
            None,
            None,
        )
        .map(drop)
        .map_err(|e| odd(&format!("at {}: {}", show(time), told(&e))))
    }
}

fn is_ca(certificate: &Certificate) -> bool {
    let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>();
    matches!(constraints, Ok(Some((_, BasicConstraints { ca: true, .. }))))
}

/// What is wrong with a certificate, in the library's word for it.
fn told(error: &webpki::Error) -> String {
    match error {
        webpki::Error::CertExpired { .. } => "it is not valid any more".to_owned(),
        webpki::Error::CertNotValidYet { .. } => "it is not valid yet".to_owned(),
        webpki::Error::UnknownIssuer => "it does not lead to the authority's root".to_owned(),
        other => format!("{other:?}"),
    }
}
