//! Drives each target down the line.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use chains_core::{
    Certificate, Digest, Entry, Error, ErrorKind, Payload, Progress, Record, RecordKey, Result,
    RunKind, Signed, Signer, Store, Target, TargetProgress, Timestamp, annotations,
};
use chains_tekton::Run;
use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use tracing::Instrument as _;

use crate::conclude;
use crate::logging::{self, Logging};
use crate::panics::caught;
use crate::plan::{LogMode, LogRoute, Plan, Route};
use crate::report::{Report, Stage, StoreReport, TargetReport};
use crate::signing::{self, Left, SignedPayload};

/// How many targets of one run are worked on at once.
const TARGETS_AT_ONCE: usize = 8;

/// Ends when an attempt has to come to its end: a time is over, or the process is to stop.
pub type Until = Shared<BoxFuture<'static, ()>>;

/// The line over a [`Plan`]; cheap to clone, safe to share.
#[derive(Debug, Clone)]
pub struct Engine {
    plan: Arc<Plan>,
}

/// What came of a target, and what the next attempt would need to know.
pub(crate) struct Worked {
    pub(crate) report: TargetReport,
    pub(crate) made: Option<Made>,
}

/// What a target's stores share.
pub(crate) struct Made {
    payload: Bytes,
    signature: Bytes,
    certificate: Option<Certificate>,
    timestamps: Vec<Timestamp>,
    /// Address of its entry, which an earlier attempt may have made.
    entry: Option<String>,
    /// Whether what is stored now has the entry.
    has_entry: bool,
    /// Stores that got it in earlier attempts without the entry that was there by then.
    unlogged: BTreeSet<String>,
}

/// How far a target has come.
struct Reached {
    stage: Stage,
    made: Option<Made>,
}

impl Engine {
    /// Takes the plan.
    ///
    /// # Errors
    /// Where its parts do not fit together: [`Plan::check`].
    pub fn new(plan: Plan) -> Result<Self> {
        plan.check()?;
        Ok(Self { plan: Arc::new(plan) })
    }

    /// Whether runs of this kind get a statement of their own: only then their children are looked into.
    #[must_use]
    pub fn makes_statements_of(&self, kind: RunKind) -> bool {
        self.plan.route(kind, &Target::Run).is_enabled()
    }

    /// Has the signers begin, in the background, what the first signature would have to wait for.
    pub fn start(&self) {
        let routes = [&self.plan.taskrun, &self.plan.pipelinerun, &self.plan.image];
        let enabled = routes.into_iter().filter(|route| route.is_enabled());
        enabled.filter_map(|route| route.signer.as_deref()).for_each(Signer::start);
    }

    /// Takes a completed run down the line. `progress` is what earlier attempts left, empty at first.
    ///
    /// Never fails as a whole: the report tells what came of each target.
    /// Nothing is done for a run that is not complete.
    pub async fn process(&self, run: &Run, progress: &Progress) -> Report {
        self.process_until(run, progress, std::future::pending().boxed().shared()).await
    }

    /// As [`process`](Self::process), and not longer than `until` lasts: targets that are not done by then failed
    /// with [`ErrorKind::Timeout`]. What was signed, logged and stored of them is in the report.
    pub async fn process_until(&self, run: &Run, progress: &Progress, until: Until) -> Report {
        if !run.is_complete() {
            return conclude::report(run, progress, Vec::new());
        }
        let log = self.plan.log.as_ref().filter(|log| log.applies(run)).map(Logging::new);
        let log = log.as_ref();
        let work: Vec<_> = self
            .enabled(run)
            .map(|(target, route)| work(run, target, route, log, (progress, until.clone())))
            .collect();
        let worked = stream::iter(work).buffered(TARGETS_AT_ONCE).collect().await;
        conclude::report(run, progress, worked)
    }

    fn enabled<'a>(&'a self, run: &'a Run) -> impl Iterator<Item = (Target, &'a Route)> + 'a {
        let kind = run.reference().kind;
        run.targets(self.plan.pipelinerun_images).into_iter().filter_map(move |target| {
            let route = self.plan.route(kind, &target);
            route.is_enabled().then_some((target, route))
        })
    }
}

impl LogRoute {
    fn applies(&self, run: &Run) -> bool {
        let asked = || run.reference().annotations.get(annotations::TRANSPARENCY_UPLOAD);
        self.mode == LogMode::Always || asked().is_some_and(|value| value == "true")
    }
}

