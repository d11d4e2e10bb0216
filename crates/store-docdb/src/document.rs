//! A record as the fields of a document, and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::dsse::Envelope;
use chains_core::{Error, ErrorKind, Record, Result, Signed, Stored};
use serde_json::Value;

/// Names of fields; those of the reference's Go structure.
pub(crate) mod field {
    pub(crate) const NAME: &str = "Name";
    pub(crate) const SIGNED: &str = "Signed";
    pub(crate) const SIGNATURE: &str = "Signature";
    pub(crate) const CERTIFICATE: &str = "Cert";
    pub(crate) const CHAIN: &str = "Chain";
    pub(crate) const OBJECT: &str = "Object";
}

/// The longest name that each of the databases takes, in bytes.
const LONGEST_NAME: usize = 1000;

/// What is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) signed: Bytes,
    pub(crate) signature: Option<String>,
    pub(crate) certificate: String,
    pub(crate) chain: String,
    pub(crate) object: Value,
}

/// What is read: whoever may write to the collection may have written it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Found {
    pub(crate) signed: Bytes,
    pub(crate) signature: String,
    pub(crate) certificate: String,
    pub(crate) chain: String,
}

impl Document {
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where the payload is not JSON, or the key is no name of a document.
    pub(crate) fn of(record: &Record) -> Result<Self> {
        let name = record.key.short.clone();
        check_name(&name)?;
        let signature = record.signed.as_ref().map(|signed| match signed {
            Signed::Dsse(envelope) => STANDARD.encode(envelope.to_json()),
            Signed::Detached(signature) => STANDARD.encode(signature),
        });
        let material = record.material.as_deref();
        let pem = |pem: Option<&String>| pem.cloned().unwrap_or_default();
        let object = serde_json::from_slice(&record.payload.bytes).map_err(|e| {
            Error::new(ErrorKind::InvalidInput, "reading the payload as JSON").with_source(e)
        })?;
        Ok(Self {
            name,
            signed: record.payload.bytes.clone(),
            signature,
            certificate: pem(material.and_then(|material| material.certificate.as_ref())),
            chain: pem(material.and_then(|material| material.chain.as_ref())),
            object,
        })
    }

    /// The fields besides the name in the order of the reference's structure. Texts are written by `text`, and what each
    /// database has in a way of its own is given.
    pub(crate) fn fields<T>(
        &self,
        signed: T,
        object: T,
        text: impl Fn(&str) -> T,
    ) -> impl Iterator<Item = (&'static str, T)> {
        let signature = self.signature.as_deref().map(|it| (field::SIGNATURE, text(it)));
        let certificate = (field::CERTIFICATE, text(&self.certificate));
        let chain = (field::CHAIN, text(&self.chain));
        let others = [certificate, chain, (field::OBJECT, object)];
        [(field::SIGNED, signed)].into_iter().chain(signature).chain(others)
    }

    /// Whether this very document was found. `Object` follows from `Signed` and is not compared.
    pub(crate) fn is(&self, found: &Found) -> bool {
        self.signed == found.signed
            && self.signature.as_deref().unwrap_or_default() == found.signature
            && self.certificate == found.certificate
            && self.chain == found.chain
    }
}

/// How a service's JSON says of which type a value is: `{"S": "a text"}`.
#[cfg(any(feature = "dynamodb", feature = "firestore"))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Types {
    pub(crate) null: &'static str,
    pub(crate) text: &'static str,
    /// As a text in base64.
    pub(crate) bytes: &'static str,
}

impl Found {
    /// What was read: the payload, and texts by the names of their fields; `None` is what is not of its type.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the field that is missing or of another type.
    pub(crate) fn read(
        what: &str,
        signed: Option<Vec<u8>>,
        text: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let text = |name| text(name).ok_or_else(|| unreadable(what, name));
        Ok(Self {
            signed: signed.ok_or_else(|| unreadable(what, field::SIGNED))?.into(),
            signature: text(field::SIGNATURE)?,
            certificate: text(field::CERTIFICATE)?,
            chain: text(field::CHAIN)?,
        })
    }

    /// What was read as JSON that says of which types values are.
    ///
    /// # Errors
    /// As of [`Found::read`].
    #[cfg(any(feature = "dynamodb", feature = "firestore"))]
    pub(crate) fn read_json(what: &str, fields: Option<&Value>, types: Types) -> Result<Self> {
        let get = |name: &str| fields.and_then(|fields| fields.get(name));
        let typed = |it: &Value, name| it.get(name).and_then(Value::as_str).map(str::to_owned);
        let signed = get(field::SIGNED).and_then(|it| typed(it, types.bytes));
        let signed = signed.and_then(|text| STANDARD.decode(text).ok());
        Self::read(what, signed, |name| match get(name) {
            None => Some(String::new()),
            Some(it) if it.get(types.null).is_some() => Some(String::new()),
            Some(it) => typed(it, types.text),
        })
    }

