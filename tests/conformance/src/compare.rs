//! Compares an answer with the recorded one: as JSON values, some lists as sets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Lists whose order means nothing.
const SETS: [&str; 6] =
    ["payloads", "subject", "materials", "resolvedDependencies", "byproducts", "artifactURIs"];

/// Where the two differ, one line each; nothing where they agree.
#[must_use]
pub fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let (mut expected, mut found) = (expected.clone(), found.clone());
    normalise(&mut expected);
    normalise(&mut found);
    let mut lines = Vec::new();
    differ("", &expected, &found, &mut lines);
    lines
}

fn normalise(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                if key == "content"
                    && let Some(decoded) = decode(value)
                {
                    *value = decoded;
                }
                normalise(value);
                if let (true, Value::Array(items)) = (SETS.contains(&key.as_str()), value) {
                    items.sort_by_cached_key(canonical);
                }
            }
            // Only that it is an error matters, not its words.
            if let Some(error) = map.get_mut("error") {
                *error = Value::Bool(true);
            }
            // A run without subjects has no artifacts.
            if map
                .get("artifactURIs")
                .is_some_and(|uris| uris.as_array().is_some_and(Vec::is_empty))
            {
                map.remove("artifactURIs");
            }
        }
        _ => {}
    }
}

/// `content` of a resource descriptor is base64 of JSON.
fn decode(value: &Value) -> Option<Value> {
    let bytes = STANDARD.decode(value.as_str()?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The same text for the same value: the keys of objects are in order.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> =
                map.iter().map(|(key, value)| format!("{key:?}:{}", canonical(value))).collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

fn differ(path: &str, expected: &Value, found: &Value, lines: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                match b.get(key) {
                    Some(other) => differ(&format!("{path}.{key}"), value, other, lines),
                    None => lines.push(format!("{path}.{key}: missing, expected {value}")),
                }
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                lines.push(format!("{path}.{key}: not expected, found {value}"));
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                lines.push(format!("{path}: expected {} items, found {}", a.len(), b.len()));
            }
            for (index, (value, other)) in a.iter().zip(b).enumerate() {
                differ(&format!("{path}[{index}]"), value, other, lines);
            }
        }
        _ if expected == found => {}
        _ => lines.push(format!("{path}: expected {expected}, found {found}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sets_have_no_order_and_lists_have() {
        let check = |a: Value, b: Value, agree: bool| {
            assert_eq!(differences(&a, &b).is_empty(), agree, "{a} {b}");
        };
        check(
            json!({"subject": [{"a": 1}, {"b": 2}]}),
            json!({"subject": [{"b": 2}, {"a": 1}]}),
            true,
        );
        check(json!({"tasks": [1, 2]}), json!({"tasks": [2, 1]}), false);
        check(json!({"subject": [1]}), json!({"subject": [1, 1]}), false);
        check(json!({"error": "this"}), json!({"error": "that"}), true);
        check(json!({"error": "this"}), json!({"payload": {}}), false);
        check(json!({}), json!({"artifactURIs": []}), true);
        let content = |text: &str| json!({"content": STANDARD.encode(text)});
        check(content(r#"{"a":1,"b":2}"#), content(r#"{ "b": 2, "a": 1 }"#), true);
        check(content(r#"{"a":1}"#), content(r#"{"a":2}"#), false);
    }
}
