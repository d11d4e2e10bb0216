//! Text from a document inside a message: on one line, without anything that moves a cursor or hides, and short.

use std::fmt::{self, Write as _};

/// So many characters of a text are shown.
const LONGEST: usize = 100;

/// So many characters of a parser's message, which may hold a text.
const LONGEST_MESSAGE: usize = 300;

/// A text in quotes: escaped as in Rust, and cut, with `…` behind, where it is long.
///
/// ```
/// assert_eq!(chains_tekton::Quoted("a\u{1b}[2J").to_string(), r#""a\u{1b}[2J""#);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = cut(self.0, LONGEST);
        write!(f, "{shown:?}")?;
        if shown.len() < self.0.len() { f.write_char('…') } else { Ok(()) }
    }
}

/// A name as it is where it looks like one, [`Quoted`] where it does not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a>(pub(crate) &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@$".contains(c);
        if !self.0.is_empty() && self.0.len() <= LONGEST && self.0.chars().all(plain) {
            f.write_str(self.0)
        } else {
            Quoted(self.0).fmt(f)
        }
    }
}

/// A parser's message on one line. What is printable stays as it is.
pub(crate) fn message(text: &str) -> String {
    let shown = cut(text, LONGEST_MESSAGE);
    let mut line = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '"' | '\'' | '\\' => line.push(c),
            c => line.extend(c.escape_debug()),
        }
    }
    if shown.len() < text.len() {
        line.push('…');
    }
    line
}

fn cut(text: &str, longest: usize) -> &str {
    let end = text.char_indices().nth(longest).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_on_one_line() {
        let check = |text: &str, quoted: &str, name: &str, line: &str| {
            let shown = (Quoted(text).to_string(), Name(text).to_string(), message(text));
            assert_eq!(shown, (quoted.to_owned(), name.to_owned(), line.to_owned()));
        };
        check("TaskRun", r#""TaskRun""#, "TaskRun", "TaskRun");
        check("", r#""""#, r#""""#, "");
        check("a `b` \"c\"", r#""a `b` \"c\"""#, r#""a `b` \"c\"""#, "a `b` \"c\"");
        check("ä\n\r\u{1b}[2J", r#""ä\n\r\u{1b}[2J""#, r#""ä\n\r\u{1b}[2J""#, r"ä\n\r\u{1b}[2J");
        // Right to left override, zero width space, C1 control.
        let hidden = r"\u{202e}\u{200b}\u{9b}";
        check("\u{202e}\u{200b}\u{9b}", &format!("\"{hidden}\""), &format!("\"{hidden}\""), hidden);
        let (long, shown) = ("ä".repeat(301), "ä".repeat(100));
        let quoted = format!("\"{shown}\"…");
        check(&long, &quoted, &quoted, &format!("{}…", "ä".repeat(300)));
        check(&shown, &quoted.replace('…', ""), &quoted.replace('…', ""), &shown);
    }
}
