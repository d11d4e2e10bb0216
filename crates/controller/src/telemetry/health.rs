//! Whether the process lives, and whether it can do its work: what `/livez` and `/readyz` answer.
//!
//! Each part of the controller says how it is. `/readyz` is good while every part is, and lists them all.
//! `/livez` is good while the main loop beats: a process that hangs is restarted, one that waits for a registry, a
//! key or the API server is not, because a restart would not help.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// A main loop that is silent for so long hangs.
const SILENCE: Duration = Duration::from_secs(60);

/// How the controller is; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    /// Milliseconds from `began` to the last beat.
    beat: AtomicU64,
    stopping: AtomicBool,
    parts: Mutex<Vec<PartState>>,
}

/// One part's own handle: it says how the part is.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    shared: Arc<Shared>,
    index: usize,
}

/// What a part last said.
#[derive(Debug, Clone, Serialize)]
struct PartState {
    name: &'static str,
    state: State,
    detail: String,
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It works.
    Ok,
    /// It needs something that is not there yet.
    Waiting,
    /// Something is wrong that somebody has to mend.
    Faulty,
}

/// An answer to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) good: bool,
    pub(super) body: String,
}

#[derive(Serialize)]
struct ReadyJson<'a> {
    ready: bool,
    parts: &'a [PartState],
}

impl Health {
    /// Without any part, which is not ready.
    pub(crate) fn new() -> Self {
        let shared = Shared {
            began: Instant::now(),
            beat: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            parts: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A part without which the controller is not ready. It waits until it says otherwise.
    pub(crate) fn part(&self, name: &'static str) -> Part {
        let mut parts = self.shared.parts();
        let detail = "starting".to_owned();
        parts.push(PartState { name, state: State::Waiting, detail });
        Part { shared: Arc::clone(&self.shared), index: parts.len() - 1 }
    }

    /// The main loop is still turning: to be called every few seconds.
    pub(crate) fn beat(&self) {
        let now = self.shared.began.elapsed().as_millis();
        self.shared.beat.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// From now on not ready: the process ends.
    pub(crate) fn stopping(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
    }

    /// For `/livez`.
    pub(super) fn live(&self) -> Answer {
        let beat = Duration::from_millis(self.shared.beat.load(Ordering::Relaxed));
        let silent = self.shared.began.elapsed().saturating_sub(beat);
        if silent < SILENCE {
            return Answer { good: true, body: "ok\n".to_owned() };
        }
        let body = format!("the main loop has been silent for {} s\n", silent.as_secs());
        Answer { good: false, body }
    }

    /// For `/readyz`, as text or as JSON.
    pub(super) fn ready(&self, json: bool) -> Answer {
        let parts = self.shared.parts();
        let stopping = self.shared.stopping.load(Ordering::Relaxed);
        let all_good = parts.iter().all(|part| part.state == State::Ok);
        let ready = !stopping && !parts.is_empty() && all_good;
        let body = if json {
            let answer = ReadyJson { ready, parts: &parts };
            serde_json::to_string(&answer).unwrap_or_default() + "\n"
        } else {
            text(ready, stopping, &parts)
        };
        Answer { good: ready, body }
    }
}

/// The verdict, and a line for each part.
fn text(ready: bool, stopping: bool, parts: &[PartState]) -> String {
    let verdict = match (ready, stopping) {
        (true, _) => "ready",
        (_, true) => "not ready: stopping",
        (false, false) => "not ready",
    };
    let mut text = format!("{verdict}\n");
    for part in parts {
        let mark = if part.state == State::Ok { '+' } else { '-' };
        let state = match part.state {
            State::Ok => "ok",
            State::Waiting => "waiting",
            State::Faulty => "faulty",
        };
        let detail = if part.detail.is_empty() { "" } else { ": " };
        // A String takes everything that is written to it.
        let _ = write!(text, "[{mark}] {} {state}{detail}", part.name);
        // What others wrote may be quoted in it: it stays on its line.
        text.extend(part.detail.chars().map(|c| if c.is_control() { ' ' } else { c }));
        text.push('\n');
    }
    text
}

impl Shared {
    fn parts(&self) -> MutexGuard<'_, Vec<PartState>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// It works; `detail` says with what, e.g. which version of the ConfigMap.
    pub(crate) fn ok(&self, detail: impl Into<String>) {
        self.set(State::Ok, detail.into());
    }

    /// It needs something that is not there yet.
    pub(crate) fn waiting(&self, why: impl Into<String>) {
        self.set(State::Waiting, why.into());
    }

    /// Something is wrong that somebody has to mend.
    pub(crate) fn faulty(&self, why: impl Into<String>) {
        self.set(State::Faulty, why.into());
    }

    fn set(&self, state: State, detail: String) {
        if let Some(part) = self.shared.parts().get_mut(self.index) {
            part.state = state;
            part.detail = detail;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(health: &Health, good: bool, text: &str) {
        assert_eq!(health.ready(false), Answer { good, body: text.to_owned() });
    }

    #[tokio::test]
    async fn ready_is_when_every_part_is() {
        let health = Health::new();
        check(&health, false, "not ready\n");
        let keys = health.part("keys");
        check(&health, false, "not ready\n[-] keys waiting: starting\n");
        keys.ok("");
        check(&health, true, "ready\n[+] keys ok\n");
        let configuration = health.part("configuration");
        let rest = "[+] keys ok\n";
        check(&health, false, &format!("not ready\n{rest}[-] configuration waiting: starting\n"));
        configuration.ok("chains-config at 17");
        check(&health, true, &format!("ready\n{rest}[+] configuration ok: chains-config at 17\n"));
        configuration.faulty("`signer`:\nunknown");
        let fault = "[-] configuration faulty: `signer`: unknown\n";
        check(&health, false, &format!("not ready\n{rest}{fault}"));
    }

    #[tokio::test]
    async fn ready_is_told_in_json_too() {
        let health = Health::new();
        health.part("keys").ok("x509");
        health.part("ownership").faulty("forbidden:\n\"no\"");
        let body = concat!(
            r#"{"ready":false,"parts":[{"name":"keys","state":"ok","detail":"x509"},"#,
            r#"{"name":"ownership","state":"faulty","detail":"forbidden:\n\"no\""}]}"#,
            "\n"
        );
        assert_eq!(health.ready(true), Answer { good: false, body: body.to_owned() });
    }

    #[tokio::test]
    async fn what_stops_is_not_ready() {
        let health = Health::new();
        health.part("keys").ok("");
        health.clone().stopping();
        check(&health, false, "not ready: stopping\n[+] keys ok\n");
        assert!(health.live().good);
    }

    #[tokio::test(start_paused = true)]
    async fn a_main_loop_that_is_silent_for_a_minute_is_not_alive() {
        let health = Health::new();
        assert!(health.live().good, "the first beat may take a moment");
        tokio::time::advance(SILENCE - Duration::from_millis(1)).await;
        assert!(health.live().good);
        health.beat();
        tokio::time::advance(SILENCE).await;
        let silent = "the main loop has been silent for 60 s\n".to_owned();
        assert_eq!(health.live(), Answer { good: false, body: silent });
        health.beat();
        assert!(health.live().good);
    }
}
