//! Materials: what a run used. Each format keeps them in its own way; they are found in one.

use std::hash::{Hash, Hasher};

use chains_core::{Error, ErrorKind, Result};
use chains_tekton::types::{ContainerState, NamedList, RefSource};
use chains_tekton::{Quoted, Run, hints};
use serde::{Serialize, Serializer};

use crate::uri::Uri;

/// Something that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Material<'a> {
    pub(crate) uri: Uri<'a>,
    pub(crate) digest: Digests<'a>,
}

impl Material<'_> {
    /// Neither place nor digest.
    pub(crate) const NOWHERE: Self = Self { uri: Uri::EMPTY, digest: Digests::None };
}

/// Digests of a material.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Digests<'a> {
    None,
    One(&'a str, &'a str),
    Of(RefSource<'a>),
}

impl<'a> Digests<'a> {
    /// Algorithm and hex of each, in the order of the algorithms.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let (one, source) = match self {
            Self::None => (None, None),
            Self::One(algorithm, hex) => (Some((algorithm, hex)), None),
            Self::Of(source) => (None, Some(source)),
        };
        one.into_iter().chain(source.into_iter().flat_map(RefSource::digest))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl PartialEq for Digests<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Digests<'_> {}

impl Hash for Digests<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|digest| digest.hash(state));
    }
}

impl Serialize for Digests<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Takes materials as they are found.
pub(crate) type Sink<'s, 'a> = &'s mut dyn FnMut(Material<'a>);

/// The remote place that a definition came from.
pub(crate) fn ref_source(source: RefSource<'_>) -> Material<'_> {
    Material { uri: Uri::plain(source.uri()), digest: Digests::Of(source) }
}

/// Images of steps and sidecars of a TaskRun.
pub(crate) fn images<'a>(run: &'a Run, sink: Sink<'_, 'a>) -> Result<()> {
    for (index, step) in run.steps().enumerate() {
        sink(image(run, "steps", index, step)?);
    }
    for (index, sidecar) in run.sidecars().enumerate() {
        sink(image(run, "sidecars", index, sidecar)?);
    }
    Ok(())
}

fn image<'a>(
    run: &Run,
    list: &str,
    index: usize,
    state: ContainerState<'a>,
) -> Result<Material<'a>> {
    let id = state.image_id();
    let parts = id
        .split_once('@')
        .filter(|(_, digest)| !digest.contains('@'))
        .and_then(|(name, digest)| Some((name, digest.split_once(':')?)))
        .filter(|(_, (_, hex))| !hex.contains(':'));
    let Some((name, (algorithm, hex))) = parts else {
        let why = format!(
            "{}: status.{list}[{index}].imageID {} is not NAME@ALGORITHM:DIGEST: what container {} ran is not \
             known",
            run.reference(),
            Quoted(id),
            Quoted(state.name()),
        );
        return Err(Error::new(ErrorKind::InvalidInput, why));
    };
    Ok(Material { uri: Uri::image(name), digest: Digests::One(algorithm, hex) })
}

/// The source and the inputs that params and results of a TaskRun name.
pub(crate) fn of_task<'a>(run: &'a Run, sink: Sink<'_, 'a>) {
    let git = hints::Git::find(run.git_sources().map(|(_, value)| value));
    source(git, sink);
    inputs(run.results(), sink);
}

/// The source and the inputs that results of the steps of a TaskRun name.
pub(crate) fn of_steps<'a>(run: &'a Run, sink: Sink<'_, 'a>) {
    for step in run.steps() {
        source(hints::Git::find(step.results()), sink);
    }
    for step in run.steps() {
        inputs(step.results(), sink);
    }
}

/// The source and the inputs that params and results of a PipelineRun name, and, where asked for, those of its
/// TaskRuns.
pub(crate) fn of_pipeline<'a>(run: &'a Run, deep_inspection: bool, sink: Sink<'_, 'a>) {
    inputs(run.results(), sink);
    if deep_inspection {
        run.executed_tasks().for_each(|task| of_task(task, sink));
    }
    let git = hints::Git::find(run.git_sources().map(|(_, value)| value));
    if !git.url.is_empty() {
        source(git, sink);
    }
}

/// A commit without a URL is still told, as it always was.
fn source<'a>(git: hints::Git<'a>, sink: Sink<'_, 'a>) {
    if !git.commit.is_empty() {
        sink(Material { uri: Uri::git(git.url), digest: Digests::One("sha1", git.commit) });
    }
}

fn inputs<'a>(results: NamedList<'a>, sink: Sink<'_, 'a>) {
    for input in hints::build_inputs(results) {
        let (algorithm, hex) = input.digest_normalised();
        sink(Material { uri: Uri::plain(input.uri), digest: Digests::One(algorithm, hex) });
    }
}
