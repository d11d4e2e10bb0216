//! What is measured, and what the project wants of it.

use std::fmt;

/// A measured or wanted quantity.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) enum Quantity {
    /// A time.
    Nanoseconds(f64),
    /// An amount of memory.
    Bytes(f64),
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Nanoseconds(time) if time < 1e3 => write!(f, "{time:.0} ns"),
            Self::Nanoseconds(time) if time < 1e6 => write!(f, "{:.1} µs", time / 1e3),
            Self::Nanoseconds(time) if time < 1e9 => write!(f, "{:.1} ms", time / 1e6),
            Self::Nanoseconds(time) => write!(f, "{:.2} s", time / 1e9),
            Self::Bytes(bytes) => write!(f, "{:.1} MB", bytes / 1e6),
        }
    }
}

/// A goal: the words that the name of a measurement must all hold, and the most it may come to.
type Goal = (&'static [&'static str], Quantity);

const GOALS: &[Goal] = &[
    (&["payload", "vectors"], Quantity::Nanoseconds(30e3)),
    (&["signer-x509", "sign", "p256"], Quantity::Nanoseconds(80e3)),
    (&["process:", "median"], Quantity::Nanoseconds(20e6)),
    (&["process:", "peak memory"], Quantity::Bytes(20e6)),
];

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What came out.
    pub(crate) measured: Quantity,
    /// The most it may come to.
    pub(crate) goal: Option<Quantity>,
}

impl Row {
    /// A measurement, with its goal if it has one.
    pub(crate) fn new(what: String, measured: Quantity) -> Self {
        let holds = |words: &[&str]| words.iter().all(|word| what.contains(word));
        let goal = GOALS.iter().find(|(words, _)| holds(words)).map(|(_, goal)| *goal);
        Self { what, measured, goal }
    }

    /// Whether it came to more than it may.
    pub(crate) fn is_missed(&self) -> bool {
        self.goal.is_some_and(|goal| self.measured > goal)
    }
}
