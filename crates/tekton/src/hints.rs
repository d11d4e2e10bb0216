//! Type hints: the names and values by which results tell what a run made and what it used.
//!
//! Each kind of hint has one function here that looks at every result and reports a `Finding` for each that
//! has the kind's name: what was made of it, or the `Reason` why nothing was. What is signed are the findings
//! that hold something; what `chains explain` prints are all of them. So the two cannot disagree.
//!
//! | name | value | what it is |
//! |---|---|---|
//! | `*IMAGE_URL` and `*IMAGE_DIGEST` | strings | an image that was built |
//! | `IMAGES` | `NAME@sha256:…`, by comma or newline; or an array | images that were built |
//! | `*ARTIFACT_URI` and `*ARTIFACT_DIGEST` | strings | something that was built |
//! | `*ARTIFACT_OUTPUTS` | object with `uri`, `digest`, `isBuildArtifact` | something that was built |
//! | `*ARTIFACT_INPUTS` | object with `uri`, `digest` | something that was used |
//! | `CHAINS-GIT_URL` and `CHAINS-GIT_COMMIT` | strings; params too | the source that was used |

use std::collections::{HashMap, HashSet};
use std::fmt;

use chains_core::{DigestAlgorithm, Error, ImageDigest};

use crate::json::Json;
use crate::types::{Named, NamedList};

pub(crate) const IMAGE_URL: &str = "IMAGE_URL";
pub(crate) const IMAGE_DIGEST: &str = "IMAGE_DIGEST";
pub(crate) const IMAGES: &str = "IMAGES";
pub(crate) const ARTIFACT_URI: &str = "ARTIFACT_URI";
pub(crate) const ARTIFACT_DIGEST: &str = "ARTIFACT_DIGEST";
pub(crate) const ARTIFACT_OUTPUTS: &str = "ARTIFACT_OUTPUTS";
pub(crate) const ARTIFACT_INPUTS: &str = "ARTIFACT_INPUTS";
pub(crate) const GIT_URL: &str = "CHAINS-GIT_URL";
pub(crate) const GIT_COMMIT: &str = "CHAINS-GIT_COMMIT";

/// What was made of a result, or why nothing was.
#[derive(Debug)]
pub(crate) struct Finding<'a, T> {
    pub(crate) name: &'a str,
    /// The other result of a pair.
    pub(crate) partner: Option<&'a str>,
    pub(crate) made: Result<T, Reason<'a>>,
}

impl<'a, T> Finding<'a, T> {
    const fn of(name: &'a str, made: Result<T, Reason<'a>>) -> Self {
        Self { name, partner: None, made }
    }
}

/// Takes findings as they are made.
type Sink<'s, 'a, T> = &'s mut dyn FnMut(Finding<'a, T>);

/// Why nothing was made of a result. Its text is made when somebody asks for it: extraction never does.
#[derive(Debug)]
pub(crate) enum Reason<'a> {
    Empty,
    NotText(&'a Json),
    NotObject(&'a Json),
    NotTexts(&'a Json),
    Overridden,
    NoPartner { marker: &'a str, suffix: &'static str },
    NoField(&'static str),
    Digest(Error),
    Image { text: Option<&'a str>, error: Error },
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("its value is empty"),
            Self::NotText(value) => write!(f, "its value is {}, not a string", value.kind()),
            Self::NotObject(value) => write!(f, "its value is {}, not an object", value.kind()),
            Self::NotTexts(value) => {
                write!(f, "its value is {}, not a string or an array", value.kind())
            }
            Self::Overridden => f.write_str("a later one of the same name counts"),
            Self::NoPartner { marker, suffix } => {
                write!(f, "no result `{marker}{suffix}` with a value goes with it")
            }
            Self::NoField(field) => write!(f, "its object has no `{field}`"),
            Self::Digest(error) => write!(f, "its digest is not one: {}", error.report()),
            Self::Image { text: Some(text), error } => {
                write!(f, "{text:?} is not an image with its digest: {}", error.report())
            }
            Self::Image { text: None, error } => {
                write!(f, "the two together are not an image with its digest: {}", error.report())
            }
        }
    }
}

/// Something that was built or used, with its digest; both as the result gave them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Artifact<'a> {
    /// Where it is; never empty.
    pub uri: &'a str,
    /// `ALGORITHM:HEX`; valid but for the case of the algorithm and white space around the two parts.
    pub digest: &'a str,
}

impl<'a> Artifact<'a> {
    /// Checks the digest.
    fn new(uri: &'a str, digest: &'a str) -> Result<Self, Reason<'a>> {
        let (algorithm, hex) = split_digest(digest);
        let algorithm = algorithm.trim().to_ascii_lowercase();
        algorithm
            .parse()
            .and_then(|algorithm: DigestAlgorithm| algorithm.check(hex.trim()))
            .map_err(Reason::Digest)?;
        Ok(Self { uri, digest })
    }

    /// Algorithm and hex digits just as the result gave them, e.g. `SHA256`.
    #[must_use]
    pub fn digest_as_given(self) -> (&'a str, &'a str) {
        split_digest(self.digest)
    }

    /// Algorithm and hex digits in their usual form.
    #[must_use]
    pub fn digest_normalised(self) -> (&'static str, &'a str) {
        let (algorithm, hex) = split_digest(self.digest);
        let name = algorithm.trim().to_ascii_lowercase();
        let known = name.parse::<DigestAlgorithm>().map_or("", DigestAlgorithm::as_str);
        (known, hex.trim())
    }
}

