//! Fields of events and spans, as values of JSON.

use std::error::Error;
use std::fmt;

use tracing::field::{Field, Visit};

/// The field that holds the message of an event.
const MESSAGE: &str = "message";

/// A value, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// To be quoted.
    Text(String),
    /// A number or a boolean.
    Bare(String),
}

/// What an event or a span tells; a name is there once.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) message: Option<String>,
    pub(super) values: Vec<(&'static str, Value)>,
}

impl Fields {
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(known, _)| *known == name)
    }

    fn set(&mut self, field: &Field, value: Value) {
        let name = field.name();
        // Raw identifiers keep their prefix: `r#type`.
        let name = name.strip_prefix("r#").unwrap_or(name);
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
    }

    fn text(&mut self, field: &Field, text: String) {
        if field.name() == MESSAGE {
            self.message = Some(text);
        } else {
            self.set(field, Value::Text(text));
        }
    }

    fn bare(&mut self, field: &Field, value: impl ToString) {
        self.set(field, Value::Bare(value.to_string()));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, chains_core::chain(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, value);
        } else {
            self.text(field, value.to_string());
        }
    }
}
