//! The certificate in use, and the task that renews it: one at a time, before it is needed.
//!
//! | there is | the task asks for a certificate |
//! |---|---|
//! | none, or one that is about to end | at once |
//! | one | when a third of its time is left |
//! | none after a failure | after a pause that doubles, or as the server asks; sooner where somebody waits |
//! | nobody who has signed for [`FulcioOptions::idle`](crate::FulcioOptions::idle) | when somebody signs |

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::issue::Issued;

/// Gets one certificate for a new key.
#[async_trait]
pub(crate) trait Issue: Debug + Send + Sync + 'static {
    async fn issue(&self) -> Result<Issued, Fault>;
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// For how long those who wait for a certificate are given the failure that another one has just met.
const SAME_FAILURE: Duration = Duration::from_secs(1);

/// How it stands with the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// None was asked for yet.
    Waiting,
    /// There is one.
    Ready {
        /// Its end.
        until: SystemTime,
    },
    /// The last attempt to get one failed; another one follows.
    Failing {
        /// Why, in one line; holds no secret.
        error: String,
        /// The end of the certificate that is in use meanwhile, where there is one.
        until: Option<SystemTime>,
    },
}

/// Keeps a certificate at hand.
#[derive(Debug)]
pub(crate) struct Renewal {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    issuer: Box<dyn Issue>,
    idle: Option<Duration>,
    state: watch::Sender<State>,
    status: watch::Sender<Status>,
    /// Somebody waits for a certificate, or signs again after a long time.
    demand: Notify,
    /// When somebody last wanted to sign.
    used: Mutex<Instant>,
}

#[derive(Debug, Clone, Default)]
struct State {
    current: Option<Arc<Issued>>,
    /// How many attempts have ended.
    ended: u64,
    /// How the last one failed.
    fault: Option<Fault>,
}

impl State {
    fn usable(&self) -> Option<Arc<Issued>> {
        self.current.clone().filter(|issued| issued.is_usable())
    }
}

/// What the task knows of the attempts that failed.
#[derive(Debug)]
struct Attempts {
    failed: u32,
    next: Instant,
    /// Until then, those who wait are given the last failure.
    refuse: Instant,
}

impl Renewal {
    pub(crate) fn new(issuer: impl Issue, idle: Option<Duration>) -> Self {
        let shared = Shared {
            issuer: Box::new(issuer),
            idle,
            state: watch::Sender::new(State::default()),
            status: watch::Sender::new(Status::Waiting),
            demand: Notify::new(),
            used: Mutex::new(Instant::now()),
        };
        Self { shared: Arc::new(shared), task: Mutex::default() }
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    /// Starts the task, unless it runs; it ends with this value.
    pub(crate) fn start(&self) {
        let mut task = lock(&self.task);
        // A task ends before this value only with the runtime that it was started in.
        if task.as_ref().is_none_or(JoinHandle::is_finished)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            *task = Some(runtime.spawn(Arc::clone(&self.shared).run()));
        }
    }

    /// A certificate with time enough to sign: the one at hand, or else the next one.
    pub(crate) async fn certificate(&self) -> Result<Arc<Issued>> {
        self.start();
        let mut states = self.shared.state.subscribe();
        let ended = {
            let state = states.borrow_and_update();
            self.shared.touch();
            if let Some(usable) = state.usable() {
                return Ok(usable);
            }
            state.ended
        };
        self.shared.demand.notify_one();
        loop {
            if states.changed().await.is_err() {
                return Err(Error::new(ErrorKind::Internal, "waiting for a certificate"));
            }
            let state = states.borrow_and_update();
            if let Some(usable) = state.usable() {
                return Ok(usable);
            }
            if let (true, Some(fault)) = (state.ended > ended, &state.fault) {
                return Err(fault.clone().into());
            }
        }
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let now = Instant::now();
        let mut attempts = Attempts { failed: 0, next: now, refuse: now };
        loop {
            self.wait(&attempts).await;
            match self.issuer.issue().await {
                Ok(issued) if !issued.is_usable() => {
                    let why =
                        "it is about to end already, by the clock here: do the clocks differ?";
                    let what = "using a certificate";
                    self.failed(&mut attempts, Fault::new(ErrorKind::Verification, what, why));
                }
                Ok(issued) => {
                    attempts.failed = 0;
                    self.succeeded(issued);
                }
                Err(fault) => self.failed(&mut attempts, fault),
            }
        }
    }

    /// Returns when a certificate is to be asked for.
    async fn wait(&self, attempts: &Attempts) {
        loop {
            let due = self.is_active().then(|| self.due(attempts));
            tokio::select! {
                () = sleep_until(due) => {
                    if self.is_active() {
                        return;
                    }
                }
                () = self.demand.notified() => {
                    if self.state.borrow().usable().is_some() {
                        continue;
                    }
                    if attempts.failed == 0 || Instant::now() >= attempts.refuse {
                        return;
                    }
                    // Those who wait learn what the last attempt met.
                    self.state.send_modify(|state| state.ended += 1);
                }
            }
        }
    }

    /// When a certificate is to be asked for if nobody waits for one.
    fn due(&self, attempts: &Attempts) -> Instant {
        if attempts.failed > 0 {
            return attempts.next;
        }
        let state = self.state.borrow();
        state.current.as_ref().map_or_else(Instant::now, |issued| issued.renew_at())
    }

    fn is_active(&self) -> bool {
        let used = *lock(&self.used);
        self.idle.is_none_or(|idle| used.elapsed() < idle)
    }

    /// Somebody wants to sign.
    fn touch(&self) {
        if !self.is_active() {
            self.demand.notify_one();
        }
        *lock(&self.used) = Instant::now();
    }

    fn succeeded(&self, issued: Issued) {
        self.status.send_replace(Status::Ready { until: issued.not_after() });
        self.state.send_modify(|state| {
            state.current = Some(Arc::new(issued));
            state.ended += 1;
            state.fault = None;
        });
    }

    fn failed(&self, attempts: &mut Attempts, fault: Fault) {
        let now = Instant::now();
        let pause = FIRST_PAUSE * 2u32.saturating_pow(attempts.failed.min(16));
        let pause = jittered(pause.min(LONGEST_PAUSE)).max(fault.wait.unwrap_or_default());
        attempts.failed = attempts.failed.saturating_add(1);
        attempts.next = now + pause;
        attempts.refuse = now + SAME_FAILURE.max(fault.wait.unwrap_or_default());
        let until = self.state.borrow().usable().map(|issued| issued.not_after());
        let error = fault.report();
        tracing::warn!(
            error,
            failed = attempts.failed,
            next = ?pause,
            one_in_use = until.is_some(),
            "could not get a certificate"
        );
        self.status.send_replace(Status::Failing { error, until });
        self.state.send_modify(|state| {
            // One that has ended is of no use, and its key had better be gone.
            if until.is_none() {
                state.current = None;
            }
            state.ended += 1;
            state.fault = Some(fault);
        });
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Half of it, and anything up to the other half: several replicas that fail together shall not ask together.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without random bytes there is no key either.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    pause / 2 + pause / 2 * u32::from(byte[0]) / 255
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
