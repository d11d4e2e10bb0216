//! What `chains sign` tells of all runs, and the commands that verify what it stored.

use chains_config::StorageName;
use chains_core::Target;
use serde::Serialize;

use super::outcome::{RunOutcome, Status};
use super::setup::Setup;
use crate::args::SignArgs;
use crate::output::{self, Exit};
use crate::runs::Unread;
use crate::settings::quoted;

/// Everything `chains sign` tells.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    runs: Vec<RunOutcome>,
    unread: Vec<Unread>,
    /// Commands that verify what was signed.
    verify: Vec<String>,
}

impl Summary {
    pub(crate) fn new(
        runs: Vec<RunOutcome>,
        unread: Vec<Unread>,
        commands: impl FnOnce(&[RunOutcome]) -> Vec<String>,
    ) -> Self {
        let verify = commands(&runs);
        Self { runs, unread, verify }
    }

    pub(crate) fn exit(&self) -> Exit {
        let unread = if self.unread.is_empty() { Exit::Done } else { Exit::Unread };
        self.runs.iter().fold(unread, |exit, run| exit.and(run.exit()))
    }

    pub(crate) fn print(&self) {
        self.runs.iter().flat_map(RunOutcome::lines).for_each(output::line);
        if !self.runs.is_empty() {
            output::line("");
        }
        for unread in &self.unread {
            output::warning(unread);
        }
        output::line(self.counts());
        if !self.verify.is_empty() {
            output::line("\nVerify it with:");
            for command in &self.verify {
                output::line(format_args!("  {command}"));
            }
        }
    }

    fn counts(&self) -> String {
        let count = |status| self.runs.iter().filter(|run| run.status == status).count();
        let mut line = format!(
            "{} signed, {} failed, {} skipped",
            count(Status::Signed),
            count(Status::Failed),
            count(Status::Skipped)
        );
        let others = [
            (count(Status::Unsigned), "stored without a signature"),
            (count(Status::NothingStored), "with nothing to store"),
            (self.unread.len(), "not read"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            line.push_str(&format!(", {count} {what}"));
        }
        line
    }
}

/// One command for each place where something was stored; of many images or runs, the first.
pub(crate) fn commands<'a>(
    setup: &'a Setup,
    args: &'a SignArgs,
    verifying: Vec<String>,
) -> impl FnOnce(&[RunOutcome]) -> Vec<String> + 'a {
    move |runs| {
        if verifying.is_empty() {
            return Vec::new();
        }
        let keys: String = verifying.iter().map(|options| format!(" {options}")).collect();
        let mut commands = Vec::new();
        let command =
            |what: &str, options: &str| format!("chains verify {}{keys}{options}", quoted(what));
        if locations(runs, StorageName::Local).next().is_some() {
            commands.push(command(&setup.folder.display().to_string(), ""));
        }
        if let Some(path) = runs.iter().find_map(|run| run.annotated_run.as_ref()) {
            commands.push(command(&path.display().to_string(), ""));
        }
        if let Some(image) = first_image(runs, setup) {
            commands.push(command(&image, &registry_options(setup, args)));
        }
        commands
    }
}

/// The targets that a store keeps, and where.
fn locations(runs: &[RunOutcome], store: StorageName) -> impl Iterator<Item = (&str, &str)> {
    runs.iter().flat_map(|run| &run.targets).flat_map(move |target| {
        let stores = target.stores.iter().filter(move |report| report.store == store.as_str());
        stores.filter_map(|report| Some((target.target.as_str(), report.location.as_deref()?)))
    })
}

/// An image that a registry holds something about: one that was signed, or else a subject of a run.
fn first_image(runs: &[RunOutcome], setup: &Setup) -> Option<String> {
    let run = Target::Run.to_string();
    let mut stored = locations(runs, StorageName::Oci);
    if let Some((image, _)) = stored.find(|(target, _)| *target != run) {
        return Some(image.to_owned());
    }
    if setup.config.storage.oci.repository.is_some() {
        // The location tells where the attestation is, and not of which image it is.
        return None;
    }
    let (_, location) = locations(runs, StorageName::Oci).next()?;
    let (name, tag) = location.split(", ").next()?.rsplit_once(":sha256-")?;
    Some(format!("{name}@sha256:{}", tag.strip_suffix(".att")?))
}

fn registry_options(setup: &Setup, args: &SignArgs) -> String {
    let section = &setup.config.storage.oci;
    let mut options = String::new();
    if let Some(repository) = &section.repository {
        options.push_str(&format!(" --repository {}", quoted(&repository.to_string())));
        if section.insecure {
            options.push_str(&format!(" --insecure-registry {}", quoted(repository.registry())));
        }
    }
    for host in &args.registry.insecure_registry {
        options.push_str(&format!(" --insecure-registry {}", quoted(host)));
    }
    for file in &args.registry.ca_file {
        options.push_str(&format!(" --ca-file {}", quoted(&file.display().to_string())));
    }
    options
}