async fn work(
    run: &Run,
    target: Target,
    route: &Route,
    log: Option<&Logging<'_>>,
    (progress, until): (&Progress, Until),
) -> Worked {
    let key = target.record_key(run.reference());
    let mut report = untouched(target, key, route.format.name());
    let mut reached = Reached { stage: Stage::Payload, made: None };
    let advanced = {
        let span = tracing::info_span!("target", target = %report.key.full);
        let what = format!("working on {}", report.key.full);
        let advance = advance(run, route, log, progress, &mut report, &mut reached);
        let advance = caught(|| what, advance);
        tokio::select! {
            biased;
            advanced = advance.instrument(span) => Some(advanced),
            () = until => None,
        }
    };
    let place = |store: &StoreReport| route.stores.iter().position(|one| one.name() == store.store);
    report.stores.sort_by_key(place);
    report.stopped = match advanced {
        Some(advanced) => advanced.err().map(|error| (reached.stage, error)),
        None => Some((reached.stage, too_late(&report))),
    };
    Worked { report, made: reached.made }
}

/// The report of a target that nothing was done with.
const fn untouched(target: Target, key: RecordKey, format: &'static str) -> TargetReport {
    TargetReport {
        target,
        key,
        format,
        stopped: None,
        nothing_to_say: false,
        signed: false,
        resumed: false,
        entries: Vec::new(),
        unlogged: None,
        stored_before: BTreeSet::new(),
        stores: Vec::new(),
    }
}

fn too_late(report: &TargetReport) -> Error {
    let why = format!("working on {}: the time for one attempt is over", report.key.full);
    Error::new(ErrorKind::Timeout, why)
}

/// Takes one target as far as it goes; `report` and `reached` keep what was reached when a stage fails.
async fn advance(
    run: &Run,
    route: &Route,
    log: Option<&Logging<'_>>,
    progress: &Progress,
    report: &mut TargetReport,
    reached: &mut Reached,
) -> Result<()> {
    let payload = route.format.payload(run, &report.target)?;
    let Some(payload) = payload else {
        report.nothing_to_say = true;
        return Ok(());
    };
    let earlier = earlier(progress, &report.key, &payload);
    let signer = route.signer.as_deref();
    reached.stage = Stage::Sign;
    let mut signed = match signer {
        Some(signer) => Some(signing::sign(signer, &payload, earlier, log.is_some()).await?),
        None => None,
    };
    reached.made = Some(note(report, &payload, signed.as_ref(), earlier));
    let entry = match (log, signer, &mut signed) {
        (Some(log), Some(signer), Some(signed)) => {
            logged((log, signer), (&payload, earlier), signed, (report, reached)).await?
        }
        // What is not signed has nothing to log.
        _ => None,
    };
    reached.stage = Stage::Store;
    let record = record(run, report, payload, signed, entry);
    store(&route.stores, &record, &report.stored_before, &mut report.stores).await;
    Ok(())
}

