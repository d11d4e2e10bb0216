//! Documents as Firestore has them, as go-cloud's docstore encodes Go's structures:
//! <https://pkg.go.dev/gocloud.dev/docstore/gcpfirestore>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use crate::FirestoreCollection;
use crate::document::{Document, Found, Types, field, float};

/// The largest document: <https://cloud.google.com/firestore/quotas#collections_documents_and_fields>.
const LARGEST: usize = 1024 * 1024;

const TYPES: Types = Types { null: "nullValue", text: "stringValue", bytes: "bytesValue" };

/// # Errors
/// [`ErrorKind::TooLarge`].
pub(super) fn encode(document: &Document, collection: &FirestoreCollection) -> Result<Value> {
    let mut fields = Map::new();
    if collection.has_name {
        fields.insert(field::NAME.to_owned(), text(&document.name));
    }
    let signed = json!({ "bytesValue": STANDARD.encode(&document.signed) });
    for (name, value) in document.fields(signed, value(&document.object), text) {
        fields.insert(name.to_owned(), value);
    }
    let size = size(document, collection);
    if size > LARGEST {
        return Err(too_large(&format!("the document has {size} bytes")));
    }
    Ok(Value::Object(fields))
}

/// Over the service's limit, for good.
pub(super) fn too_large(words: &str) -> Error {
    let why = format!(
        "{words}, and Firestore takes {LARGEST} (1 MiB) at most: keep records of such runs in another store"
    );
    Error::new(ErrorKind::TooLarge, "writing a document").with_source(why)
}

fn text(text: &str) -> Value {
    json!({ "stringValue": text })
}

fn value(json: &Value) -> Value {
    match json {
        Value::Null => json!({ "nullValue": null }),
        Value::Bool(it) => json!({ "booleanValue": it }),
        Value::Number(it) => json!({ "doubleValue": float(it) }),
        Value::String(it) => text(it),
        Value::Array(items) => {
            json!({ "arrayValue": { "values": items.iter().map(value).collect::<Vec<_>>() } })
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, it)| (name.clone(), value(it)));
            json!({ "mapValue": { "fields": fields.collect::<Map<_, _>>() } })
        }
    }
}

/// As <https://cloud.google.com/firestore/docs/storage-size> counts.
fn size(document: &Document, collection: &FirestoreCollection) -> usize {
    const OF_DOCUMENT: usize = 32;
    const OF_PATH: usize = 16;
    let Document { name, signed, signature, certificate, chain, object } = document;
    let path = collection.path.split('/').chain([name.as_str()]).map(|part| part.len() + 1);
    let mut size = OF_DOCUMENT + OF_PATH + path.sum::<usize>();
    let texts = [
        (field::NAME, collection.has_name.then_some(name)),
        (field::SIGNATURE, signature.as_ref()),
        (field::CERTIFICATE, Some(certificate)),
        (field::CHAIN, Some(chain)),
    ];
    for (name, text) in texts {
        size += text.map_or(0, |text| name.len() + 1 + text.len() + 1);
    }
    size += field::SIGNED.len() + 1 + signed.len();
    size + field::OBJECT.len() + 1 + size_of_value(object)
}

fn size_of_value(json: &Value) -> usize {
    match json {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 1,
        Value::Array(items) => items.iter().map(size_of_value).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, it)| name.len() + 1 + size_of_value(it)).sum()
        }
    }
}

/// # Errors
/// [`ErrorKind::InvalidInput`] naming the field that is missing or of another type.
pub(super) fn decode(what: &str, document: &Value) -> Result<Found> {
    Found::read_json(what, document.get("fields"), TYPES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tests::document;

    fn collection(has_name: bool) -> FirestoreCollection {
        let database = "projects/p/databases/(default)".to_owned();
        FirestoreCollection { database, path: "runs".to_owned(), has_name }
    }

    #[test]
    fn it_is_what_docstore_writes_of_the_structure() {
        let document = document(r#"{"a.b":[1,2.5,"",null,true],"c":{}}"#);
        let fields = encode(&document, &collection(true)).unwrap();
        let list = json!([
            { "doubleValue": 1.0 },
            { "doubleValue": 2.5 },
            { "stringValue": "" },
            { "nullValue": null },
            { "booleanValue": true },
        ]);
        let object = json!({
            "a.b": { "arrayValue": { "values": list } },
            "c": { "mapValue": { "fields": {} } },
        });
        let expected = json!({
            "Name": { "stringValue": "taskrun-1" },
            "Signed": { "bytesValue": STANDARD.encode(&document.signed) },
            "Signature": { "stringValue": "c2ln" },
            "Cert": { "stringValue": "" },
            "Chain": { "stringValue": "PEM" },
            "Object": { "mapValue": { "fields": object } },
        });
        assert_eq!(fields, expected);
        assert!(document.is(&decode("x", &json!({ "fields": fields })).unwrap()));
        let unsigned = Document { signature: None, ..document };
        let fields = encode(&unsigned, &collection(false)).unwrap();
        assert_eq!((fields.get("Name"), fields.get("Signature")), (None, None));
    }

    #[test]
    fn what_others_wrote_is_told() {
        let check = |fields: Value, name: &str| {
            let report = decode("reading x", &json!({ "fields": fields })).unwrap_err().report();
            assert!(report.contains(&format!("the field {name}")), "{report}");
        };
        check(Value::Null, "Signed");
        check(json!({ "Signed": { "stringValue": "YQ==" } }), "Signed");
        let signed = json!({ "bytesValue": "YQ==" });
        check(json!({ "Signed": signed, "Cert": { "integerValue": "1" } }), "Cert");
    }

    #[test]
    fn limits_are_told_before_anything_is_sent() {
        let mut long = document("{}");
        let others = size(&long, &collection(true)) - long.signed.len();
        long.signed = vec![0; LARGEST - others].into();
        encode(&long, &collection(true)).unwrap();
        long.signed = vec![0; LARGEST - others + 1].into();
        let error = encode(&long, &collection(true)).unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::TooLarge, false));
        assert!(error.report().contains("1048576 (1 MiB)"), "{}", error.report());
    }
}
