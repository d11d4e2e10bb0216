//! For someone whose image was not signed: what was made of each result and param that looks like a type hint.

use std::fmt;

use chains_core::{ImageDigest, RunKind};

use crate::hints::{self, Artifact, Finding, GIT_COMMIT, GIT_URL, Output, Reason};
use crate::near_miss;
use crate::run::Run;
use crate::types::{Named, NamedList};

/// A result or param that is a type hint, or looks as if it was meant to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// Where it stands.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// What was made of it.
    pub verdict: Verdict,
}

/// Where a hint stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// `spec.params`.
    Param,
    /// The default of a param of the task or pipeline.
    ParamDefault,
    /// `status.results`.
    Result,
    /// `status.steps[].results`.
    StepResult {
        /// Name of the step.
        step: String,
    },
}

/// What was made of a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Used {
        /// As what.
        made: Made,
        /// The other result of a pair.
        partner: Option<String>,
        /// What else there is to know, in plain words.
        note: Option<String>,
    },
    /// It does not count.
    LeftOut {
        /// Why, in plain words.
        why: String,
    },
}

/// What a hint stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Made {
    /// An image that was built.
    Image(ImageDigest),
    /// Something else that was built.
    Artifact {
        /// Where it is.
        uri: String,
        /// Its digest as the result gave it.
        digest: String,
    },
    /// Something that was used.
    Material {
        /// Where it is.
        uri: String,
        /// Its digest as `algorithm:hex`.
        digest: String,
    },
    /// One half of the source that was used.
    Source(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Param => f.write_str("param"),
            Self::ParamDefault => f.write_str("default of a param"),
            Self::Result => f.write_str("result"),
            Self::StepResult { step } => write!(f, "result of step {step}"),
        }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => write!(f, "image {image}"),
            Self::Artifact { uri, digest } => write!(f, "artifact {uri}@{digest}"),
            Self::Material { uri, digest } => write!(f, "material {uri}@{digest}"),
            Self::Source(text) => write!(f, "source {text}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Used { made, partner, note } => {
                write!(f, "{made}")?;
                if let Some(partner) = partner {
                    write!(f, ", with {partner}")?;
                }
                note.as_ref().map_or(Ok(()), |note| write!(f, " ({note})"))
            }
            Self::LeftOut { why } => write!(f, "left out: {why}"),
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.place, self.name, self.verdict)
    }
}

impl Run {
    /// Tells of each result and param that is a type hint, or looks as if it was meant to be one, what was made
    /// of it, or why nothing was.
    ///
    /// Of a PipelineRun these are its own; ask its [children](Run::children) for theirs.
    ///
    /// ```
    /// let run = chains_tekton::Run::from_json(br#"{
    ///     "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "build", "uid": "7f7e"},
    ///     "status": {"results": [{"name": "IMAGE_URL", "value": "reg.io/app"}]}
    /// }"#)?;
    /// let hints = run.explain();
    /// assert_eq!(hints[0].to_string(),
    ///     "result IMAGE_URL: left out: no result `IMAGE_DIGEST` with a value goes with it");
    /// # Ok::<(), chains_core::Error>(())
    /// ```
    #[must_use]
    pub fn explain(&self) -> Vec<Hint> {
        let mut explained = Explained { kind: self.kind(), hints: Vec::new() };
        explained.git(self);
        explained.results(&Place::Result, self.results());
        for step in self.steps() {
            let place = Place::StepResult { step: step.name().to_owned() };
            explained.results(&place, step.results());
        }
        explained.hints
    }

    /// Params and results that may tell the source of the run, in the order in which they count.
    pub fn git_sources(&self) -> impl Iterator<Item = (Place, Named<'_>)> {
        let task = self.task_spec().into_iter().flat_map(|task| task.param_defaults());
        let pipeline = self.pipeline_spec().into_iter().flat_map(|spec| spec.param_defaults());
        let defaults = task.chain(pipeline).map(|param| (Place::ParamDefault, param));
        let params = self.params().into_iter().map(|param| (Place::Param, param));
        let results = self.results().into_iter().map(|result| (Place::Result, result));
        defaults.chain(params).chain(results)
    }
}

struct Explained {
    kind: RunKind,
    hints: Vec<Hint>,
}

impl Explained {
    fn results(&mut self, place: &Place, results: NamedList<'_>) {
        let image_note = self.image_note(place);
        hints::image_pairs(results, &mut |finding| {
            self.push(place, finding, |image| (Made::Image(image), image_note.map(str::to_owned)));
        });
        hints::image_lists(results, &mut |finding| {
            self.push(place, finding, |image| (Made::Image(image), image_note.map(str::to_owned)));
        });
        let in_step = matches!(place, Place::StepResult { .. });
        let formats = if in_step {
            "pairs of artifacts count as results of the task only"
        } else {
            "a subject in in-toto, slsa/v1 and slsa/v2alpha3; slsa/v2alpha4 has ARTIFACT_OUTPUTS for it"
        };
        hints::artifact_pairs(results, &mut |finding| {
            if in_step && finding.made.is_ok() {
                self.left_out(place, &finding, formats);
            } else {
                self.push(place, finding, |found| (artifact(found), Some(formats.to_owned())));
            }
        });
        hints::outputs(results, &mut |finding| {
            self.push(place, finding, |output| output_made(output, image_note));
        });
        hints::inputs(results, &mut |finding| {
            let note = in_step.then(|| "in slsa/v2alpha4 only".to_owned());
            self.push(place, finding, |found| (material(found), note));
        });
        for result in results {
            self.near_miss(place, result);
        }
    }

