//! Drives each target down the line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use chains_core::{
    Digest, Entry, Error, Outcome, Payload, Progress, Record, RecordKey, Result, Store, Target,
    TargetProgress, annotations,
};
use chains_tekton::Run;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};

use crate::plan::{LogMode, LogRoute, Plan, Route};
use crate::report::{Report, Stage, StoreReport, TargetReport};
use crate::signing::{self, SignedPayload};

/// How many targets of one run are worked on at once.
const TARGETS_AT_ONCE: usize = 8;

/// The line over a [`Plan`]; cheap to clone, safe to share.
#[derive(Debug, Clone)]
pub struct Engine {
    plan: Arc<Plan>,
}

/// What came of a target, and what the next attempt would need to know.
struct Worked {
    report: TargetReport,
    made: Option<Made>,
}

/// What a target's stores share.
struct Made {
    payload: Bytes,
    signature: Bytes,
    entry: Option<String>,
    /// Stores that an earlier attempt was done with.
    stored_before: BTreeSet<String>,
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

    /// Takes a completed run down the line. `progress` is what earlier attempts left, empty at first.
    ///
    /// Never fails as a whole: the report tells what came of each target.
    pub async fn process(&self, run: &Run, progress: &Progress) -> Report {
        let log = self.plan.log.as_ref().filter(|log| log.applies(run));
        let work: Vec<_> = self
            .enabled(run)
            .map(|(target, route)| work(run, target, route, log, progress))
            .collect();
        let worked = stream::iter(work).buffered(TARGETS_AT_ONCE).collect().await;
        conclude(run, worked)
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
    log: Option<&LogRoute>,
    progress: &Progress,
) -> Worked {
    let key = target.record_key(run.reference());
    let mut report = TargetReport {
        target,
        key,
        format: route.format.name(),
        stopped: None,
        nothing_to_say: false,
        resumed: false,
        entry: None,
        stores: Vec::new(),
    };
    let mut made = None;
    if let Err(stopped) = advance(run, route, log, progress, &mut report, &mut made).await {
        report.stopped = Some(stopped);
    }
    Worked { report, made }
}

/// Takes one target as far as it goes; `report` and `made` keep what was reached when a stage fails.
async fn advance(
    run: &Run,
    route: &Route,
    log: Option<&LogRoute>,
    progress: &Progress,
    report: &mut TargetReport,
    made: &mut Option<Made>,
) -> Result<(), (Stage, Error)> {
    let payload = route.format.payload(run, &report.target).map_err(|e| (Stage::Payload, e))?;
    let Some(payload) = payload else {
        report.nothing_to_say = true;
        return Ok(());
    };
    let earlier = earlier(progress, &report.key, &payload);
    let signed = match &route.signer {
        Some(signer) => Some(
            signing::sign(signer.as_ref(), &payload, earlier)
                .await
                .map_err(|e| (Stage::Sign, e))?,
        ),
        None => None,
    };
    report.resumed = signed.as_ref().is_some_and(|signed| signed.resumed);
    let made = made.insert(Made::new(&payload, signed.as_ref(), earlier));
    let entry = append(log, &payload, signed.as_ref()).await.map_err(|e| (Stage::Log, e))?;
    made.entry = entry.as_ref().map(|entry| entry.address());
    report.entry.clone_from(&made.entry);
    let record = record(run, report, payload, signed, entry);
    report.stores = store(&route.stores, &record, &made.stored_before).await;
    Ok(())
}

impl Made {
    fn new(
        payload: &Payload,
        signed: Option<&SignedPayload>,
        earlier: Option<&TargetProgress>,
    ) -> Self {
        // A new signature has to reach every store; only one that was taken over need not.
        let keeps_stores = signed.is_none_or(|signed| signed.resumed);
        Self {
            payload: payload.bytes.clone(),
            signature: signed
                .map_or_else(Bytes::new, |s| Bytes::copy_from_slice(s.signed.signature())),
            entry: None,
            stored_before: earlier
                .filter(|_| keeps_stores)
                .map(|earlier| earlier.stores.clone())
                .unwrap_or_default(),
        }
    }

    fn progress(&self, report: &TargetReport) -> TargetProgress {
        let stored = report.stores.iter().filter(|store| store.result.is_ok());
        let mut stores = self.stored_before.clone();
        stores.extend(stored.map(|store| store.store.clone()));
        TargetProgress {
            payload: Digest::sha256_of(&self.payload).hex().to_owned(),
            signature: self.signature.clone(),
            stores,
            entry: self.entry.clone(),
        }
    }
}

/// What earlier attempts did of this very payload. Hashes only where there was an attempt.
fn earlier<'a>(
    progress: &'a Progress,
    key: &RecordKey,
    payload: &Payload,
) -> Option<&'a TargetProgress> {
    if progress.targets.is_empty() {
        return None;
    }
    progress.of(&key.short, Digest::sha256_of(&payload.bytes).hex())
}

async fn append(
    log: Option<&LogRoute>,
    payload: &Payload,
    signed: Option<&SignedPayload>,
) -> Result<Option<Arc<Entry>>> {
    // What is not signed has nothing to log.
    let (Some(route), Some(signed)) = (log, signed) else {
        return Ok(None);
    };
    let entry = route.log.append(payload, &signed.signed, &signed.material).await?;
    Ok(Some(Arc::new(entry)))
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

/// Puts the record into every store that has not got it, all at once.
async fn store(
    stores: &[Arc<dyn Store>],
    record: &Record,
    stored_before: &BTreeSet<String>,
) -> Vec<StoreReport> {
    let missing = stores.iter().filter(|store| !stored_before.contains(store.name()));
    join_all(missing.map(|store| async move {
        StoreReport { store: store.name().to_owned(), result: store.put(record).await }
    }))
    .await
}

/// Gathers what belongs on the run, and the progress where something is missing.
fn conclude(run: &Run, mut worked: Vec<Worked>) -> Report {
    let reference = run.reference().clone();
    let mut on_run = BTreeMap::new();
    for store in worked.iter_mut().flat_map(|worked| &mut worked.report.stores) {
        if let Ok(Outcome::OnRun { annotations }) = &store.result {
            let mut all: BTreeMap<String, String> = on_run.clone();
            all.extend(annotations.clone());
            // One target fits alone, and all of them together may not.
            match annotations::check_fits(&reference, &all) {
                Ok(()) => on_run = all,
                Err(error) => store.result = Err(error),
            }
        }
    }
    if let Some(addresses) = transparency(&reference.annotations, &worked) {
        on_run.insert(annotations::TRANSPARENCY.to_owned(), addresses);
    }
    let mut progress = Progress::default();
    if !worked.iter().all(|worked| worked.report.is_done()) {
        for Worked { report, made } in &worked {
            if let Some(made) = made {
                progress.targets.insert(report.key.short.clone(), made.progress(report));
            }
        }
    }
    let targets = worked.into_iter().map(|worked| worked.report).collect();
    Report { run: reference, targets, on_run, progress }
}

/// The addresses of all log entries, those of earlier attempts first, each once, parted by commas.
fn transparency(existing: &BTreeMap<String, String>, worked: &[Worked]) -> Option<String> {
    let new: Vec<&str> =
        worked.iter().filter_map(|worked| worked.report.entry.as_deref()).collect();
    if new.is_empty() {
        return None;
    }
    let before = existing.get(annotations::TRANSPARENCY).map_or("", String::as_str);
    let mut all: Vec<&str> = before.split(',').filter(|address| !address.is_empty()).collect();
    for address in new {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    Some(all.join(","))
}
