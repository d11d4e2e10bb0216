//! What it costs to make payloads: over the golden set, and over the recorded vectors where they are.
//!
//! Each figure is for one pass over all cases; the rate below it is in cases. One thread, no I/O.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chains_core::{Error, ErrorKind, Result, RunKind, Target};
use chains_formats::jsonl::{self, Chosen};
use chains_formats::{Options, by_name};
use chains_tekton::{Json, Run};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

/// From JSON, as the API server gives it, to a checked run with its children.
#[divan::bench(args = sets())]
fn read(bencher: Bencher<'_, '_>, set: &Set) {
    set.bench(bencher, |case| case.run().map_or(0, |run| run.children().len()));
}

/// From a run to the payloads of all its targets.
#[divan::bench(args = sets())]
fn payload(bencher: Bencher<'_, '_>, set: &Set) {
    let made: Vec<_> =
        set.cases.iter().filter_map(|case| Some((case.run()?, case.chosen()?))).collect();
    bencher
        .counter(ItemsCount::new(made.len()))
        .bench_local(|| made.iter().map(|(run, chosen)| payloads(run, chosen)).sum::<usize>());
}

/// Both: what a run costs before it is signed.
#[divan::bench(args = sets())]
fn read_and_payload(bencher: Bencher<'_, '_>, set: &Set) {
    set.bench(bencher, |case| {
        case.run().zip(case.chosen()).map_or(0, |(run, chosen)| payloads(&run, &chosen))
    });
}

/// What `chains payload --jsonl` does with a line.
#[divan::bench(args = sets())]
fn line(bencher: Bencher<'_, '_>, set: &Set) {
    set.bench(bencher, |case| jsonl::to_line(&jsonl::answer(case.line.as_bytes(), choose)).len());
}

fn payloads(run: &Run, chosen: &Chosen) -> usize {
    let payload = |target: &Target| {
        let format = match target {
            Target::Run => chosen.run.as_ref()?,
            Target::Image(_) => chosen.image.as_ref()?,
        };
        Some(format.payload(run, target).ok()??.bytes.len())
    };
    run.targets(false).iter().filter_map(payload).sum()
}

/// Cases that are measured together.
struct Set {
    name: &'static str,
    cases: Vec<Case>,
}

struct Case {
    object: String,
    children: Vec<String>,
    config: BTreeMap<String, String>,
    line: String,
}

static SETS: LazyLock<Vec<Set>> =
    LazyLock::new(|| [golden(), vectors()].into_iter().flatten().collect());

fn sets() -> impl Iterator<Item = &'static Set> {
    SETS.iter()
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Set {
    fn bench(&self, bencher: Bencher<'_, '_>, work: impl Fn(&Case) -> usize) {
        bencher
            .counter(ItemsCount::new(self.cases.len()))
            .bench_local(|| self.cases.iter().map(&work).sum::<usize>());
    }
}

impl Case {
    fn new(document: &Json, config: &Json) -> Self {
        let object = document.get("object").to_compact();
        let children: Vec<_> =
            document.get("taskRuns").list().iter().map(Json::to_compact).collect();
        let line = format!(
            r#"{{"object":{object},"taskRuns":[{}],"config":{}}}"#,
            children.join(","),
            config.to_compact()
        );
        let pairs = config.as_map().into_iter().flat_map(chains_tekton::Map::iter);
        let config = pairs.map(|(key, value)| (key.to_owned(), value.text().to_owned())).collect();
        Self { object, children, config, line }
    }

    fn run(&self) -> Option<Run> {
        let run = Run::from_json(self.object.as_bytes()).ok()?;
        let children =
            self.children.iter().filter_map(|child| Run::from_json(child.as_bytes()).ok());
        Some(run.with_children(children))
    }

    fn chosen(&self) -> Option<Chosen> {
        choose(self.config.clone(), RunKind::TaskRun).ok()
    }
}

/// The cases of `tests/conformance/golden`, as in-toto and as `slsa/v2alpha4`.
fn golden() -> Option<Set> {
    let folder = workspace().join("tests/conformance/golden");
    let mut cases = Vec::new();
    let mut files: Vec<_> =
        std::fs::read_dir(folder).ok()?.filter_map(|file| Some(file.ok()?.path())).collect();
    files.sort();
    for path in files.iter().filter(|path| path.extension().is_some_and(|end| end == "yaml")) {
        let text = std::fs::read_to_string(path).ok()?;
        let options = serde_saphyr::options! { strict_booleans: true };
        let documents: Vec<Json> = serde_saphyr::from_multiple_with_options(&text, options).ok()?;
        for document in documents {
            for format in ["in-toto", "slsa/v2alpha4"] {
                let config: chains_tekton::Map =
                    [("format", Json::from(format))].into_iter().collect();
                cases.push(Case::new(&document, &Json::Map(config)));
            }
        }
    }
    Some(Set { name: "golden", cases })
}

/// The recorded vectors, which are no part of the repository.
fn vectors() -> Option<Set> {
    let path = std::env::var_os("CHAINS_VECTORS")
        .map_or_else(|| workspace().join("../shared/conformance/provenance.jsonl"), PathBuf::from);
    let text = std::fs::read_to_string(path).ok()?;
    let document = |line: &str| serde_json::from_str::<Json>(line).ok();
    let cases = text
        .lines()
        .filter_map(document)
        .map(|document| Case::new(&document, document.get("config")));
    Some(Set { name: "vectors", cases: cases.collect() })
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// What of a configuration matters here; a key that ends in `format` is for the kind that the case is of.
fn choose(config: BTreeMap<String, String>, _kind: RunKind) -> Result<Chosen> {
    let mut options = Options::default();
    let mut format = "in-toto";
    for (key, value) in &config {
        match key.rsplit('.').next() {
            Some("format") => format = value,
            Some("enable-deep-inspection") => options.deep_inspection = value == "true",
            Some("id") => options.builder_id.clone_from(value),
            Some("buildtype") => options.build_type = value.parse()?,
            _ => return Err(Error::new(ErrorKind::Configuration, format!("unknown key {key:?}"))),
        }
    }
    Ok(Chosen {
        run: Some(by_name(format, &options)?),
        image: Some(by_name("simplesigning", &options)?),
        pipeline_images: false,
    })
}