/// Logs it: under another signature where the log does not take this one any more, and not at all where it need not be
/// and the log does not answer.
async fn logged(
    (log, signer): (&Logging<'_>, &dyn Signer),
    (payload, earlier): (&Payload, Option<Left<'_>>),
    signed: &mut SignedPayload,
    (report, reached): (&mut TargetReport, &mut Reached),
) -> Result<Option<Arc<Entry>>> {
    reached.stage = Stage::Log;
    let mut entry = log.append(payload, signed, earlier).await;
    if entry.as_ref().is_err_and(|error| !error.is_retryable()) {
        reached.stage = Stage::Sign;
        let fresh = logging::anew(signer, payload, signed).await?;
        reached.stage = Stage::Log;
        if let Some(fresh) = fresh {
            *signed = fresh;
            reached.made = Some(note(report, payload, Some(signed), earlier));
            entry = log.append(payload, signed, None).await;
        }
    }
    let entry = match entry {
        Ok(entry) => Arc::new(entry),
        Err(error) if !log.is_required() => {
            report.unlogged = Some(error);
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    report.entries = entry.addresses().collect();
    if let Some(made) = &mut reached.made {
        made.is_logged(&entry, &mut report.stored_before);
    }
    Ok(Some(entry))
}

/// Notes what is signed, before anything is done with it.
fn note(
    report: &mut TargetReport,
    payload: &Payload,
    signed: Option<&SignedPayload>,
    earlier: Option<Left<'_>>,
) -> Made {
    report.signed = signed.is_some();
    report.resumed = signed.is_some_and(|signed| signed.resumed);
    report.stored_before = stored_before(signed, earlier);
    Made::new(payload, signed, earlier.filter(|_| report.resumed))
}

impl Made {
    /// `earlier` is what is left of an attempt that made this very signature: what it got then is not forgotten where
    /// this attempt does not get as far.
    fn new(payload: &Payload, signed: Option<&SignedPayload>, earlier: Option<Left<'_>>) -> Self {
        let signature = signed.map(|signed| Bytes::copy_from_slice(signed.signed.signature()));
        let certificate = signed.and_then(|signed| signed.material.certificate_der());
        let earlier = earlier.map(|earlier| earlier.target);
        Self {
            payload: payload.bytes.clone(),
            signature: signature.unwrap_or_default(),
            certificate: certificate.map(Certificate),
            timestamps: earlier.map(|earlier| earlier.timestamps.clone()).unwrap_or_default(),
            entry: earlier.and_then(|earlier| earlier.entry.clone()),
            has_entry: false,
            unlogged: earlier.map(|earlier| earlier.unlogged.clone()).unwrap_or_default(),
        }
    }

    /// Notes the entry. What was stored before without one is to have it too.
    fn is_logged(&mut self, entry: &Entry, stored_before: &mut BTreeSet<String>) {
        match self.entry {
            Some(_) => stored_before.retain(|store| !self.unlogged.contains(store)),
            None => stored_before.clear(),
        }
        self.unlogged.clear();
        self.timestamps = entry.timestamps.iter().cloned().map(Timestamp).collect();
        self.entry = Some(entry.address());
        self.has_entry = true;
    }

    /// What the next attempt needs to know, and the certificate by itself.
    pub(crate) fn progress(&self, report: &TargetReport) -> (TargetProgress, Option<&Certificate>) {
        let stored = report.stores.iter().filter(|store| store.is_stored());
        let stored: BTreeSet<String> = stored.map(|store| store.store.clone()).collect();
        let mut unlogged = self.unlogged.clone();
        if self.entry.is_some() && !self.has_entry {
            unlogged.extend(stored.iter().cloned());
        }
        let target = TargetProgress {
            payload: Digest::sha256_of(&self.payload).hex().to_owned(),
            signature: self.signature.clone(),
            certificate: self.certificate.as_ref().map(Certificate::name),
            timestamps: self.timestamps.clone(),
            stores: &report.stored_before | &stored,
            unlogged,
            entry: self.entry.clone(),
        };
        (target, self.certificate.as_ref())
    }
}

/// The stores that need not get it again. A new signature has to reach every store.
fn stored_before(signed: Option<&SignedPayload>, earlier: Option<Left<'_>>) -> BTreeSet<String> {
    let same = signed.is_none_or(|signed| signed.resumed);
    earlier.filter(|_| same).map(|earlier| earlier.target.stores.clone()).unwrap_or_default()
}

/// What earlier attempts did of this very payload. Hashes only where there was an attempt.
fn earlier<'a>(progress: &'a Progress, key: &RecordKey, payload: &Payload) -> Option<Left<'a>> {
    if progress.targets.is_empty() {
        return None;
    }
    let target = progress.of(&key.full, Digest::sha256_of(&payload.bytes).hex())?;
    let certificate = target.certificate.as_ref().and_then(|name| progress.certificates.get(name));
    Some(Left { target, certificate: certificate.map(|certificate| certificate.0.as_ref()) })
}

fn record(
    run: &Run,
    report: &TargetReport,
    payload: Payload,
    signed: Option<SignedPayload>,
    entry: Option<Arc<Entry>>,
) -> Record {
    let (signed, material) =
        signed.map_or((None, None), |signed| (Some(signed.signed), Some(signed.material)));
    Record {
        run: run.reference().clone(),
        target: report.target.clone(),
        key: report.key.clone(),
        payload,
        signed,
        material,
        entry,
    }
}

/// Puts the record into every store that has not got it, all at once. Each is told as soon as it is done: where the
/// time is over while one still hangs, what the others did is not forgotten.
async fn store(
    stores: &[Arc<dyn Store>],
    record: &Record,
    stored_before: &BTreeSet<String>,
    done: &mut Vec<StoreReport>,
) {
    let missing = stores.iter().filter(|store| !stored_before.contains(store.name()));
    let puts = missing.map(|store| async move {
        let result = match check_holds(store.as_ref(), record) {
            Ok(()) => store.put(record).await,
            Err(error) => Err(error),
        };
        StoreReport { store: store.name().to_owned(), result }
    });
    let mut puts: FuturesUnordered<_> = puts.collect();
    while let Some(report) = puts.next().await {
        done.push(report);
    }
}

fn check_holds(store: &dyn Store, record: &Record) -> Result<()> {
    let can = store.capabilities();
    let (holds, what) = match record.signed {
        None => (can.unsigned, "payloads without a signature"),
        Some(Signed::Dsse(_)) => (can.dsse, "envelopes"),
        Some(Signed::Detached(_)) => (can.detached, "detached signatures"),
    };
    if holds {
        return Ok(());
    }
    let why = format!("the store `{}` cannot hold {what}: {}", store.name(), record.key.full);
    Err(Error::new(ErrorKind::Unsupported, why))
}