    /// What is special about images that are named here.
    fn image_note(&self, place: &Place) -> Option<&'static str> {
        match (place, self.kind) {
            (Place::StepResult { .. }, _) => Some(
                "a step's result: a subject in slsa/v2alpha4 only, and the image itself is not signed; \
                 make it a result of the task",
            ),
            (_, RunKind::PipelineRun) => Some(
                "a subject of the provenance; the image itself is signed with the TaskRun that built it",
            ),
            (_, RunKind::TaskRun) => None,
        }
    }

    fn push<T>(
        &mut self,
        place: &Place,
        finding: Finding<'_, T>,
        describe: impl FnOnce(T) -> (Made, Option<String>),
    ) {
        let Finding { name, partner, made } = finding;
        let verdict =
            |partner: Option<&str>, made: &Result<(Made, Option<String>), Reason<'_>>| match made {
                Ok((made, note)) => Verdict::Used {
                    made: made.clone(),
                    partner: partner.map(str::to_owned),
                    note: note.clone(),
                },
                Err(reason) => Verdict::LeftOut { why: reason.to_string() },
            };
        let made = made.map(describe);
        self.add(place, name, verdict(partner, &made));
        if let Some(other) = partner {
            self.add(place, other, verdict(Some(name), &made));
        }
    }

    fn left_out<T>(&mut self, place: &Place, finding: &Finding<'_, T>, why: &str) {
        for name in std::iter::once(finding.name).chain(finding.partner) {
            self.add(place, name, Verdict::LeftOut { why: why.to_owned() });
        }
    }

    fn near_miss(&mut self, place: &Place, value: Named<'_>) {
        if let Some(why) = near_miss::explain(value.name) {
            self.add(place, value.name, Verdict::LeftOut { why });
        }
    }

    fn git(&mut self, run: &Run) {
        let sources: Vec<_> = run.git_sources().collect();
        let git = hints::Git::find(sources.iter().map(|(_, value)| *value));
        let last = |name: &str| sources.iter().rposition(|(_, value)| value.name == name);
        let (last_url, last_commit) = (last(GIT_URL), last(GIT_COMMIT));
        for (index, (place, value)) in sources.iter().enumerate() {
            let (counts, other) = match value.name {
                GIT_URL => (last_url, git.commit),
                GIT_COMMIT => (last_commit, git.url),
                _ => {
                    if !matches!(place, Place::Result) {
                        self.near_miss(place, *value);
                    }
                    continue;
                }
            };
            self.add(place, value.name, self.git_verdict(*value, counts == Some(index), other));
        }
        for step in run.steps() {
            self.step_git(step.name(), step.results());
        }
    }

    fn step_git(&mut self, step: &str, results: NamedList<'_>) {
        let git = hints::Git::find(results);
        let place = Place::StepResult { step: step.to_owned() };
        for value in results {
            let (text, other) = match value.name {
                GIT_URL => (git.url, git.commit),
                GIT_COMMIT => (git.commit, git.url),
                _ => continue,
            };
            self.add(&place, value.name, self.git_verdict(value, value.text() == text, other));
        }
    }

    /// `other` is the half of the source that the value is not.
    fn git_verdict(&self, value: Named<'_>, counts: bool, other: &str) -> Verdict {
        let is_url = value.name == GIT_URL;
        let why = if !counts {
            "a later one of the same name counts".to_owned()
        } else if value.text().is_empty() {
            Reason::Empty.to_string()
        } else if other.is_empty() && (is_url || self.kind == RunKind::PipelineRun) {
            let partner = if is_url { GIT_COMMIT } else { GIT_URL };
            format!("no `{partner}` with a value goes with it")
        } else {
            let note = other
                .is_empty()
                .then(|| format!("without a `{GIT_URL}`: a material without a place"));
            let made = Made::Source(value.text().to_owned());
            let partner = if is_url { GIT_COMMIT } else { GIT_URL };
            let partner = (!other.is_empty()).then(|| partner.to_owned());
            return Verdict::Used { made, partner, note };
        };
        Verdict::LeftOut { why }
    }

    fn add(&mut self, place: &Place, name: &str, verdict: Verdict) {
        self.hints.push(Hint { place: place.clone(), name: name.to_owned(), verdict });
    }
}

fn artifact(found: Artifact<'_>) -> Made {
    Made::Artifact { uri: found.uri.to_owned(), digest: found.digest.to_owned() }
}

fn material(found: Artifact<'_>) -> Made {
    let (algorithm, hex) = found.digest_normalised();
    Made::Material { uri: found.uri.to_owned(), digest: format!("{algorithm}:{hex}") }
}

fn output_made(output: Output<'_>, image_note: Option<&str>) -> (Made, Option<String>) {
    if !output.build {
        let note = "isBuildArtifact is not \"true\": no image is signed for it, and in slsa/v2alpha4 it is a \
                    by-product and no subject";
        return (artifact(output.artifact), Some(note.to_owned()));
    }
    match output.image() {
        Ok(image) => (Made::Image(image), image_note.map(str::to_owned)),
        Err(error) => {
            let note = format!("a subject, but no image to sign: {}", error.report());
            (artifact(output.artifact), Some(note))
        }
    }
}
