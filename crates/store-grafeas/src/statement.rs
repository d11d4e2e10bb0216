//! In-toto statements as Grafeas has them: protocol buffers, as JSON.
//!
//! Provenance of SLSA v0.2 is `intotoStatement` with `slsaProvenanceZeroTwo`, [as Tekton Chains converts it][converter].
//! Of SLSA v1.0, which that cannot hold, the statement's head is there, and the whole in `inTotoSlsaProvenanceV1`.
//! A server refuses a message with a field of another type: what does not fit is left out, since the signed bytes are in
//! the envelope.
//!
//! [converter]: https://github.com/grafeas/grafeas/blob/v0.2.3/go/utils/intoto/slsa_zero_two_converter.go

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

const SLSA_V1: &str = "https://slsa.dev/provenance/v1";
const SLSA_V0_2: &str = "https://slsa.dev/provenance/v0.2";

/// The `build` of an occurrence.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] where the payload is not a JSON object.
pub(crate) fn build(payload: &[u8]) -> Result<Value> {
    let unreadable = |why: String| {
        Error::new(ErrorKind::InvalidInput, "reading the in-toto statement").with_source(why)
    };
    let statement: Value =
        serde_json::from_slice(payload).map_err(|e| unreadable(e.to_string()))?;
    if !statement.is_object() {
        return Err(unreadable("it is not a JSON object".to_owned()));
    }
    let head = Fields::of(&statement)
        .text("_type")
        .text("predicateType")
        .each("subject", |it| Fields::of(it).text("name").texts("digest").done())
        .done();
    let predicate = statement.get("predicate").unwrap_or(&Value::Null);
    let mut build = Map::new();
    let mut old = head.clone();
    match statement.get("predicateType").and_then(Value::as_str) {
        Some(SLSA_V0_2) => {
            old.insert("slsaProvenanceZeroTwo".to_owned(), zero_two(predicate));
        }
        Some(SLSA_V1) => {
            let mut new = head;
            new.insert("predicate".to_owned(), one(predicate));
            build.insert("inTotoSlsaProvenanceV1".to_owned(), Value::Object(new));
        }
        _ => {}
    }
    build.insert("intotoStatement".to_owned(), Value::Object(old));
    Ok(Value::Object(build))
}

fn zero_two(predicate: &Value) -> Value {
    let fields = Fields::of(predicate)
        .within("builder", |it| it.text("id"))
        .text("buildType")
        .within("invocation", |it| {
            it.within("configSource", |it| it.text("uri").texts("digest").text("entryPoint"))
                .object("parameters")
                .object("environment")
        })
        .object("buildConfig")
        .within("metadata", |it| {
            it.renamed("buildInvocationID", "buildInvocationId")
                .time("buildStartedOn")
                .time("buildFinishedOn")
                .within("completeness", |it| {
                    it.flag("parameters").flag("environment").flag("materials")
                })
                .flag("reproducible")
        })
        .each("materials", |it| Fields::of(it).text("uri").texts("digest").done());
    Value::Object(fields.done())
}

fn one(predicate: &Value) -> Value {
    let fields = Fields::of(predicate)
        .within("buildDefinition", |it| {
            it.text("buildType")
                .object("externalParameters")
                .object("internalParameters")
                .each("resolvedDependencies", descriptor)
        })
        .within("runDetails", |it| {
            it.within("builder", |it| {
                it.text("id").texts("version").each("builderDependencies", descriptor)
            })
            .within("metadata", |it| {
                it.renamed("invocationID", "invocationId")
                    .text("invocationId")
                    .time("startedOn")
                    .time("finishedOn")
            })
            .each("byproducts", descriptor)
        });
    Value::Object(fields.done())
}

fn descriptor(from: &Value) -> Map<String, Value> {
    Fields::of(from)
        .text("name")
        .text("uri")
        .texts("digest")
        .base64("content")
        .text("downloadLocation")
        .text("mediaType")
        .object("annotations")
        .done()
}

/// Takes over fields one by one, each where it is of the type that the message has for it.
struct Fields<'a> {
    from: &'a Value,
    to: Map<String, Value>,
}

impl<'a> Fields<'a> {
    fn of(from: &'a Value) -> Self {
        Self { from, to: Map::new() }
    }

    fn done(self) -> Map<String, Value> {
        self.to
    }

    fn take(self, name: &str, fits: impl Fn(&Value) -> bool) -> Self {
        self.take_as(name, name, fits)
    }

    fn take_as(mut self, from: &str, to: &str, fits: impl Fn(&Value) -> bool) -> Self {
        if let Some(value) = self.from.get(from).filter(|value| fits(value)) {
            self.to.insert(to.to_owned(), value.clone());
        }
        self
    }

    fn text(self, name: &str) -> Self {
        self.take(name, Value::is_string)
    }

    fn renamed(self, from: &str, to: &str) -> Self {
        self.take_as(from, to, Value::is_string)
    }

    fn flag(self, name: &str) -> Self {
        self.take(name, Value::is_boolean)
    }

    fn object(self, name: &str) -> Self {
        self.take(name, Value::is_object)
    }

