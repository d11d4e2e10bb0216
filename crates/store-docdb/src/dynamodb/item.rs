//! Documents as items, as go-cloud's docstore encodes Go's structures:
//! <https://pkg.go.dev/gocloud.dev/docstore/awsdynamodb/v2>. An empty text is `NULL`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use crate::document::{Document, Found, Types, field, float};

/// The largest item, in bytes of names and values:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items>.
const LARGEST: usize = 400 * 1024;

const TYPES: Types = Types { null: "NULL", text: "S", bytes: "B" };

/// # Errors
/// [`ErrorKind::TooLarge`] where it is over the limit without what the service adds for its own book-keeping.
pub(super) fn encode(document: &Document, partition_key: &str) -> Result<Value> {
    let mut item = Map::new();
    // Where the key is spelled otherwise than Go's field, that field is there besides it.
    for name in [partition_key, field::NAME] {
        item.insert(name.to_owned(), text(&document.name));
    }
    let signed = json!({ "B": STANDARD.encode(&document.signed) });
    for (name, value) in document.fields(signed, value(&document.object), text) {
        item.insert(name.to_owned(), value);
    }
    let size = size(document, partition_key);
    if size > LARGEST {
        return Err(too_large(&format!("the item has {size} bytes")));
    }
    Ok(Value::Object(item))
}

/// Over the service's limit, for good.
pub(super) fn too_large(words: &str) -> Error {
    let why = format!(
        "{words}, and DynamoDB takes {LARGEST} (400 KiB) at most: keep records of such runs in another store"
    );
    Error::new(ErrorKind::TooLarge, "writing an item").with_source(why)
}

fn text(text: &str) -> Value {
    if text.is_empty() { json!({ "NULL": true }) } else { json!({ "S": text }) }
}

fn value(json: &Value) -> Value {
    match json {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(it) => json!({ "BOOL": it }),
        // Without an exponent, and as short as it can be told apart.
        Value::Number(it) => json!({ "N": float(it).to_string() }),
        Value::String(it) => text(it),
        Value::Array(items) => json!({ "L": items.iter().map(value).collect::<Vec<_>>() }),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, it)| (name.clone(), value(it)));
            json!({ "M": fields.collect::<Map<_, _>>() })
        }
    }
}

/// Names and values alone; numbers, lists and maps take a little more.
fn size(document: &Document, partition_key: &str) -> usize {
    let Document { name, signed, signature, certificate, chain, object } = document;
    let names = [field::SIGNED, field::SIGNATURE, field::CERTIFICATE, field::CHAIN, field::OBJECT];
    let names: usize = names.iter().map(|name| name.len()).sum();
    let copies = if partition_key == field::NAME { 1 } else { 2 };
    let texts = [signature.as_deref().unwrap_or_default(), certificate, chain];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    names + copies * (field::NAME.len() + name.len()) + signed.len() + texts + size_of_value(object)
}

fn size_of_value(json: &Value) -> usize {
    match json {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size_of_value).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, it)| name.len() + size_of_value(it)).sum()
        }
    }
}

/// # Errors
/// [`ErrorKind::InvalidInput`] naming the attribute that is missing or of another type.
pub(super) fn decode(what: &str, item: &Value) -> Result<Found> {
    Found::read_json(what, Some(item), TYPES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tests::document;

    #[test]
    fn it_is_what_docstore_writes_of_the_structure() {
        let document = document(r#"{"a.b":[1,2.5,1e21,"",null,true],"c":{}}"#);
        let item = encode(&document, "Name").unwrap();
        let nothing = json!({ "NULL": true });
        let numbers = [json!({"N":"1"}), json!({"N":"2.5"}), json!({"N":"1000000000000000000000"})];
        let list =
            [&numbers[..], &[nothing.clone(), nothing.clone(), json!({"BOOL":true})]].concat();
        let expected = json!({
            "Name": { "S": "taskrun-1" },
            "Signed": { "B": STANDARD.encode(&document.signed) },
            "Signature": { "S": "c2ln" },
            "Cert": nothing,
            "Chain": { "S": "PEM" },
            "Object": { "M": { "a.b": { "L": list }, "c": { "M": {} } } },
        });
        assert_eq!(item, expected);
        assert!(document.is(&decode("x", &item).unwrap()));

        let spelled = encode(&Document { signature: None, ..document }, "name").unwrap();
        assert_eq!((&spelled["name"], &spelled["Name"]), (&item["Name"], &item["Name"]));
        assert_eq!(spelled.get("Signature"), None);
    }

    #[test]
    fn what_others_wrote_is_told() {
        let check = |item: Value, name: &str| {
            let report = decode("reading x", &item).unwrap_err().report();
            assert!(report.contains(&format!("the field {name}")), "{report}");
        };
        check(json!({}), "Signed");
        check(json!({ "Signed": { "S": "YQ==" } }), "Signed");
        check(json!({ "Signed": { "B": "%" } }), "Signed");
        check(json!({ "Signed": { "B": "YQ==" }, "Chain": { "N": "1" } }), "Chain");
    }

    #[test]
    fn limits_are_told_before_anything_is_sent() {
        let mut long = document("{}");
        let others = size(&long, "Name") - long.signed.len();
        long.signed = vec![0; LARGEST - others].into();
        encode(&long, "Name").unwrap();
        long.signed = vec![0; LARGEST - others + 1].into();
        let error = encode(&long, "Name").unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::TooLarge, false));
        assert!(error.report().contains("409600 (400 KiB)"), "{}", error.report());
    }
}
