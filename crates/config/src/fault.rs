//! What is wrong with a configuration: one fault a key, all of them together.

use std::fmt;

use chains_core::{Error, ErrorKind};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key at fault; `None` where the text as a whole cannot be read.
    pub key: Option<String>,
    /// What is wrong, and what is allowed. Never holds a secret.
    pub message: String,
    /// The key that was probably meant.
    pub suggestion: Option<String>,
}

impl Fault {
    /// A fault of a key.
    pub(crate) fn of(key: &str, message: impl Into<String>) -> Self {
        Self { key: Some(shorten(key)), message: message.into(), suggestion: None }
    }

    /// A fault of the text as a whole.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self { key: None, message: message.into(), suggestion: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "`{}`: ", key.escape_debug())?;
        }
        f.write_str(&self.message)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, ": did you mean `{suggestion}`?")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// `Ok` where there are none.
    pub(crate) fn check(faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self(faults)) }
    }

    /// The faults: first those of unknown keys, then of values, then of values that do not go
    /// together.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Faults {
    type Item = &'a Fault;
    type IntoIter = std::slice::Iter<'a, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Faults {
    /// All in one line, parted by semicolons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::new(ErrorKind::Configuration, "reading the configuration").with_source(faults)
    }
}

/// Cuts what is too long for a message.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 120;
    match text.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.to_owned(),
    }
}
