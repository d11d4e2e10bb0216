//! Names of folders and files. Runs from files may be called anything: nothing of it leaves the folder.

use std::path::PathBuf;

use chains_core::{Digest, ImageDigest, RecordKey, RunKind, RunRef, Target};

/// Longest part of a file name that comes from outside; with all additions far below the 255 bytes that
/// file systems allow.
const LONGEST: usize = 80;

/// How many hex digits of a SHA-256 tell names apart that look the same once made safe.
const HASH: usize = 32;

/// A namespace that a file did not say. Kubernetes allows no such name.
const NO_NAMESPACE: &str = "_";

/// How many hex digits of its digest are an image's short key, as [`Target::record_key`] makes it.
const SHORT: usize = 12;

/// What is signed for a run whose payload is an in-toto statement.
pub(crate) const PROVENANCE: &str = "provenance";
/// What is signed for a run in the format `tekton`: its status.
pub(crate) const STATUS: &str = "status";
/// How the names of what is signed for images start.
pub(crate) const IMAGE: &str = "image-";
/// What stands in front of the hash in a name that had to be changed.
pub(crate) const HASHED: char = '~';

/// `NAMESPACE/KIND-NAME-UID`, relative; different for every two runs.
///
/// Where something had to be changed to be safe, a hash of all of it follows after a `~`, which no unchanged
/// name holds.
pub(crate) fn run_dir(run: &RunRef) -> PathBuf {
    let RunRef { kind, namespace, name, uid, .. } = run;
    let own = format!("{}-{name}-{uid}", kind.as_lower());
    let folder = if is_safe(name) && is_safe(uid) {
        own
    } else {
        let parts = [kind.as_str(), namespace, name, uid];
        format!("{}-{}{HASHED}{}", kind.as_lower(), safe(name), hash(&parts))
    };
    let namespace = match namespace.as_ref() {
        "" => NO_NAMESPACE.to_owned(),
        usual if is_safe(usual) => usual.to_owned(),
        odd => format!("{}{HASHED}{}", safe(odd), hash(&[odd])),
    };
    PathBuf::from(namespace).join(folder)
}

/// The kind of run that a folder is named for; `None` where it is no name of a run's folder.
pub(crate) fn run_kind(folder: &str) -> Option<RunKind> {
    let (kind, rest) = folder.split_once('-')?;
    let kinds = [RunKind::TaskRun, RunKind::PipelineRun];
    kinds.into_iter().find(|known| known.as_lower() == kind && !rest.is_empty())
}

/// Every stem under which a target's files may be, without extensions.
pub(crate) fn stems(target: &Target, key: &RecordKey) -> Vec<String> {
    match target {
        Target::Run => vec![PROVENANCE.to_owned(), STATUS.to_owned()],
        Target::Image(image) => vec![stem_of(image, key)],
    }
}

/// The stem under which what is signed for an image is kept.
pub(crate) fn image_stem(image: &ImageDigest) -> String {
    let short = image.digest.hex().chars().take(SHORT).collect();
    stem_of(image, &RecordKey { short, full: image.to_string() })
}

fn stem_of(image: &ImageDigest, key: &RecordKey) -> String {
    let path = image.name.repository();
    let last = path.rsplit('/').next().unwrap_or(path);
    // Two repositories may hold the same image.
    let hash: String = hash(&[&key.full]).chars().take(HASH / 2).collect();
    format!("{IMAGE}{}-{}-{hash}", safe(last), safe(&key.short))
}

/// Whether the text is a usual name of Kubernetes, so also the same on file systems that ignore case.
fn is_safe(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(is_safe_char)
}

const fn is_safe_char(character: char) -> bool {
    matches!(character, 'a'..='z' | '0'..='9' | '-' | '.')
}

/// The text with what is not safe replaced, and cut.
fn safe(text: &str) -> String {
    let safe: String =
        text.chars().take(LONGEST).map(|c| if is_safe_char(c) { c } else { '_' }).collect();
    // Dots alone are no name, a leading one hides the file, and a leading dash looks like an option.
    match safe.strip_prefix(['.', '-']) {
        Some(rest) => format!("_{rest}"),
        None => safe,
    }
}

/// A hash of the parts, told apart.
fn hash(parts: &[&str]) -> String {
    let mut whole = Vec::new();
    for part in parts {
        whole.extend_from_slice(part.len().to_string().as_bytes());
        whole.push(b':');
        whole.extend_from_slice(part.as_bytes());
    }
    Digest::sha256_of(&whole).hex().chars().take(HASH).collect()
}