    /// # Errors
    /// [`ErrorKind::InvalidInput`] where the signature is not base64.
    pub(crate) fn into_stored(self, location: String) -> Result<Stored> {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let signed = match some(self.signature) {
            Some(text) => Some(signed(&text, &location)?),
            None => None,
        };
        let (certificate, chain) = (some(self.certificate), some(self.chain));
        Ok(Stored { location, payload: self.signed, signed, certificate, chain })
    }
}

/// What is an envelope's JSON is an envelope; every other signature is detached.
fn signed(text: &str, location: &str) -> Result<Signed> {
    let bytes = STANDARD.decode(text).map_err(|e| {
        let what = format!("reading the field {} of {location}", field::SIGNATURE);
        Error::new(ErrorKind::InvalidInput, what).with_source(e)
    })?;
    Ok(Envelope::from_json(&bytes).map_or_else(|_| Signed::Detached(bytes.into()), Signed::Dsse))
}

/// # Errors
/// [`ErrorKind::InvalidInput`] where it could name another document, or none.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let why = if name.is_empty() || name.len() > LONGEST_NAME {
        format!("it has {} bytes: 1 to {LONGEST_NAME} are allowed", name.len())
    } else if let Some(odd) = name.chars().find(|c| c.is_control() || *c == '/') {
        format!("it holds {odd:?}")
    } else if matches!(name, "." | "..") || name.starts_with("__") {
        "databases keep such names for themselves".to_owned()
    } else {
        return Ok(());
    };
    let what = format!("naming a document {name:?}");
    Err(Error::new(ErrorKind::InvalidInput, what).with_source(why))
}

/// A field that is there and is not what it must be.
fn unreadable(what: &str, field: &str) -> Error {
    let why = format!("the field {field} of the document is not what Chains writes");
    Error::new(ErrorKind::InvalidInput, what).with_source(why)
}

/// Every number as a floating point one, as Go reads JSON of no type.
pub(crate) fn float(number: &serde_json::Number) -> f64 {
    number.as_f64().unwrap_or(f64::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use chains_testkit::fixture;

    use super::*;

    /// A document with this payload, of which one text is empty.
    pub(crate) fn document(json: &'static str) -> Document {
        Document {
            name: "taskrun-1".to_owned(),
            signed: Bytes::from_static(json.as_bytes()),
            signature: Some("c2ln".to_owned()),
            certificate: String::new(),
            chain: "PEM".to_owned(),
            object: serde_json::from_str(json).unwrap(),
        }
    }

    #[test]
    fn a_record_becomes_the_fields_of_the_reference() {
        let run = fixture::run("fields");
        let record = fixture::run_record(&run);
        let document = Document::of(&record).unwrap();
        assert_eq!(document.name, format!("taskrun-{}", run.uid));
        assert_eq!(document.object["_type"], "https://in-toto.io/Statement/v1");
        let envelope = STANDARD.decode(document.signature.as_deref().unwrap()).unwrap();
        assert_eq!(Some(Signed::Dsse(Envelope::from_json(&envelope).unwrap())), record.signed);

        let unsigned = Document::of(&fixture::unsigned_record(&run)).unwrap();
        assert_eq!(unsigned.signature, None);
        assert_eq!((unsigned.certificate.as_str(), unsigned.chain.as_str()), ("", ""));
    }

    #[test]
    fn what_was_written_is_found_again_and_nothing_else() {
        for record in chains_testkit::store::records("found") {
            let document = Document::of(&record).unwrap();
            let found = Found {
                signed: document.signed.clone(),
                signature: document.signature.clone().unwrap_or_default(),
                ..Found::default()
            };
            assert!(document.is(&found));
            assert!(!document.is(&Found { signature: "YWJj".to_owned(), ..found.clone() }));
            assert!(!document.is(&Found { chain: "PEM".to_owned(), ..found.clone() }));
            let stored = found.into_stored("there".to_owned()).unwrap();
            assert_eq!((stored.payload, stored.signed), (record.payload.bytes, record.signed));
            assert_eq!((stored.certificate, stored.chain), (None, None));
        }
        let broken = Found { signature: "%".to_owned(), ..Found::default() };
        let error = broken.into_stored("mongo://db/runs/x".to_owned()).unwrap_err().report();
        assert!(error.starts_with("reading the field Signature of mongo://db/runs/x"), "{error}");
    }

    #[test]
    fn names_that_would_be_others_are_refused() {
        for name in ["", "..", "a/b", "__x__", "a\0b", &"x".repeat(1001)] {
            check_name(name).expect_err(name);
        }
        check_name("taskrun-5d1e0c6e").unwrap();
        let mut record = fixture::unsigned_record(&fixture::run("text"));
        record.payload.bytes = Bytes::from_static(b"no JSON");
        let error = Document::of(&record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
