//! Reading what the user names, and writing files.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// No input is read beyond this: a list of ten thousand runs has a few tens of MiB.
const LARGEST: u64 = 512 * 1024 * 1024;

/// A file's bytes, or standard input's for `-`.
pub(crate) fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let what = || format!("reading {}", name(path));
    let mut bytes = Vec::new();
    let read = if is_stdin(path) {
        std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).with_context(what)?.take(LARGEST + 1).read_to_end(&mut bytes)
    };
    read.with_context(what)?;
    if bytes.len() as u64 > LARGEST {
        bail!("{}: over {} MiB, split it", what(), LARGEST / (1024 * 1024));
    }
    Ok(bytes)
}

/// A file's text, or standard input's for `-`.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(bytes(path)?)
        .with_context(|| format!("reading {}: it is not UTF-8", name(path)))
}

/// How a path is spoken of.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The files that a path names: a folder gives its YAML and JSON files, at any depth, in order of name, but for what is
/// in the folder `except`.
pub(crate) fn files(path: &Path, except: Option<&Path>) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let except = except.and_then(|folder| folder.canonicalize().ok());
    let mut files = Vec::new();
    walk(path, except.as_deref(), &mut files)?;
    if files.is_empty() {
        bail!("the folder has no .yaml, .yml or .json files");
    }
    Ok(files)
}

fn walk(folder: &Path, except: Option<&Path>, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let what = || format!("reading the folder {}", folder.display());
    let mut entries =
        fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).with_context(what)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Links to folders are not followed: they may lead in circles.
        if entry.file_type().with_context(what)?.is_dir() {
            if except.is_none() || path.canonicalize().ok().as_deref() != except {
                walk(&path, except, files)?;
            }
        } else if is_document(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_document(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    matches!(ending, Some("yaml" | "yml" | "json")) && path.is_file()
}

/// Writes a file that anyone may read.
pub(crate) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Writes a file that only its owner may read, whole or not at all. `replace` allows one that exists to be
/// replaced; without it, an existing file is an error of kind [`AlreadyExists`](std::io::ErrorKind).
pub(crate) fn write_private(path: &Path, text: &str, replace: bool) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    // Temporary files are readable by their owner alone, and stay so.
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    let kept = if replace { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map(drop).map_err(|error| error.error)
}