fn split_digest(digest: &str) -> (&str, &str) {
    digest.split_once(':').unwrap_or((digest, ""))
}

/// An `*ARTIFACT_OUTPUTS` result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// What was built.
    pub artifact: Artifact<'a>,
    /// Whether the result says `isBuildArtifact: "true"`: then it is a product of the build, and signed where it
    /// is an image; else it may be a by-product.
    pub build: bool,
}

impl Output<'_> {
    /// The image that it is, if it is one.
    pub(crate) fn image(self) -> Result<ImageDigest, Error> {
        ImageDigest::from_parts(self.artifact.uri, self.artifact.digest)
    }
}

/// The images that results name, each once: pairs, then `IMAGES`, then build artifacts that are images.
#[must_use]
pub fn images(results: NamedList<'_>) -> Vec<ImageDigest> {
    let mut found = Vec::new();
    image_pairs(results, &mut |finding| found.extend(finding.made));
    image_lists(results, &mut |finding| found.extend(finding.made));
    outputs(results, &mut |finding| {
        found.extend(finding.made.ok().filter(|output| output.build).and_then(|o| o.image().ok()));
    });
    deduplicate(found)
}

fn deduplicate(images: Vec<ImageDigest>) -> Vec<ImageDigest> {
    if images.len() < 2 {
        return images;
    }
    let mut seen = HashSet::with_capacity(images.len());
    let first: Vec<bool> = images.iter().map(|image| seen.insert(image)).collect();
    images.into_iter().zip(first).filter_map(|(image, first)| first.then_some(image)).collect()
}

/// `*ARTIFACT_URI` with `*ARTIFACT_DIGEST`.
#[must_use]
pub fn artifacts(results: NamedList<'_>) -> Vec<Artifact<'_>> {
    let mut found = Vec::new();
    artifact_pairs(results, &mut |finding| found.extend(finding.made));
    found
}

/// `*ARTIFACT_OUTPUTS` that are valid.
#[must_use]
pub fn build_outputs(results: NamedList<'_>) -> Vec<Output<'_>> {
    let mut found = Vec::new();
    outputs(results, &mut |finding| found.extend(finding.made));
    found
}

/// `*ARTIFACT_INPUTS` that are valid.
#[must_use]
pub fn build_inputs(results: NamedList<'_>) -> Vec<Artifact<'_>> {
    let mut found = Vec::new();
    inputs(results, &mut |finding| found.extend(finding.made));
    found
}

/// Whether a result is a hint about an image: it is then no by-product, whatever its value.
#[must_use]
pub fn names_image(name: &str) -> bool {
    name.ends_with(IMAGE_URL) || name.ends_with(IMAGE_DIGEST) || name == IMAGES
}

/// Whether a result is an `*ARTIFACT_OUTPUTS` that is marked as a build artifact, or not an object at all: it is
/// then no by-product.
#[must_use]
pub fn is_build_output(result: Named<'_>) -> bool {
    result.name.ends_with(ARTIFACT_OUTPUTS)
        && result.value.as_map().is_none_or(|map| {
            map.get("isBuildArtifact").is_some_and(|marked| marked.text() == "true")
        })
}

/// The source of a run: the last `CHAINS-GIT_URL` and `CHAINS-GIT_COMMIT` of params and results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Git<'a> {
    /// The URL; empty where there is none.
    pub url: &'a str,
    /// The commit; empty where there is none.
    pub commit: &'a str,
}

impl<'a> Git<'a> {
    /// Looks through params and results in the order in which they count: a later one overrides.
    #[must_use]
    pub fn find(values: impl IntoIterator<Item = Named<'a>>) -> Self {
        let mut git = Self::default();
        for value in values {
            match value.name {
                GIT_URL => git.url = value.text(),
                GIT_COMMIT => git.commit = value.text(),
                _ => {}
            }
        }
        git
    }
}

/// Looks for `*IMAGE_URL` and `*IMAGE_DIGEST`.
pub(crate) fn image_pairs<'a>(results: NamedList<'a>, sink: Sink<'_, 'a, ImageDigest>) {
    pairs(results, IMAGE_URL, IMAGE_DIGEST, sink, &|url, digest| {
        ImageDigest::from_parts(url, digest).map_err(|error| Reason::Image { text: None, error })
    });
}

/// Looks for `*ARTIFACT_URI` and `*ARTIFACT_DIGEST`.
pub(crate) fn artifact_pairs<'a>(results: NamedList<'a>, sink: Sink<'_, 'a, Artifact<'a>>) {
    pairs(results, ARTIFACT_URI, ARTIFACT_DIGEST, sink, &Artifact::new);
}

