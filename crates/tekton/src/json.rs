//! The tree that a document is read into: JSON with the keys of each object in order.
//!
//! Our own and not [`serde_json::Value`], because the order of that one's objects is for any crate in the
//! graph to change by a feature, and what is signed must not depend on that.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::keys;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Json {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits.
    Integer(i64),
    /// A whole number above [`i64::MAX`].
    Unsigned(u64),
    /// Any other number; finite.
    Float(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Map(Map),
}

/// A JSON object: each key once, in the order of its bytes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map(Vec<(Key, Json)>);

type Key = Cow<'static, str>;

/// How many keys are looked through one by one.
const SMALL: usize = 24;

static NULL: Json = Json::Null;

impl Json {
    /// What is under a key; null where there is no such key, or no object.
    #[must_use]
    pub fn get(&self, key: &str) -> &Self {
        match self {
            Self::Map(map) => map.get(key).unwrap_or(&NULL),
            _ => &NULL,
        }
    }

    /// What is under a key of keys.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> &Self {
        path.iter().fold(self, |json, key| json.get(key))
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The string; empty where it is something else.
    #[must_use]
    pub fn text(&self) -> &str {
        self.as_text().unwrap_or_default()
    }

    /// The items, if it is an array; none otherwise.
    #[must_use]
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The object, if it is one.
    #[must_use]
    pub const fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) const fn as_map_mut(&mut self) -> Option<&mut Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Whether it is `null`.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Compact JSON, keys in order: always the same for the same value.
    #[must_use]
    pub fn to_compact(&self) -> String {
        // A tree of JSON values: there is nothing here that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The kind of value, as one says it: `a string`.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Unsigned(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Map(_) => "an object",
        }
    }
}

impl Map {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// What is under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.find(key).and_then(|at| self.0.get(at)).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        self.find(key).and_then(|at| self.0.get_mut(at)).map(|(_, value)| value)
    }

    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// How many keys there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = (&str, &mut Json)> {
        self.0.iter_mut().map(|(key, value)| (&**key, value))
    }

    pub(crate) fn insert(&mut self, key: impl Into<Key>, value: Json) {
        let key = key.into();
        match self.search(&key) {
            Ok(at) => {
                if let Some(slot) = self.0.get_mut(at) {
                    slot.1 = value;
                }
            }
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Json> {
        self.find(key).map(|at| self.0.remove(at).1)
    }

    /// Gives a value another key, unless something is there already: then the value stays where it is.
    pub(crate) fn rename(&mut self, from: &str, to: &'static str) {
        if self.get(to).is_none()
            && let Some(value) = self.remove(from)
        {
            self.insert(to, value);
        }
    }

    fn find(&self, key: &str) -> Option<usize> {
        // Nearly all objects are small, and most keys differ in length already.
        if self.0.len() <= SMALL {
            return self.0.iter().position(|(there, _)| *there == *key);
        }
        self.search(key).ok()
    }

    fn search(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(there, _)| there.as_ref().cmp(key))
    }

    /// Takes pairs in any order; of a key that comes twice the last counts, as in Kubernetes.
    fn from_pairs(mut pairs: Vec<(Key, Json)>) -> Self {
        if !pairs.is_sorted_by(|(a, _), (b, _)| a < b) {
            // A stable sort keeps equal keys in their order, so the last of them is the one to keep.
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            pairs.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    std::mem::swap(later, earlier);
                }
                same
            });
        }
        Self(pairs)
    }
}

impl<K: Into<Key>> FromIterator<(K, Json)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Json)>>(pairs: I) -> Self {
        Self::from_pairs(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            out.serialize_entry(key.as_ref(), value)?;
        }
        out.end()
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        Json::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Unsigned(value), Json::Integer))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        number(value).ok_or_else(|| E::custom("JSON has no infinity and no NaN"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut pairs: Vec<(Key, Json)> = Vec::new();
        while let Some(KeyText(key)) = access.next_key()? {
            pairs.push((key, access.next_value()?));
        }
        Ok(Json::Map(Map::from_pairs(pairs)))
    }
}

/// One way for each number: `1.0` is `1`, as for every reader of JSON that knows one kind of number.
#[allow(
    clippy::cast_possible_truncation,
    reason = "only whole numbers far inside the range of i64 are cast"
)]
fn number(value: f64) -> Option<Json> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !value.is_finite() {
        None
    } else if value.fract() == 0.0 && value.abs() < EXACT {
        Some(Json::Integer(value as i64))
    } else {
        Some(Json::Float(value))
    }
}

/// A key as text. YAML has keys that are no strings, e.g. `on:` or `1:`, which mean their text here.
struct KeyText(Key);

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = KeyText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string as key")
    }

    fn visit_str<E>(self, text: &str) -> Result<KeyText, E> {
        let key = keys::known(text).map_or_else(|| Cow::Owned(text.to_owned()), Cow::Borrowed);
        Ok(KeyText(key))
    }
}
