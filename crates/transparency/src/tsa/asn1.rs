//! The few types of [RFC 3161](https://www.rfc-editor.org/rfc/rfc3161) and [RFC 5035](https://www.rfc-editor.org/rfc/rfc5035)
//! that `cms` has not.

use cms::content_info::ContentInfo;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{DateTime, Decode, Encode, Reader, Sequence, SliceReader, Tag, Tagged};

pub(super) const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
pub(super) const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
pub(super) const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// An algorithm whose parameters do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Sequence)]
pub(super) struct Algorithm<'a> {
    pub(super) oid: ObjectIdentifier,
    pub(super) parameters: Option<AnyRef<'a>>,
}

/// What is timestamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Sequence)]
pub(super) struct MessageImprint<'a> {
    pub(super) algorithm: Algorithm<'a>,
    pub(super) hash: &'a OctetStringRef,
}

/// `TimeStampReq` (§2.4.1), as far as it is used.
#[derive(Sequence)]
struct Request<'a> {
    version: u8,
    imprint: MessageImprint<'a>,
    nonce: UintRef<'a>,
    cert_req: bool,
}

/// A request to timestamp what has this SHA-256, the authority's certificate included.
pub(super) fn request(sha256: &[u8], nonce: &[u8]) -> der::Result<Vec<u8>> {
    let algorithm = Algorithm { oid: SHA256, parameters: Some(AnyRef::NULL) };
    Request {
        version: 1,
        imprint: MessageImprint { algorithm, hash: OctetStringRef::new(sha256)? },
        nonce: UintRef::new(nonce)?,
        cert_req: true,
    }
    .to_der()
}

/// `TimeStampResp` (§2.4.2).
#[derive(Debug)]
pub(super) struct Response {
    /// 0 and 1 grant it.
    pub(super) status: u8,
    /// What the authority says of it.
    pub(super) said: Option<String>,
    pub(super) token: Option<ContentInfo>,
}

impl Response {
    pub(super) fn from_der(der: &[u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let response = reader.sequence(|reader| {
            let (status, said) = reader.sequence(|info| {
                let status: u8 = info.decode()?;
                let mut said = None;
                while !info.is_finished() {
                    let any: AnyRef<'_> = info.decode()?;
                    if any.tag() == Tag::Sequence {
                        said = Some(texts(any)?);
                    } else {
                        any.decode_as::<BitStringRef<'_>>()?;
                    }
                }
                Ok::<_, der::Error>((status, said))
            })?;
            let token = if reader.is_finished() { None } else { Some(reader.decode()?) };
            Ok::<_, der::Error>(Self { status, said, token })
        })?;
        reader.finish()?;
        Ok(response)
    }
}

/// `PKIFreeText`: texts, one after the other.
fn texts(any: AnyRef<'_>) -> der::Result<String> {
    let mut all = Vec::new();
    let mut reader = SliceReader::new(any.value())?;
    while !reader.is_finished() {
        all.push(reader.decode::<String>()?);
    }
    Ok(all.join(" "))
}

/// `TSTInfo` (§2.4.2): what the authority signed.
#[derive(Debug)]
pub(super) struct TstInfo<'a> {
    pub(super) imprint: MessageImprint<'a>,
    /// Seconds since 1970; parts of a second are dropped.
    pub(super) time: i64,
    /// Without zero bytes in front.
    pub(super) nonce: Option<&'a [u8]>,
}

impl<'a> TstInfo<'a> {
    pub(super) fn from_der(der: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let info = reader.sequence(|reader| {
            let version: u8 = reader.decode()?;
            if version != 1 {
                return Err(Tag::Integer.value_error().into());
            }
            let _policy: ObjectIdentifier = reader.decode()?;
            let imprint = reader.decode()?;
            let _serial: AnyRef<'_> = reader.decode()?;
            let time = time(reader.decode()?)?;
            let mut nonce = None;
            // Accuracy, ordering, nonce, name and extensions follow, each with its own tag, each optional.
            while !reader.is_finished() {
                let any: AnyRef<'a> = reader.decode()?;
                if any.tag() == Tag::Integer {
                    nonce = Some(any.decode_as::<UintRef<'a>>()?.as_bytes());
                }
            }
            Ok::<_, der::Error>(Self { imprint, time, nonce })
        })?;
        reader.finish()?;
        Ok(info)
    }
}

/// A `GeneralizedTime` that may have parts of a second, as §2.4.2 allows and `der` does not.
fn time(any: AnyRef<'_>) -> der::Result<i64> {
    let odd = || der::Error::from(Tag::GeneralizedTime.value_error());
    if any.tag() != Tag::GeneralizedTime {
        return Err(odd());
    }
    let text = std::str::from_utf8(any.value()).map_err(|_| odd())?;
    let text = text.strip_suffix('Z').ok_or_else(odd)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !digits(fraction) {
        return Err(odd());
    }
    let two = |at: usize| whole[at..at + 2].parse::<u8>().map_err(|_| odd());
    let year = whole[..4].parse().map_err(|_| odd())?;
    let moment = DateTime::new(year, two(4)?, two(6)?, two(8)?, two(10)?, two(12)?)?;
    i64::try_from(moment.unix_duration().as_secs()).map_err(|_| odd())
}

/// The hash of the signer's certificate in `SigningCertificate` ([RFC 2634 §5.4](https://www.rfc-editor.org/rfc/rfc2634#section-5.4))
/// and `SigningCertificateV2` (RFC 5035 §3): the first certificate's, with its algorithm where one is named.
pub(super) fn signing_certificate(der: &[u8]) -> der::Result<(Option<ObjectIdentifier>, Vec<u8>)> {
    let first = |reader: &mut SliceReader<'_>| {
        let mut algorithm = None;
        let mut hash = None;
        while !reader.is_finished() {
            let any: AnyRef<'_> = reader.decode()?;
            match any.tag() {
                Tag::Sequence if hash.is_none() => {
                    algorithm = Some(any.decode_as::<Algorithm<'_>>()?.oid);
                }
                Tag::OctetString if hash.is_none() => hash = Some(any.value().to_vec()),
                _ => {}
            }
        }
        let hash = hash.ok_or_else(|| der::Error::from(Tag::OctetString.value_error()))?;
        Ok::<_, der::Error>((algorithm, hash))
    };
    let outer = AnyRef::from_der(der)?;
    let mut outer = SliceReader::new(of_sequence(outer)?)?;
    let certificates: AnyRef<'_> = outer.decode()?;
    let mut certificates = SliceReader::new(of_sequence(certificates)?)?;
    let certificate: AnyRef<'_> = certificates.decode()?;
    first(&mut SliceReader::new(of_sequence(certificate)?)?)
}

fn of_sequence(any: AnyRef<'_>) -> der::Result<&[u8]> {
    any.tag().assert_eq(Tag::Sequence)?;
    Ok(any.value())
}
