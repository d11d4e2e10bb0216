//! Where the connection string is.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use chains_core::{Error, ErrorKind, Result, Secret};
use mongodb::options::ConnectionString;

use crate::MongoServer;

/// Longer than any connection string.
const LONGEST: u64 = 64 * 1024;

/// A place that is read whenever it may have changed.
#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    Fixed(Secret),
}

impl Source {
    /// # Errors
    /// [`ErrorKind::Configuration`] where a string that cannot change is none of MongoDB's.
    pub(super) fn new(server: Option<&MongoServer>) -> Result<Self> {
        match server {
            Some(MongoServer::Path(path)) => Ok(Self::File(path.clone())),
            Some(MongoServer::Dir(dir)) => Ok(Self::File(dir.join(MongoServer::NAME))),
            Some(MongoServer::Url(url)) => {
                check(url).map_err(|why| unusable("reading MongoDB's connection string", why))?;
                Ok(Self::Fixed(url.clone()))
            }
            None => {
                let why = "set one of `storage.docdb.mongo-server-url-path`, \
                           `storage.docdb.mongo-server-url-dir`, `storage.docdb.mongo-server-url`, \
                           or the variable MONGO_SERVER_URL";
                Err(unusable("looking for MongoDB's connection string", why.to_owned()))
            }
        }
    }

    /// Whether it may change while the program runs.
    pub(super) const fn may_change(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// The string as it is now, and how long it took is not to matter: it is a small file beside us.
    ///
    /// # Errors
    /// Where the file cannot be read or holds no connection string. That may pass: a Secret may yet be mounted.
    pub(super) fn read(&self) -> Result<Secret> {
        let path = match self {
            Self::File(path) => path,
            Self::Fixed(url) => return Ok(url.clone()),
        };
        let what = format!("reading MongoDB's connection string from {}", path.display());
        let text = content(path)
            .map_err(|e| unusable(&what, format!("{e}: mount the Secret that holds it there")))?;
        let url = Secret::new(text.expose().trim());
        check(&url).map_err(|why| unusable(&what, why))?;
        Ok(url)
    }
}

fn content(path: &Path) -> std::io::Result<Secret> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(Secret::new(text))
}

fn unusable(what: &str, why: String) -> Error {
    Error::new(ErrorKind::Configuration, what).with_source(why)
}

/// Whether the driver can read it, without looking anything up.
fn check(url: &Secret) -> std::result::Result<(), String> {
    if url.is_empty() {
        return Err("it is empty".to_owned());
    }
    match ConnectionString::parse(url.expose()) {
        Ok(_) => Ok(()),
        Err(error) => Err(without_secrets(&error.kind.to_string(), url)),
    }
}

/// A text without the user and the password of the connection string, whole or in parts.
pub(super) fn without_secrets(text: &str, url: &Secret) -> String {
    let rest = url.expose().split_once("://").map_or(url.expose(), |(_, rest)| rest);
    let hosts = rest.find(['/', '?']).unwrap_or(rest.len());
    // A password that should be escaped and is not may hold a slash.
    let user_info = rest.rfind('@').map_or("", |at| rest.get(..at).unwrap_or_default());
    let password = user_info.split_once(':').map_or("", |(_, password)| password);
    let head = rest.get(..hosts).unwrap_or_default();
    let beginning = head.split_once(':').map_or("", |(_, password)| password);
    [url.expose(), rest, user_info, password, if user_info.is_empty() { "" } else { beginning }]
        .into_iter()
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_without_the_white_space_around_it() {
        let dir = tempfile::tempdir().unwrap();
        let url = "mongodb://u:hunter2@h:27017/?tls=true";
        std::fs::write(dir.path().join("MONGO_SERVER_URL"), format!("{url}\n")).unwrap();
        let source = Source::new(Some(&MongoServer::Dir(dir.path().to_owned()))).unwrap();
        assert!(source.may_change());
        assert_eq!(source.read().unwrap(), Secret::new(url));
        let source = Source::new(Some(&MongoServer::Path(dir.path().join("absent")))).unwrap();
        let error = source.read().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.report().contains("mount the Secret"), "{}", error.report());
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        let refused = |text: &str| {
            let server = MongoServer::Url(Secret::new(text));
            let error = Source::new(Some(&server)).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Configuration);
            let report = error.report();
            assert!(!report.contains("hunter2"), "{report}");
            report
        };
        refused("");
        refused("postgres://u:hunter2@h/");
        refused("mongodb://u:hunter2/x@h:1:2/");
        refused("mongodb://u:hunter2@");
        refused("mongodb://u:hunter2%zz@h/");
        refused("mongodb://u:hunter2@h/?authMechanism=none-such");
        refused("mongodb://u:hunter2@h/?tls=true&ssl=false");
        let report = Source::new(None).unwrap_err().report();
        assert!(report.contains("`storage.docdb.mongo-server-url-path`"), "{report}");
        let error = without_secrets("a u:p b p c", &Secret::new("mongodb://u:p@h/"));
        assert_eq!(error, "a [redacted] b [redacted] c");
    }
}
