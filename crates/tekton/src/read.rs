//! Runs from files: YAML or JSON, any number of documents, lists.

use std::str;

use chains_core::{Error, ErrorKind, Result};

use crate::json::Json;
use crate::quote;
use crate::run::Run;

/// Reads every run in a file, in order.
///
/// A file is YAML, with `---` between documents, or JSON, one value after the other or one a line; a document is
/// a run, a `List`, `TaskRunList` or `PipelineRunList`, or a JSON array of such. Empty documents are passed over.
///
/// # Errors
/// Each document stands for itself: what is wrong with one is told in its place, with the number of the document
/// and its line, and the others are read. An error of kind [`ErrorKind::Unsupported`] says that it is another
/// kind of object, which a caller may pass over; of kind [`ErrorKind::InvalidInput`] that it is broken. Of other kinds the
/// first thousand are told one by one, and at the end how many more there were: every run is read, however much
/// else is in the file. After a thousand broken ones the rest of the file is not read, and the last error says so.
///
/// ```
/// let runs = chains_tekton::read::read_documents(b"
/// apiVersion: tekton.dev/v1
/// kind: TaskRun
/// metadata: {name: build, uid: 7f7e}
/// ---
/// apiVersion: v1
/// kind: ConfigMap
/// metadata: {name: settings}
/// ");
/// assert_eq!(runs[0].as_ref().unwrap().reference().to_string(), "TaskRun build");
/// assert_eq!(runs[1].as_ref().unwrap_err().report(),
///     "document 2, line 5: ConfigMap \"settings\" is neither a TaskRun nor a PipelineRun of tekton.dev");
/// ```
#[must_use]
pub fn read_documents(bytes: &[u8]) -> Vec<Result<Run>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = Reader::default();
    for part in parts(bytes) {
        reader.part(&part);
        if reader.faults > MAX_FAULTS {
            break;
        }
    }
    reader.finish()
}

/// A stretch of the file without a document separator inside.
struct Part<'a> {
    /// Number of its first line in the file, from 1.
    line: usize,
    bytes: &'a [u8],
}

/// Splits before each line that starts a YAML document: three hyphens, then white space or the end. Neither a
/// JSON value nor a YAML document can hold such a line, so what is broken in one part does not reach the next.
fn parts(bytes: &[u8]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    for (index, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
        let separates = line
            .strip_prefix(b"---")
            .is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace));
        if separates && at > start {
            parts.push(Part { line: start_line, bytes: bytes.get(start..at).unwrap_or_default() });
            (start, start_line) = (at, index + 1);
        }
        at += line.len();
    }
    parts.push(Part { line: start_line, bytes: bytes.get(start..).unwrap_or_default() });
    parts.retain(|part| !part.says_nothing());
    parts
}

impl Part<'_> {
    /// A fault of the YAML parser, with its line in the file.
    fn tell(&self, fault: &serde_saphyr::Error) -> String {
        quote::message(&fault.render_with_options(serde_saphyr::render_options! {
            formatter: &serde_saphyr::UserMessageFormatter,
            snippets: serde_saphyr::SnippetMode::Off,
            line_offset: u64::try_from(self.line - 1).unwrap_or_default(),
        }))
    }

    /// Whether there are only blank lines, comments, separators and directives.
    fn says_nothing(&self) -> bool {
        self.bytes.split(|b| *b == b'\n').all(|line| {
            let line = line.strip_prefix(b"---").unwrap_or(line).trim_ascii();
            line.is_empty() || line.starts_with(b"#") || line.starts_with(b"%") || line == b"..."
        })
    }

    /// JSON begins with brackets, and the first thing inside is a quoted key or string, or nothing.
    fn is_json(&self) -> bool {
        let inside = |b: &&u8| !(b.is_ascii_whitespace() || matches!(b, b'{' | b'['));
        matches!(self.bytes.trim_ascii_start().first(), Some(b'{' | b'['))
            && matches!(self.bytes.iter().find(inside), Some(b'"' | b'}' | b']') | None)
    }
}

/// Knows lines and columns in the file, both from 1.
struct Cursor {
    at: usize,
    line: usize,
    line_start: usize,
}

impl Cursor {
    const fn start_of(part: &Part<'_>) -> Self {
        Self { at: 0, line: part.line, line_start: 0 }
    }

    /// Goes on to a byte of the part and tells its place.
    fn advance(&mut self, bytes: &[u8], to: usize) -> (usize, usize) {
        let passed = bytes.get(self.at..to).unwrap_or_default();
        self.line += passed.iter().filter(|b| **b == b'\n').count();
        if let Some(newline) = passed.iter().rposition(|b| *b == b'\n') {
            self.line_start = self.at + newline + 1;
        }
        self.at = to;
        (self.line, to - self.line_start + 1)
    }
}

/// After how many faults the rest of a file is not read.
const MAX_FAULTS: usize = 1_000;

/// How many objects of other kinds are told one by one.
const MAX_OTHERS: usize = 1_000;

#[derive(Default)]
struct Reader {
    document: usize,
    faults: usize,
    /// Objects that are no runs.
    others: usize,
    runs: Vec<Result<Run>>,
}

impl Reader {
    fn part(&mut self, part: &Part<'_>) {
        if part.is_json() {
            self.json(part);
        } else {
            self.yaml(part);
        }
    }

