//! Indents JSON and takes the indentation away again, token by token: nothing else changes.
//!
//! Parsing and writing anew would reorder fields and round numbers; people compare what they read with what
//! was signed.

/// Spaces for each level.
const INDENT: usize = 2;

/// Nesting beyond this is not indented further, so that small hostile input makes no large file.
const DEEPEST: usize = 64;

/// The JSON indented, ending in a newline. What is not JSON comes out as some other text.
pub(crate) fn indented(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut tokens = Tokens { rest: json }.peekable();
    while let Some(token) = tokens.next() {
        match token {
            b"{" | b"[" => {
                out.extend_from_slice(token);
                let close: &[u8] = if token == b"{" { b"}" } else { b"]" };
                // What is empty stays on one line.
                if let Some(close) = tokens.next_if_eq(&close) {
                    out.extend_from_slice(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            b"}" | b"]" => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.extend_from_slice(token);
            }
            b"," => {
                out.extend_from_slice(token);
                new_line(&mut out, depth);
            }
            b":" => out.extend_from_slice(b": "),
            other => out.extend_from_slice(other),
        }
    }
    out.push(b'\n');
    out
}

/// The JSON without white space between its tokens.
pub(crate) fn compact(json: &[u8]) -> Vec<u8> {
    Tokens { rest: json }.collect::<Vec<_>>().concat()
}

/// What [`indented`] was made of, where it was compact; other bytes as they are.
pub(crate) fn restored(json: Vec<u8>) -> Vec<u8> {
    let compact = compact(&json);
    if indented(&compact) == json { compact } else { json }
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + INDENT * depth.min(DEEPEST), b' ');
}

/// Punctuation, strings, and runs of anything else.
struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.rest = self.rest.trim_ascii_start();
        let length = match self.rest.first()? {
            b'"' => string_length(self.rest),
            byte if is_punctuation(*byte) => 1,
            _ => {
                let ends = |b: &u8| is_punctuation(*b) || *b == b'"' || b.is_ascii_whitespace();
                self.rest.iter().position(ends).unwrap_or(self.rest.len())
            }
        };
        let (token, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(token)
    }
}

const fn is_punctuation(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':')
}

/// Length of the string at the start, with its quotes; of all where it does not end.
fn string_length(json: &[u8]) -> usize {
    let mut escaped = false;
    for (index, byte) in json.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{compact, indented, restored};

    fn check(json: &str, expected: &str) {
        let text = String::from_utf8(indented(json.as_bytes())).unwrap();
        assert_eq!(text, format!("{expected}\n"));
        assert_eq!(restored(text.into_bytes()), json.as_bytes());
    }

    #[test]
    fn indents_and_takes_it_away() {
        check("{}", "{}");
        check("[]", "[]");
        check(
            r#"{"a":[1,-2.50e3],"b":{}}"#,
            "{\n  \"a\": [\n    1,\n    -2.50e3\n  ],\n  \"b\": {}\n}",
        );
        check(r#"{"z":1,"a":"{ \\\" : , }"}"#, "{\n  \"z\": 1,\n  \"a\": \"{ \\\\\\\" : , }\"\n}");
        check(r#""just\ttext""#, r#""just\ttext""#);
    }

    #[test]
    fn deep_input_makes_no_huge_output() {
        let deep = "[".repeat(10_000);
        assert!(indented(deep.as_bytes()).len() < 200 * deep.len());
    }

    proptest! {
        #[test]
        fn what_is_compact_comes_back(
            pairs in prop::collection::vec((any::<String>(), any::<f64>(), any::<bool>()), 0..8)
        ) {
            let members: Vec<String> = pairs
                .iter()
                .map(|(text, number, flag)| format!("{text:?}:[[{number:e},{text:?}],{{}},{flag}]"))
                .collect();
            let json = format!("{{{}}}", members.join(",")).into_bytes();
            prop_assert_eq!(restored(indented(&json)), json);
        }

        #[test]
        fn any_bytes_do_no_harm(bytes: Vec<u8>) {
            let compacted = compact(&bytes);
            prop_assert!(compacted.len() <= bytes.len());
            let _ = restored(indented(&bytes));
        }
    }
}
