//! What came of one run.

use chains_cluster::retry::{Found, RunName, State};
use chains_core::Error;
use serde::Serialize;

/// One run, as it was and what was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    kind: &'static str,
    namespace: String,
    name: String,
    /// How far signing was; absent where the run could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Why it failed, as the run said.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When the controller would have tried it again, as the run said.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<String>,
    pub(super) outcome: Outcome,
    /// Why it was left alone, or what failed now.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Outcome {
    /// The controller takes it up anew.
    Started,
    /// It would, but for `--dry-run`.
    WouldStart,
    /// Nothing was to be done.
    Left,
    /// It was deleted meanwhile.
    Gone,
    /// It could not be read or written.
    Failed,
}

impl Row {
    fn new(found: &Found, outcome: Outcome, detail: Option<String>) -> Self {
        let (state, reason, next_attempt) = match found.state().clone() {
            State::Failed { reason } => ("failed", reason, None),
            State::Failing { reason, next } => ("waiting", reason, next),
            State::Signed => ("signed", None, None),
            State::New => ("new", None, None),
        };
        Self {
            state: Some(state),
            reason,
            next_attempt,
            ..Self::of(&found.run, &found.namespace, outcome, detail)
        }
    }

    fn of(run: &RunName, namespace: &str, outcome: Outcome, detail: Option<String>) -> Self {
        Self {
            kind: run.kind.as_str(),
            namespace: namespace.to_owned(),
            name: run.name.clone(),
            state: None,
            reason: None,
            next_attempt: None,
            outcome,
            detail,
        }
    }

    pub(super) fn started(found: &Found) -> Self {
        Self::new(found, Outcome::Started, None)
    }

    pub(super) fn would_start(found: &Found) -> Self {
        Self::new(found, Outcome::WouldStart, None)
    }

    pub(super) fn gone(found: &Found) -> Self {
        Self::new(found, Outcome::Gone, None)
    }

    /// `now` is what kept it from being started, which may have come in between.
    pub(super) fn left(found: &Found, now: &State) -> Self {
        let why = match now {
            State::Signed => "it is signed; --again starts it all the same",
            State::New => "no attempt failed: it still runs, or waits for its turn",
            State::Failed { .. } | State::Failing { .. } => "it is not to be started",
        };
        Self::new(found, Outcome::Left, Some(why.to_owned()))
    }

    pub(super) fn failed(found: &Found, error: &Error) -> Self {
        Self::new(found, Outcome::Failed, Some(error.report()))
    }

    /// A run by name that could not be read.
    pub(super) fn unread(run: &RunName, namespace: &str, error: &Error) -> Self {
        Self::of(run, namespace, Outcome::Failed, Some(error.report()))
    }

    pub(super) fn order(&self) -> (&str, &str, &str) {
        (&self.namespace, self.kind, &self.name)
    }

    pub(super) fn cells(&self) -> [String; 3] {
        let next = self.next_attempt.as_ref().map(|next| format!("until {next}"));
        let state = self.state.map(str::to_owned).into_iter().chain(next).collect::<Vec<_>>();
        let reason = self.reason.as_deref().map(short);
        let was = [state.join(" ")].into_iter().chain(reason).collect::<Vec<_>>();
        let now = match self.outcome {
            Outcome::Started => "started again",
            Outcome::WouldStart => "would be started again",
            Outcome::Left => "left alone",
            Outcome::Gone => "deleted meanwhile",
            Outcome::Failed => "failed",
        };
        let now =
            self.detail.as_ref().map_or_else(|| now.to_owned(), |why| format!("{now}: {why}"));
        [format!("{} {}/{}", self.kind, self.namespace, self.name), was.join(": "), now]
    }
}

/// How much of a reason stands in a table, in characters; JSON has the whole.
const REASON: usize = 100;

/// The beginning of a text, in one line.
fn short(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(REASON) {
        line.truncate(end);
        line.push('…');
    }
    line
}