    /// Reads one value after the other. After a fault it goes on at the next line that begins with a bracket:
    /// in JSON that is written one value a line, or indented, each such line begins a value.
    fn json(&mut self, part: &Part<'_>) {
        let mut at = 0;
        let mut cursor = Cursor::start_of(part);
        while let Some(rest) = part.bytes.get(at..).filter(|rest| !rest.trim_ascii().is_empty()) {
            let start = at + rest.len() - rest.trim_ascii_start().len();
            let rest = part.bytes.get(start..).unwrap_or_default();
            let (line, column) = cursor.advance(part.bytes, start);
            let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Json>();
            let Some(value) = values.next() else { return };
            at = match &value {
                Ok(_) => start + values.byte_offset(),
                Err(_) => next_value(part.bytes, start),
            };
            let read = value.map_err(|fault| {
                let column = fault.column() + if fault.line() == 1 { column - 1 } else { 0 };
                let place =
                    format!("reading JSON at line {}, column {column}", line + fault.line() - 1);
                invalid(place).with_source(without_position(&fault.to_string()))
            });
            self.document(read, line);
            if self.faults > MAX_FAULTS {
                return;
            }
        }
    }

    fn yaml(&mut self, part: &Part<'_>) {
        let read = str::from_utf8(part.bytes)
            .map_err(|fault| {
                let (line, column) =
                    Cursor::start_of(part).advance(part.bytes, fault.valid_up_to());
                invalid(format!("reading YAML: not UTF-8 at line {line}, column {column}"))
            })
            .and_then(|text| {
                serde_saphyr::from_str_with_options::<Json>(text, yaml_options()).map_err(|fault| {
                    invalid("reading YAML".to_owned()).with_source(part.tell(&fault))
                })
            });
        self.document(read, part.line);
    }

    fn document(&mut self, read: Result<Json>, line: usize) {
        self.document += 1;
        let place = format!("document {}, line {line}", self.document);
        match read {
            Ok(document) => self.value(document, &place),
            Err(error) => self.push(Err(error), &place),
        }
    }

    /// Nobody reads a thousand faults, and a hostile file could hold millions. Other objects are no faults: a dump
    /// of a cluster holds thousands, and the runs among them are wanted.
    fn push(&mut self, run: Result<Run>, place: &str) {
        match &run {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.others += 1;
                if self.others > MAX_OTHERS {
                    return;
                }
            }
            Err(_) => self.faults += 1,
            Ok(_) => {}
        }
        if self.faults <= MAX_FAULTS {
            self.runs.push(run.map_err(|error| error.context(place.to_owned())));
        } else if self.faults == MAX_FAULTS + 1 {
            let why = format!("{place} and what follows: not read after {MAX_FAULTS} faults");
            self.runs.push(Err(invalid(why)));
        }
    }

    fn finish(mut self) -> Vec<Result<Run>> {
        if self.others > MAX_OTHERS {
            let more = self.others - MAX_OTHERS;
            let why = format!("{more} more objects that are no runs, beyond {MAX_OTHERS}");
            self.runs.push(Err(Error::new(ErrorKind::Unsupported, why)));
        }
        self.runs
    }

    fn value(&mut self, value: Json, place: &str) {
        match value {
            Json::Null => {}
            Json::List(items) => self.items(items, place, "", None),
            Json::Map(mut map) if is_list(map.get("kind")) => {
                let item = item_type(&map);
                match map.remove("items") {
                    Some(Json::List(items)) => self.items(items, place, "items", item.as_ref()),
                    None | Some(Json::Null) => {}
                    Some(other) => {
                        let why = format!("items: expected an array, found {}", other.kind());
                        self.push(Err(invalid(why)), place);
                    }
                }
            }
            value => self.push(Run::from_document(value), place),
        }
    }

    fn items(
        &mut self,
        items: Vec<Json>,
        place: &str,
        field: &str,
        item_type: Option<&(Json, Json)>,
    ) {
        for (index, mut item) in items.into_iter().enumerate() {
            if self.faults > MAX_FAULTS {
                return;
            }
            // The API server does not repeat kind and version for each item of a typed list.
            if let (Json::Map(map), Some((version, kind))) = (&mut item, item_type) {
                for (key, value) in [("apiVersion", version), ("kind", kind)] {
                    if map.get(key).is_none() {
                        map.insert(key, value.clone());
                    }
                }
            }
            self.value(item, &format!("{place}, {field}[{index}]"));
        }
    }
}

fn is_list(kind: Option<&Json>) -> bool {
    matches!(kind.map(Json::text), Some("List" | "TaskRunList" | "PipelineRunList"))
}

/// Version and kind of the items of a list that is only of runs.
fn item_type(list: &crate::Map) -> Option<(Json, Json)> {
    let kind = list.get("kind")?.text().strip_suffix("List").filter(|kind| !kind.is_empty())?;
    Some((list.get("apiVersion")?.clone(), Json::from(kind)))
}

/// Where the first line begins, after the one that holds `start`, that begins with a bracket.
fn next_value(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let begins = |pair: &[u8]| matches!(pair, [b'\n', b'{' | b'[']);
    rest.windows(2).position(begins).map_or(bytes.len(), |at| start + at + 1)
}

/// The parser counts lines from where the value begins; where the fault is in the file is said already.
fn without_position(message: &str) -> String {
    let end = message.rfind(" at line ").unwrap_or(message.len());
    quote::message(message.get(..end).unwrap_or(message))
}

/// What a file of a few hundred runs needs, and no more: anchors are for people who write by hand, and a run
/// that was read from a cluster has none.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // The parser recurses; at this depth it still fits the stack of a thread, and no run is half as deep.
            max_depth: 48,
            max_nodes: 10_000_000,
            max_events: 40_000_000,
            max_total_scalar_bytes: 256 * 1024 * 1024,
            max_anchors: 1_000,
            max_aliases: 1_000,
            max_merge_keys: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
        // As in YAML 1.2: `yes` and `on` are strings.
        strict_booleans: true,
        with_snippet: false,
    }
}

fn invalid(why: String) -> Error {
    Error::new(ErrorKind::InvalidInput, why)
}