/// Looks for `IMAGES`, and makes a finding for each image in it.
pub(crate) fn image_lists<'a>(results: NamedList<'a>, sink: Sink<'_, 'a, ImageDigest>) {
    for result in results.into_iter().filter(|result| result.name == IMAGES) {
        let mut any = false;
        let mut take = |text: &'a str| {
            for text in text.split(['\n', ',']).map(str::trim).filter(|text| !text.is_empty()) {
                any = true;
                let made = text.parse().map_err(|error| Reason::Image { text: Some(text), error });
                sink(Finding::of(IMAGES, made));
            }
        };
        match result.value {
            Json::Text(text) => take(text),
            Json::List(items) => items.iter().for_each(|item| take(item.text())),
            other => {
                sink(Finding::of(IMAGES, Err(Reason::NotTexts(other))));
                continue;
            }
        }
        if !any {
            sink(Finding::of(IMAGES, Err(Reason::Empty)));
        }
    }
}

/// Looks for `*ARTIFACT_OUTPUTS`.
pub(crate) fn outputs<'a>(results: NamedList<'a>, sink: Sink<'_, 'a, Output<'a>>) {
    for result in results.into_iter().filter(|result| result.name.ends_with(ARTIFACT_OUTPUTS)) {
        let build = result.value.get("isBuildArtifact").text() == "true";
        let made = structured(result.value).map(|artifact| Output { artifact, build });
        sink(Finding::of(result.name, made));
    }
}

/// Looks for `*ARTIFACT_INPUTS`.
pub(crate) fn inputs<'a>(results: NamedList<'a>, sink: Sink<'_, 'a, Artifact<'a>>) {
    for result in results.into_iter().filter(|result| result.name.ends_with(ARTIFACT_INPUTS)) {
        sink(Finding::of(result.name, structured(result.value)));
    }
}

fn structured(value: &Json) -> Result<Artifact<'_>, Reason<'_>> {
    let map = value.as_map().ok_or(Reason::NotObject(value))?;
    let field = |name| {
        map.get(name).map(Json::text).filter(|text| !text.is_empty()).ok_or(Reason::NoField(name))
    };
    Artifact::new(field("uri")?, field("digest")?)
}

/// Two results that belong together by what stands before their suffix.
struct Pair<'a> {
    marker: &'a str,
    /// Name and value of each.
    first: Option<(&'a str, &'a str)>,
    second: Option<(&'a str, &'a str)>,
}

fn pairs<'a, T>(
    results: NamedList<'a>,
    first: &'static str,
    second: &'static str,
    sink: Sink<'_, 'a, T>,
    make: &dyn Fn(&'a str, &'a str) -> Result<T, Reason<'a>>,
) {
    for pair in collect_pairs(results, first, second, sink) {
        let marker = pair.marker;
        let finding = match (pair.first, pair.second) {
            (Some((name, uri)), Some((partner, digest))) => {
                Finding { name, partner: Some(partner), made: make(uri, digest) }
            }
            (Some((name, _)), None) => {
                Finding::of(name, Err(Reason::NoPartner { marker, suffix: second }))
            }
            (None, Some((name, _))) => {
                Finding::of(name, Err(Reason::NoPartner { marker, suffix: first }))
            }
            (None, None) => continue,
        };
        sink(finding);
    }
}

/// The pairs in the order in which the first of each appears; what belongs to none goes to the sink.
fn collect_pairs<'a, T>(
    results: NamedList<'a>,
    first: &'static str,
    second: &'static str,
    sink: Sink<'_, 'a, T>,
) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    let mut by_marker: HashMap<&'a str, usize> = HashMap::new();
    for result in results {
        let name = result.name;
        let (marker, is_first) = match (name.strip_suffix(first), name.strip_suffix(second)) {
            (Some(marker), _) => (marker, true),
            (None, Some(marker)) => (marker, false),
            (None, None) => continue,
        };
        let Some(text) = result.value.as_text() else {
            sink(Finding::of(name, Err(Reason::NotText(result.value))));
            continue;
        };
        let text = text.trim();
        if text.is_empty() {
            sink(Finding::of(name, Err(Reason::Empty)));
            continue;
        }
        let at = *by_marker.entry(marker).or_insert_with(|| {
            pairs.push(Pair { marker, first: None, second: None });
            pairs.len() - 1
        });
        let Some(pair) = pairs.get_mut(at) else {
            continue;
        };
        let slot = if is_first { &mut pair.first } else { &mut pair.second };
        if let Some((name, _)) = slot.replace((name, text)) {
            sink(Finding::of(name, Err(Reason::Overridden)));
        }
    }
    pairs
}
