//! Writes each event as one line, with the fields of the spans around it.

use std::io::Write as _;

use jiff::Timestamp;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::LogFormat;
use super::fields::{Fields, Value};

/// Keys that every line of JSON has.
const RESERVED: [&str; 4] = ["level", "ts", "logger", "msg"];

/// For tracing backends, not for readers: `otel.name` and such.
const FOR_TRACES: &str = "otel.";

/// Writes lines to `out`.
#[derive(Debug)]
pub(super) struct Lines<W> {
    format: LogFormat,
    out: W,
}

/// What a line is made of.
struct Line<'a> {
    at: Timestamp,
    metadata: &'a Metadata<'static>,
    message: &'a str,
    /// No name twice.
    values: Vec<(&'static str, Value)>,
}

impl<W> Lines<W> {
    pub(super) const fn new(format: LogFormat, out: W) -> Self {
        Self { format, out }
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut values = Vec::new();
        // From the innermost span outwards: what is nearer to the event hides what has the same name further out.
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            let Some(fields) = extensions.get::<Fields>() else { continue };
            let hidden = |name: &str| {
                own.has(name) || values.iter().any(|(known, _): &(&str, Value)| *known == name)
            };
            let shown: Vec<_> =
                fields.values.iter().filter(|(name, _)| !hidden(name)).cloned().collect();
            values.splice(0..0, shown);
        }
        values.append(&mut own.values);
        values.retain(|(name, _)| !name.starts_with(FOR_TRACES));
        let line = Line {
            at: Timestamp::now(),
            metadata: event.metadata(),
            message: own.message.as_deref().unwrap_or_default(),
            values,
        };
        let text = match self.format {
            LogFormat::Json => line.json(),
            LogFormat::Text => line.text(),
        };
        // There is no one to tell that the log cannot be written.
        let _ = self.out.make_writer_for(event.metadata()).write_all(text.as_bytes());
    }
}

impl Line<'_> {
    fn json(&self) -> String {
        let Self { at, metadata, message, values } = self;
        let level = match *metadata.level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let mut line = format!(r#"{{"level":"{level}","ts":"{at:.3}","logger":"#);
        line.push_str(&quoted(metadata.target()));
        line.push_str(r#","msg":"#);
        line.push_str(&quoted(message));
        for (name, value) in values {
            line.push(',');
            if RESERVED.contains(name) {
                line.push_str(&quoted(&format!("field.{name}")));
            } else {
                line.push_str(&quoted(name));
            }
            line.push(':');
            match value {
                Value::Text(text) => line.push_str(&quoted(text)),
                Value::Bare(bare) => line.push_str(bare),
            }
        }
        line.push_str("}\n");
        line
    }

    fn text(&self) -> String {
        let Self { at, metadata, message, values } = self;
        let mut line = format!("{at:.3} {:>5} {}: ", metadata.level(), metadata.target());
        // Whoever names a run must not be able to write a line of their own.
        line.extend(message.chars().map(|c| if c.is_control() { ' ' } else { c }));
        for (name, value) in values {
            line.push(' ');
            line.push_str(name);
            line.push('=');
            match value {
                Value::Bare(bare) => line.push_str(bare),
                Value::Text(text) if is_plain(text) => line.push_str(text),
                Value::Text(text) => line.push_str(&quoted(text)),
            }
        }
        line.push('\n');
        line
    }
}

/// Whether a text can stand without quotes.
fn is_plain(text: &str) -> bool {
    let apart = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\');
    !text.is_empty() && !text.contains(apart)
}

/// As a string of JSON.
fn quoted(text: &str) -> String {
    // A text is never refused.
    serde_json::to_string(text).unwrap_or_default()
}
