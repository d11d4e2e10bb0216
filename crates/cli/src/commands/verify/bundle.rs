//! A Sigstore bundle in a file.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chains_backends::Evidence;
use chains_core::Signed;
use chains_core::bundle::{Bundle, Content};
use chains_verify::Statement;

use super::checks::{self, Checks, Found, Trust, Weight, refusal};

/// Where the type of a bundle stands, if it is one: JSON of protocol buffers may have any order.
const TYPE: &[u8] = b"application/vnd.dev.sigstore.bundle";
/// How much of a file is looked at to tell whether it is a bundle, and how much one may have.
const MOST: u64 = 64 * 1024 * 1024;

/// The bundle in a file; `None` where it holds something else.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<Bundle>> {
    if !path.is_file() {
        return Ok(None);
    }
    let what = || format!("reading {}", path.display());
    let file = std::fs::File::open(path).with_context(what)?;
    let mut json = Vec::new();
    file.take(MOST).read_to_end(&mut json).with_context(what)?;
    let is_json = json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if !is_json || !json.windows(TYPE.len()).any(|window| window == TYPE) {
        return Ok(None);
    }
    let is_bundle = serde_json::from_slice::<serde_json::Value>(&json)
        .is_ok_and(|value| value["mediaType"].as_str().is_some_and(|it| it.starts_with(KIND)));
    if !is_bundle {
        return Ok(None);
    }
    Bundle::from_json(&json).map(Some).map_err(|e| anyhow::anyhow!(e.report()))
}

const KIND: &str = "application/vnd.dev.sigstore.bundle";

/// Checks an envelope of a bundle by itself, and a bare signature by the file beside it.
pub(super) fn verify(path: &Path, bundle: &Bundle, trust: Trust<'_>) -> anyhow::Result<Found> {
    let mut checks = Checks::default();
    let evidence = Evidence { bundle: Some(bundle), ..Evidence::default() };
    match &bundle.content {
        Content::DsseEnvelope(envelope) => {
            let signed = Signed::Dsse(envelope.clone());
            let statement = checks::statement(&mut checks, &signed, trust, evidence, None);
            if let Some(statement) = statement {
                counts(&mut checks, &statement, trust);
            }
        }
        Content::MessageSignature(signature) => {
            let signed = Signed::Detached(signature.signature.clone());
            match message(path) {
                Some(message) => {
                    let what = message.display().to_string();
                    let bytes = std::fs::read(&message).with_context(|| format!("reading {what}"))?;
                    if checks::signature(&mut checks, &bytes, &signed, trust, evidence).is_some() {
                        checks.note(Ok(what), |what| format!("signs {what}"));
                    }
                }
                None => checks.failed(&refusal(
                    "content: the bundle signs a file that is not beside it: FILE.sigstore.json is looked for beside FILE",
                )),
            }
        }
    }
    let location = path.display().to_string();
    let item = checks.into_item("bundle", location, Weight::Required);
    Ok(Found { items: vec![item], notes: Vec::new() })
}

/// A statement of a type that counts, or a signature of an image; and what it speaks of.
fn counts(checks: &mut Checks, statement: &Statement, trust: Trust<'_>) {
    let kind = &statement.predicate_type;
    if kind != checks::IMAGE_SIGNATURE && !trust.accepts(kind) {
        let accepted = trust.accepted();
        checks.failed(&refusal(format!("predicate type: {kind:?} is not {accepted}")));
        return;
    }
    for subject in &statement.subjects {
        let uris: Vec<String> = subject.artifact_uris().collect();
        checks.note(Ok(uris.join(", ")), |uris| format!("speaks of {uris}"));
    }
}

/// The file that a bundle beside it signs.
fn message(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".sigstore.json").or_else(|| name.strip_suffix(".bundle"))?;
    let beside = [name.to_owned(), format!("{name}.json")].map(|name| path.with_file_name(name));
    beside.into_iter().find(|path| path.is_file())
}
