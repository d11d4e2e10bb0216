//! The golden set: runs that we wrote, and the very bytes that are made of them.
//!
//! `golden/FAMILY.yaml` holds cases, `golden/FAMILY.jsonl` the answers, one line for each configuration of each
//! case, in order. A case is `name`, `object`, `taskRuns`, and `configs`; without the last it stands for all
//! formats, and with both settings of deep inspection where it is a PipelineRun.

use std::path::{Path, PathBuf};

use chains_tekton::Json;

/// Set, it says that what comes out now is right: the test writes the answers anew.
pub const BLESS: &str = "BLESS";

/// The cases of a file.
#[derive(Debug)]
pub struct Family {
    /// The file with the answers.
    pub answers: PathBuf,
    /// The cases, one for each configuration.
    pub cases: Vec<Golden>,
}

/// A case in one configuration.
#[derive(Debug)]
pub struct Golden {
    /// Family, name and configuration.
    pub name: String,
    /// The line that is to be answered.
    pub line: String,
}

/// Reads the golden set.
///
/// # Panics
/// Where a file cannot be read or is not what it must be: it is ours.
#[must_use]
#[allow(clippy::expect_used, clippy::panic, reason = "the files are part of the test")]
pub fn families() -> Vec<Family> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let entries = std::fs::read_dir(&folder).expect("the golden set is there");
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files.iter().map(|path| family(path)).collect()
}

#[allow(clippy::expect_used, clippy::panic, reason = "the files are part of the test")]
fn family(path: &Path) -> Family {
    let text = std::fs::read_to_string(path).expect("a file of the golden set can be read");
    let options = serde_saphyr::options! { strict_booleans: true };
    let documents: Vec<Json> = serde_saphyr::from_multiple_with_options(&text, options)
        .unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    let family = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let cases = documents.iter().flat_map(|document| cases(&family, document)).collect();
    Family { answers: path.with_extension("jsonl"), cases }
}

fn cases(family: &str, document: &Json) -> Vec<Golden> {
    let object = document.get("object");
    let configs = match document.get("configs").list() {
        [] => all_formats(object.get("kind").text() == "PipelineRun"),
        configs => configs.to_vec(),
    };
    let golden = |config: Json| {
        let name = format!("{family}/{} {}", document.get("name").text(), config.to_compact());
        let children = document.get("taskRuns");
        let children = if children.is_null() { "[]".to_owned() } else { children.to_compact() };
        let (object, config) = (object.to_compact(), config.to_compact());
        let line = format!(r#"{{"object":{object},"taskRuns":{children},"config":{config}}}"#);
        Golden { name, line }
    };
    configs.into_iter().map(golden).collect()
}

fn all_formats(is_pipeline: bool) -> Vec<Json> {
    let format =
        if is_pipeline { "artifacts.pipelinerun.format" } else { "artifacts.taskrun.format" };
    let deep: &[&str] = if is_pipeline { &["false", "true"] } else { &["false"] };
    let mut configs = Vec::new();
    for deep in deep {
        for name in ["in-toto", "slsa/v2alpha3", "slsa/v2alpha4"] {
            let types: &[&str] = if name == "in-toto" { &[""] } else { &["", "-tekton"] };
            for suffix in types {
                let build_type = format!("https://tekton.dev/chains/v2/slsa{suffix}");
                let config = [
                    (format, Json::from(name)),
                    ("artifacts.pipelinerun.enable-deep-inspection", Json::from(*deep)),
                    ("builddefinition.buildtype", Json::from(build_type.as_str())),
                ];
                configs.push(Json::Map(config.into_iter().collect()));
            }
        }
    }
    configs.push(Json::Map([(format, Json::from("tekton"))].into_iter().collect()));
    configs
}
