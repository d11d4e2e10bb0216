//! Gathers what came of the targets: what belongs on the run, and the progress where something is missing.

use std::collections::BTreeMap;

use chains_core::{Error, ErrorKind, Outcome, Progress, Result, RunRef, Target, annotations};
use chains_tekton::Run;

use crate::line::Worked;
use crate::report::Report;

/// Timestamps are left out of progress that would be longer: other annotations need room too.
const MAX_PROGRESS: usize = 32 * 1024;

type Annotations = BTreeMap<String, String>;

/// `earlier` is what the attempts before this one left.
pub(crate) fn report(run: &Run, earlier: &Progress, mut worked: Vec<Worked>) -> Report {
    let reference = run.reference().clone();
    let on_run = gather(&reference, earlier, &mut worked);
    let progress = if worked.iter().all(|worked| worked.report.is_done()) {
        Progress::default()
    } else {
        progress(&worked, earlier)
    };
    Report {
        run: reference,
        targets: worked.into_iter().map(|worked| worked.report).collect(),
        complete: run.is_complete(),
        missing_children: run.missing_children(),
        on_run,
        progress,
    }
}

/// What the next attempt needs to know of each target: of those that did not get as far as a signature this time, what
/// was known before.
fn progress(worked: &[Worked], earlier: &Progress) -> Progress {
    let mut all = Progress::default();
    for Worked { report, made } in worked {
        let key = &report.key.full;
        let (target, certificate) = match (made, earlier.targets.get(key)) {
            (Some(made), _) => made.progress(report),
            (None, Some(target)) if !report.nothing_to_say => {
                let name = target.certificate.as_ref();
                (target.clone(), name.and_then(|name| earlier.certificates.get(name)))
            }
            (None, _) => continue,
        };
        all.targets.insert(key.clone(), target);
        all.certificates.extend(certificate.map(|one| (one.name(), one.clone())));
    }
    if all.to_json().len() > MAX_PROGRESS {
        // Without them, what a certificate signed is signed and logged again once that has ended.
        all.targets.values_mut().for_each(|target| target.timestamps.clear());
    }
    all
}

/// The annotations of all targets and of the log. What does not fit is turned into its store's failure.
fn gather(run: &RunRef, earlier: &Progress, worked: &mut [Worked]) -> Annotations {
    let mut closing = closing(run, earlier, worked);
    let transparency = closing.get_key_value(annotations::TRANSPARENCY);
    let mut on_run: Annotations =
        transparency.map(|(key, value)| (key.clone(), value.clone())).into_iter().collect();
    // Whose image it is that an annotation is about.
    let mut owners: BTreeMap<String, Target> = BTreeMap::new();
    for worked in worked {
        let target = &worked.report.target;
        for store in &mut worked.report.stores {
            let Ok(Outcome::OnRun { annotations: added }) = &store.result else { continue };
            if let Some(first) = added.keys().find_map(|key| owners.get(key)) {
                store.result = second_of_its_key(first, target);
                continue;
            }
            closing.extend(added.clone());
            // One target may fit alone, and all of them together not.
            match annotations::check_fits(run, &closing) {
                Ok(()) => {
                    owners.extend(added.keys().map(|key| (key.clone(), target.clone())));
                    on_run.extend(added.clone());
                }
                Err(error) => {
                    closing.retain(|key, _| !added.contains_key(key));
                    store.result = Err(error);
                }
            }
        }
    }
    on_run
}

/// What the closing write adds besides, at most: it has to fit too.
fn closing(run: &RunRef, earlier: &Progress, worked: &[Worked]) -> Annotations {
    let mut closing = BTreeMap::from([
        (annotations::SIGNED.to_owned(), "true".to_owned()),
        (annotations::PROGRESS.to_owned(), progress(worked, earlier).to_json()),
    ]);
    if let Some(addresses) = transparency(&run.annotations, worked) {
        closing.insert(annotations::TRANSPARENCY.to_owned(), addresses);
    }
    closing
}

/// Annotations are named after the first digits of a digest: a run keeps one record for each.
fn second_of_its_key(first: &Target, second: &Target) -> Result<Outcome> {
    let (Target::Image(kept), Target::Image(left_out)) = (first, second) else {
        return Err(Error::new(ErrorKind::Internal, "two records of one run share their names"));
    };
    if kept.digest == left_out.digest {
        let why = format!("the run holds the signature of this digest for {} already", kept.name);
        return Ok(Outcome::Skipped(why));
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "keeping {left_out} on the run: its digest begins like that of {kept}, and annotations are \
             named after the beginning: use another store than `tekton` for images of this run"
        ),
    ))
}

/// The addresses of all log entries, those of earlier attempts first, each once, parted by commas.
fn transparency(existing: &Annotations, worked: &[Worked]) -> Option<String> {
    let new: Vec<&str> =
        worked.iter().flat_map(|worked| &worked.report.entries).map(String::as_str).collect();
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
