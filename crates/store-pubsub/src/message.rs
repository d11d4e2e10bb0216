//! A record as a message, laid out as the reference does it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::{Error, ErrorKind, Record, Result, Signed};
use sha2::{Digest as _, Sha256};

/// The header with what was signed, base64.
pub(crate) const PAYLOAD: &str = "payload";
/// The header with the same as the body.
pub(crate) const SIGNATURE: &str = "signature";

/// Tells messages apart.
pub(crate) type Fingerprint = [u8; 32];

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The record's short key.
    pub(crate) key: String,
    /// The envelope as JSON, or the bare signature; the header [`SIGNATURE`] has the same.
    pub(crate) body: Bytes,
    /// The header [`PAYLOAD`].
    pub(crate) payload: Bytes,
}

impl Message {
    /// Lays a record out.
    pub(crate) fn of(record: &Record) -> Result<Self> {
        let body = match &record.signed {
            Some(Signed::Dsse(envelope)) => Bytes::from(envelope.to_json()),
            Some(Signed::Detached(signature)) => signature.clone(),
            None => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "a message is a signature with what was signed, and there is no signature: \
                     choose a signer, or another store",
                ));
            }
        };
        let payload = STANDARD.encode(&record.payload.bytes).into();
        Ok(Self { key: record.key.short.clone(), body, payload })
    }

    /// How many bytes it has, its headers included.
    pub(crate) fn size(&self) -> usize {
        self.key.len() + 2 * self.body.len() + self.payload.len()
    }

    /// The same for the same message only.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        for part in [self.key.as_bytes(), &self.body, &self.payload] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use chains_core::dsse::Envelope;
    use chains_testkit::fixture;

    use super::*;

    #[test]
    fn a_run_is_an_envelope_twice_and_its_payload() {
        let record = fixture::run_record(&fixture::run("build"));
        let message = Message::of(&record).unwrap();
        assert_eq!(message.key, format!("taskrun-{}", record.run.uid));
        let envelope = Envelope::from_json(&message.body).unwrap();
        assert_eq!(envelope.payload, record.payload.bytes);
        assert_eq!(STANDARD.decode(&message.payload).unwrap(), record.payload.bytes);
        assert_eq!(
            message.size(),
            message.key.len() + 2 * message.body.len() + message.payload.len()
        );
    }

    #[test]
    fn an_image_is_the_bare_signature() {
        let run = fixture::run("build");
        let record = fixture::image_record(&run, &fixture::image("app"));
        let message = Message::of(&record).unwrap();
        assert_eq!(message.body, record.signed.as_ref().unwrap().signature());
        assert_eq!(message.key.len(), 12);
    }

    #[test]
    fn what_differs_in_anything_has_another_fingerprint() {
        let message = |key: &str, body: &'static str, payload: &'static str| Message {
            key: key.into(),
            body: body.into(),
            payload: payload.into(),
        };
        let all = [
            message("a", "b", "c"),
            message("ab", "", "c"),
            message("a", "bc", ""),
            message("a", "b", "d"),
        ];
        for (number, one) in all.iter().enumerate() {
            for (other, another) in all.iter().enumerate() {
                assert_eq!(one.fingerprint() == another.fingerprint(), number == other);
            }
        }
    }
}
