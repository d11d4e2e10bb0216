//! What OpenBao answered, as its audit log tells it.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Deserialize;

/// An answer that the server gave.
#[derive(Debug, Clone)]
pub struct Audited {
    /// After `v1/`.
    pub path: String,
    /// `read`, `update` and so on.
    pub operation: String,
    /// The connection: the port that the client had.
    pub port: u16,
    /// The JWT that a login showed, in a form that tells others apart and nothing else.
    pub jwt: String,
    /// Why it was refused, if it was.
    pub error: String,
    /// When.
    pub time: Timestamp,
}

#[derive(Deserialize)]
struct Line {
    time: Timestamp,
    #[serde(rename = "type")]
    kind: String,
    request: Request,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    path: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    remote_port: u16,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    jwt: String,
}

impl Line {
    /// Who asks too often is turned away before a response is logged: the request says so, if anything does.
    fn is_answer(&self) -> bool {
        self.kind == "response" || self.error.contains("quota exceeded")
    }
}

/// Every answer in the log about paths that start so.
pub(super) fn read(log: &Path, start: &str) -> Result<Vec<Audited>> {
    let text = fs::read_to_string(log).context("read the audit log")?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    Ok(lines
        .filter(|line| line.is_answer() && line.request.path.starts_with(start))
        .map(|Line { time, request, error, .. }| Audited {
            path: request.path,
            operation: request.operation,
            port: request.remote_port,
            jwt: request.data.map(|data| data.jwt).unwrap_or_default(),
            error,
            time,
        })
        .collect())
}

/// How many of these were given in the busiest second.
#[must_use]
pub fn busiest_second(answers: &[Audited]) -> usize {
    let mut times: Vec<_> = answers.iter().map(|one| one.time.as_millisecond()).collect();
    times.sort_unstable();
    let until = |from: i64| times.partition_point(|time| *time < from + 1000);
    times.iter().enumerate().map(|(at, from)| until(*from) - at).max().unwrap_or_default()
}
