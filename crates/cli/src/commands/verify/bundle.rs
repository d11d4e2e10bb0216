//! A Sigstore bundle in a file.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chains_backends::Evidence;
use chains_core::bundle::{Bundle, Content};
use chains_core::{Digest, Signed};
use chains_verify::{Statement, check_subject};

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

/// Checks a bare signature by the file beside it, and an envelope by itself and by the artifact beside it, where there
/// is one.
pub(super) fn verify(path: &Path, bundle: &Bundle, trust: Trust<'_>) -> anyhow::Result<Found> {
    let mut checks = Checks::default();
    let mut notes = Vec::new();
    let evidence = Evidence { bundle: Some(bundle), ..Evidence::default() };
    match &bundle.content {
        Content::DsseEnvelope(envelope) => {
            let signed = Signed::Dsse(envelope.clone());
            let statement = checks::statement(&mut checks, &signed, trust, evidence, None);
            if let Some(statement) = statement
                && counts(&mut checks, &statement, trust).is_some()
            {
                notes.extend(artifact(&mut checks, path, &statement)?);
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
    Ok(Found { items: vec![item], notes })
}

/// A statement of a type that counts, or a signature of an image; and what it speaks of.
fn counts(checks: &mut Checks, statement: &Statement, trust: Trust<'_>) -> Option<()> {
    let kind = &statement.predicate_type;
    // Whoever names a type asks for it and for no other.
    let signs_image = trust.types.is_empty() && kind == checks::IMAGE_SIGNATURE;
    if !signs_image && !trust.accepts(kind) {
        let accepted = trust.accepted();
        checks.failed(&refusal(format!("predicate type: {kind:?} is not {accepted}")));
        return None;
    }
    if statement.subjects.is_empty() {
        checks.failed(&refusal("subject: the statement speaks of nothing"));
        return None;
    }
    for subject in &statement.subjects {
        let uris: Vec<String> = subject.artifact_uris().collect();
        checks.note(Ok(uris.join(", ")), |uris| format!("speaks of {uris}"));
    }
    Some(())
}

/// Holds the artifact beside a bundle against what the statement speaks of; tells where there is none.
fn artifact(
    checks: &mut Checks,
    path: &Path,
    statement: &Statement,
) -> anyhow::Result<Option<String>> {
    const NONE: &str = "no artifact was compared";
    let Some(artifact) = bare(path).map(|name| path.with_file_name(name)) else {
        let why = "one is looked for as FILE beside FILE.sigstore.json";
        return Ok(Some(format!("{NONE}: {why}")));
    };
    let what = artifact.display().to_string();
    if !artifact.is_file() {
        return Ok(Some(format!("{NONE}: there is no file {what}")));
    }
    let bytes = std::fs::read(&artifact).with_context(|| format!("reading {what}"))?;
    let digest = Digest::sha256_of(&bytes);
    let same = check_subject(statement, &digest).map_err(|e| e.context(format!("holding {what}")));
    checks.note(same, |_| format!("{what} is what it speaks of: {digest}"));
    Ok(None)
}

/// The name of what a bundle is of, by its own name.
fn bare(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".sigstore.json").or_else(|| name.strip_suffix(".bundle"))?;
    (!name.is_empty()).then_some(name)
}

/// The file that a bundle beside it signs.
fn message(path: &Path) -> Option<PathBuf> {
    let name = bare(path)?;
    let beside = [name.to_owned(), format!("{name}.json")].map(|name| path.with_file_name(name));
    beside.into_iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use chains_core::{Payload, Target};
    use chains_testkit::fake::FakeSigner;
    use chains_testkit::fixture;

    use super::*;

    /// The bundle of a statement about an artifact with the content `artifact`, changed like this.
    fn bundle(change: impl Fn(String) -> String) -> Bundle {
        let payload = fixture::statement(&fixture::run("build"), &fixture::image("artifact"));
        let json = change(String::from_utf8(payload.bytes.to_vec()).unwrap());
        let payload = Payload { bytes: json.into(), ..payload };
        let signer = FakeSigner::new(1);
        let record = fixture::signed(&fixture::run("build"), Target::Run, payload, &signer);
        Bundle::from_record(&record).unwrap().unwrap()
    }

    /// Whether it verifies beside a file `app` with this content, and what is said.
    fn check(bundle: &Bundle, app: Option<&str>, types: &[&str]) -> (bool, String) {
        let folder = tempfile::tempdir().unwrap();
        // What is signed may lie beside its bundle in readable form: that is no artifact.
        std::fs::write(folder.path().join("app.json"), "{}").unwrap();
        if let Some(content) = app {
            std::fs::write(folder.path().join("app"), content).unwrap();
        }
        let keys = [FakeSigner::new(1).public_key().clone()];
        let types: Vec<String> = types.iter().map(|&text| text.to_owned()).collect();
        let trust =
            Trust { keys: &keys, identity: None, roots: None, logged: false, types: &types };
        let found = verify(&folder.path().join("app.sigstore.json"), bundle, trust).unwrap();
        let mut said = found.notes;
        said.extend(found.items[0].checks.iter().map(|check| check.detail.clone()));
        (found.items[0].verified, said.join("\n"))
    }

    #[track_caller]
    fn says((verified, said): (bool, String), expected: bool, words: &str) {
        assert_eq!(verified, expected, "{said}");
        assert!(said.contains(words), "{said}");
    }

    #[test]
    fn the_artifact_beside_a_bundle_is_what_it_speaks_of() {
        let whole = bundle(|json| json);
        says(check(&whole, Some("artifact"), &[]), true, "app is what it speaks of: sha256:");
        says(check(&whole, Some("other"), &[]), false, "the statement does not speak of sha256:");
        says(check(&whole, None, &[]), true, "no artifact was compared: there is no file");
    }

    #[test]
    fn a_statement_that_speaks_of_nothing_is_refused() {
        let empty = bundle(|json| {
            let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
            json["subject"] = serde_json::Value::Array(Vec::new());
            json.to_string()
        });
        for app in [None, Some("artifact")] {
            says(check(&empty, app, &[]), false, "subject: the statement speaks of nothing");
        }
    }

    #[test]
    fn a_signature_of_an_image_is_not_of_a_type_that_is_asked_for() {
        let signature =
            bundle(|json| json.replace(fixture::PREDICATE_TYPE, checks::IMAGE_SIGNATURE));
        says(check(&signature, Some("artifact"), &[]), true, "app is what it speaks of");
        let types = [fixture::PREDICATE_TYPE];
        says(check(&signature, Some("artifact"), &types), false, "predicate type: ");
        says(check(&signature, None, &[checks::IMAGE_SIGNATURE]), true, "speaks of ");
    }
}