    fn texts(self, name: &str) -> Self {
        self.take(name, |value| {
            value.as_object().is_some_and(|all| all.values().all(Value::is_string))
        })
    }

    /// As [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339) writes it.
    fn time(self, name: &str) -> Self {
        self.take(name, |value| {
            value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok())
        })
    }

    fn base64(self, name: &str) -> Self {
        self.take(name, |value| value.as_str().is_some_and(|text| STANDARD.decode(text).is_ok()))
    }

    fn within(mut self, name: &str, fields: impl Fn(Fields<'a>) -> Fields<'a>) -> Self {
        if let Some(inner) = self.from.get(name).filter(|inner| inner.is_object()) {
            let value = fields(Fields::of(inner)).done();
            self.to.insert(name.to_owned(), Value::Object(value));
        }
        self
    }

    fn each(mut self, name: &str, item: impl Fn(&Value) -> Map<String, Value>) -> Self {
        if let Some(items) = self.from.get(name).and_then(Value::as_array) {
            let items = items.iter().filter(|one| one.is_object());
            let items: Vec<_> = items.map(|one| Value::Object(item(one))).collect();
            self.to.insert(name.to_owned(), json!(items));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(statement: &Value, expected: &Value) {
        assert_eq!(build(statement.to_string().as_bytes()).unwrap(), *expected);
    }

    fn statement(predicate_type: &str, predicate: &Value) -> Value {
        let subject = json!([{ "name": "a", "digest": { "sha256": "00" } }]);
        json!({ "_type": "t", "subject": subject, "predicateType": predicate_type, "predicate": predicate })
    }

    fn head(predicate_type: &str) -> Map<String, Value> {
        let mut head = statement(predicate_type, &Value::Null);
        head.as_object_mut().unwrap().remove("predicate");
        head.as_object().unwrap().clone()
    }

    #[test]
    fn slsa_0_2_is_what_the_converter_of_grafeas_makes_of_it() {
        let predicate = json!({
            "builder": { "id": "b" },
            "buildType": "tekton",
            "invocation": {
                "configSource": { "uri": "u", "digest": { "sha1": "1" }, "entryPoint": "e" },
                "parameters": { "p": ["x", 1, null] },
                "environment": { "labels": {} },
            },
            "buildConfig": { "steps": [{ "image": "i" }] },
            "metadata": {
                "buildInvocationID": "id", "buildStartedOn": "2024-01-02T03:04:05Z",
                "buildFinishedOn": "yesterday",
                "completeness": { "parameters": true, "environment": "no" }, "reproducible": false,
            },
            "materials": [{ "uri": "m", "digest": { "sha1": "2" } }, "odd"],
        });
        let mut expected = predicate.clone();
        let metadata = json!({
            "buildInvocationId": "id", "buildStartedOn": "2024-01-02T03:04:05Z",
            "completeness": { "parameters": true }, "reproducible": false,
        });
        expected["metadata"] = metadata;
        expected["materials"] = json!([{ "uri": "m", "digest": { "sha1": "2" } }]);
        let mut whole = head(SLSA_V0_2);
        whole.insert("slsaProvenanceZeroTwo".to_owned(), expected);
        check(&statement(SLSA_V0_2, &predicate), &json!({ "intotoStatement": whole }));
    }

    #[test]
    fn slsa_1_0_is_in_the_message_that_holds_it() {
        let mut descriptor =
            json!({ "name": "n", "uri": "u", "digest": { "sha256": "0" }, "content": "YQ==" });
        descriptor["annotations"] = json!({ "a": 1 });
        let predicate = json!({
            "buildDefinition": {
                "buildType": "b", "externalParameters": { "x": {} }, "internalParameters": {},
                "resolvedDependencies": [descriptor],
            },
            "runDetails": {
                "builder": { "id": "b", "version": { "v": "1" } },
                "metadata": { "invocationID": "i", "startedOn": "2024-01-02T03:04:05Z" },
                "byproducts": [{ "name": "r", "content": "not base64", "mediaType": "application/json" }],
            },
        });
        let mut expected = predicate.clone();
        expected["runDetails"]["metadata"] =
            json!({ "invocationId": "i", "startedOn": "2024-01-02T03:04:05Z" });
        expected["runDetails"]["byproducts"] =
            json!([{ "name": "r", "mediaType": "application/json" }]);
        let mut whole = head(SLSA_V1);
        whole.insert("predicate".to_owned(), expected);
        let expected = json!({ "intotoStatement": head(SLSA_V1), "inTotoSlsaProvenanceV1": whole });
        check(&statement(SLSA_V1, &predicate), &expected);
    }

    #[test]
    fn other_statements_keep_their_head_and_what_is_none_is_told() {
        check(
            &statement("https://other", &json!(1)),
            &json!({ "intotoStatement": head("https://other") }),
        );
        check(&json!({ "subject": 1, "_type": [] }), &json!({ "intotoStatement": {} }));
        for odd in ["", "[]", "{"] {
            assert_eq!(build(odd.as_bytes()).unwrap_err().kind(), ErrorKind::InvalidInput, "{odd}");
        }
    }
}
