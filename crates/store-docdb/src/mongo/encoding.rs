//! Documents in BSON, as go-cloud's docstore encodes Go's structures:
//! <https://pkg.go.dev/gocloud.dev/docstore/mongodocstore>.
//!
//! The field that is the id is not there under its own name; with `id_field=name`, `Name` is another field and stays.
//! A revision is kept for structures with a field for it, which the reference's has not.

use chains_core::{Error, ErrorKind, Result};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, RawBsonRef, RawDocument, RawDocumentBuf, doc};
use serde_json::Value;

use super::fault;
use crate::document::{Document, Found, field, float};

/// The longest document that the server takes:
/// <https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-BSON-Document-Size>.
const LONGEST: usize = 16 * 1024 * 1024;

/// # Errors
/// [`ErrorKind::TooLarge`], or [`ErrorKind::InvalidInput`] where BSON cannot hold it.
pub(super) fn encode(document: &Document, has_name: bool) -> Result<RawDocumentBuf> {
    let signed = Binary { subtype: BinarySubtype::Generic, bytes: document.signed.to_vec() };
    let mut encoded = doc! { "_id": &document.name };
    if has_name {
        encoded.insert(field::NAME, &document.name);
    }
    let text = |text: &str| Bson::String(text.to_owned());
    encoded.extend(
        document
            .fields(Bson::Binary(signed), value(&document.object), text)
            .map(|(name, value)| (name.to_owned(), value)),
    );
    let encoded = RawDocumentBuf::try_from(&encoded).map_err(|e| {
        Error::new(ErrorKind::InvalidInput, "encoding the payload in BSON").with_source(e)
    })?;
    let size = encoded.as_bytes().len();
    if size > LONGEST {
        return Err(fault::too_large(&format!("the document has {size} bytes")));
    }
    Ok(encoded)
}

fn value(json: &Value) -> Bson {
    match json {
        Value::Null => Bson::Null,
        Value::Bool(it) => Bson::Boolean(*it),
        Value::Number(it) => Bson::Double(float(it)),
        Value::String(it) => Bson::String(it.clone()),
        Value::Array(items) => Bson::Array(items.iter().map(value).collect()),
        Value::Object(fields) => {
            Bson::Document(fields.iter().map(|(name, it)| (name.clone(), value(it))).collect())
        }
    }
}

/// # Errors
/// [`ErrorKind::InvalidInput`] naming the field that is missing or of another type.
pub(super) fn decode(what: &str, found: &RawDocument) -> Result<Found> {
    let signed = match found.get(field::SIGNED) {
        Ok(Some(RawBsonRef::Binary(binary))) => Some(binary.bytes.to_vec()),
        _ => None,
    };
    Found::read(what, signed, |name| match found.get(name) {
        Ok(Some(RawBsonRef::String(text))) => Some(text.to_owned()),
        Ok(Some(RawBsonRef::Null) | None) => Some(String::new()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use mongodb::bson::Document as Plain;

    use super::*;
    use crate::document::tests::document;

    #[test]
    fn it_is_what_docstore_writes_of_the_structure() {
        let document = document(r#"{"a.b":[1,2.5,"",null,true],"$c":{}}"#);
        let encoded = encode(&document, true).unwrap();
        let expected = doc! {
            "_id": "taskrun-1",
            "Name": "taskrun-1",
            "Signed": Binary { subtype: BinarySubtype::Generic, bytes: document.signed.to_vec() },
            "Signature": "c2ln",
            "Cert": "",
            "Chain": "PEM",
            "Object": { "a.b": [1.0, 2.5, "", Bson::Null, true], "$c": {} },
        };
        assert_eq!(Plain::try_from(encoded.clone()).unwrap(), expected);
        assert!(document.is(&decode("x", &encoded).unwrap()));

        let id_only = encode(&Document { signature: None, ..document }, false).unwrap();
        let names: Vec<_> = id_only.iter().map(|pair| pair.unwrap().0.to_string()).collect();
        assert_eq!(names, ["_id", "Signed", "Cert", "Chain", "Object"]);
    }

    #[test]
    fn what_others_wrote_is_told() {
        let check = |found: Plain, name: &str| {
            let raw = RawDocumentBuf::try_from(&found).unwrap();
            let error = decode("reading x", &raw).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.report().contains(&format!("the field {name}")), "{}", error.report());
        };
        check(doc! { "_id": "x" }, "Signed");
        check(doc! { "Signed": "text" }, "Signed");
        let signed = Binary { subtype: BinarySubtype::Generic, bytes: vec![1] };
        check(doc! { "Signed": signed, "Cert": 1 }, "Cert");
    }

    #[test]
    fn limits_are_told_before_anything_is_sent() {
        let mut long = document("{}");
        long.signed = vec![0; LONGEST].into();
        let error = encode(&long, true).unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::TooLarge, false));
        assert!(error.report().contains("16777216"), "{}", error.report());
        let error = encode(&document("{\"a\\u0000b\":1}"), true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
