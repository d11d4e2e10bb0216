//! From a text to keys and values: a ConfigMap manifest, a flat map, or lines of `key=value`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::Fault;
use crate::fault::shorten;

/// The name of the ConfigMap, by which it is found among other manifests.
const NAME: &str = "chains-config";
/// A ConfigMap holds 1 MiB; files with other manifests beside it are rarely larger than this.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// What is wrong with keys that are there.
pub(crate) const IN_BINARY_DATA: &str = "is in binaryData, which is not read: put it into data";

type Pairs = Vec<(String, String)>;

/// The pairs that the text holds, and what is wrong with it.
pub(crate) fn pairs(text: &str) -> (Pairs, Vec<Fault>) {
    let mut reader = Reader::default();
    if text.len() > MOST_BYTES {
        let bytes = text.len();
        reader.whole(format!("has {bytes} bytes, more than {MOST_BYTES} are not read"));
    } else if is_lines(text) {
        reader.lines(text);
    } else {
        reader.yaml(text);
    }
    (reader.pairs, reader.faults)
}

/// Lines that matter: neither empty nor a comment.
fn significant(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether the first line that matters reads `key=…`; in YAML a colon comes first.
fn is_lines(text: &str) -> bool {
    let in_key = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    significant(text).next().is_some_and(|line| line.trim_start_matches(in_key).starts_with('='))
}

#[derive(Default)]
struct Reader {
    pairs: Pairs,
    faults: Vec<Fault>,
}

impl Reader {
    fn whole(&mut self, message: impl Into<String>) {
        self.faults.push(Fault::whole(message));
    }

    fn lines(&mut self, text: &str) {
        let mut known = BTreeSet::new();
        for line in significant(text) {
            let Some((key, value)) = line.split_once('=') else {
                // The line may hold a secret: its first word is enough to find it.
                let word = line.split_whitespace().next().unwrap_or_default();
                self.faults.push(Fault::of(word, "is not followed by `=` and a value"));
                continue;
            };
            let key = key.trim_end();
            if !known.insert(key) {
                self.faults.push(Fault::of(key, "is given twice"));
            }
            self.pairs.push((key.to_owned(), value.trim_start().to_owned()));
        }
    }

    fn yaml(&mut self, text: &str) {
        // A snippet of the text in a message might show a secret.
        let options = serde_saphyr::options! { with_snippet: false };
        match serde_saphyr::from_multiple_with_options::<Value>(text, options) {
            Ok(documents) => self.documents(documents),
            Err(error) => {
                let error = error.to_string();
                self.whole(format!("is not YAML: {}", error.lines().next().unwrap_or_default()));
            }
        }
    }

    fn documents(&mut self, documents: Vec<Value>) {
        let mut documents: Vec<_> = documents.into_iter().flat_map(items).collect();
        documents.retain(|document| !document.is_null());
        if documents.len() > 1 {
            let all = documents.len();
            documents.retain(is_chains_config);
            if documents.len() != 1 {
                let found = documents.len();
                return self.whole(format!("has {all} documents, of which {found} are the ConfigMap {NAME}: there must be one"));
            }
        }
        match documents.pop() {
            None => {}
            Some(Value::Object(map)) if is_manifest(&map) => self.manifest(map),
            Some(Value::Object(map)) => self.flat(map),
            Some(_) => {
                self.whole("is neither a ConfigMap nor a map of keys nor lines of key=value")
            }
        }
    }

    fn manifest(&mut self, mut map: Map<String, Value>) {
        let kind = map.get("kind").and_then(Value::as_str).unwrap_or("nothing");
        if kind != "ConfigMap" {
            let kind = shorten(kind);
            let message = format!("is a manifest of kind {}, not ConfigMap", kind.escape_debug());
            return self.whole(message);
        }
        if let Some(Value::Object(binary)) = map.get("binaryData") {
            self.faults.extend(binary.keys().map(|key| Fault::of(key, IN_BINARY_DATA)));
        }
        match map.remove("data") {
            None | Some(Value::Null) => {}
            Some(Value::Object(data)) => data.into_iter().for_each(|pair| self.data(pair)),
            Some(_) => self.whole("has data that is not a map"),
        }
    }

    /// An entry of `data`: the API server takes nothing but strings.
    fn data(&mut self, (key, value): (String, Value)) {
        match value {
            Value::String(text) => self.pairs.push((key, text)),
            Value::Null => self.pairs.push((key, String::new())),
            other => {
                let kind = kind_of(&other);
                let message =
                    format!("is {kind} where a ConfigMap takes strings: put it in quotes");
                self.faults.push(Fault::of(&key, message));
            }
        }
    }

    /// A map that is not a manifest never meets the API server: plain values mean their text.
    fn flat(&mut self, map: Map<String, Value>) {
        for (key, value) in map {
            match value {
                Value::Bool(_) | Value::Number(_) => self.pairs.push((key, value.to_string())),
                Value::Array(_) | Value::Object(_) => {
                    let message = format!("is {} and must be a text", kind_of(&value));
                    self.faults.push(Fault::of(&key, message));
                }
                text => self.data((key, text)),
            }
        }
    }
}

/// The items of a `List`, or the document itself.
fn items(mut document: Value) -> Vec<Value> {
    let is_list = document.get("kind").and_then(Value::as_str).is_some_and(|kind| kind == "List");
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if is_list => items,
        _ => vec![document],
    }
}

fn is_manifest(map: &Map<String, Value>) -> bool {
    map.contains_key("kind") || map.contains_key("apiVersion")
}

fn is_chains_config(document: &Value) -> bool {
    document.get("kind").and_then(Value::as_str) == Some("ConfigMap")
        && document.pointer("/metadata/name").and_then(Value::as_str) == Some(NAME)
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
