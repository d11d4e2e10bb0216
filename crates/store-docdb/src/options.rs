//! What can be set about the store.

use std::path::PathBuf;
use std::time::Duration;

use chains_core::Secret;

use crate::{Collection, Variables};

/// Options of [`DocDbStore`](crate::DocDbStore).
#[derive(Debug, Clone)]
pub struct DocDbOptions {
    /// Which collection of which database (`storage.docdb.url`).
    pub collection: Collection,
    /// Where MongoDB's connection string comes from; no other database looks at it.
    pub mongo: Option<MongoServer>,
    /// PEM files with certificate authorities to trust besides the system's, for DynamoDB and Firestore. MongoDB's
    /// connection string has `tlsCAFile`.
    pub ca_files: Vec<PathBuf>,
    /// Bounds.
    pub limits: Limits,
    /// Where the variables of AWS and Google Cloud are read from.
    pub variables: Variables,
}

impl DocDbOptions {
    /// The collection, with everything else as the environment has it.
    #[must_use]
    pub fn new(collection: Collection) -> Self {
        Self {
            collection,
            mongo: None,
            ca_files: Vec::new(),
            limits: Limits::default(),
            variables: Variables::of_process(),
        }
    }
}

/// Where MongoDB's connection string comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MongoServer {
    /// A file that holds it, read again when it changes (`storage.docdb.mongo-server-url-path`).
    Path(PathBuf),
    /// A folder with a file `MONGO_SERVER_URL` that holds it, likewise (`storage.docdb.mongo-server-url-dir`).
    Dir(PathBuf),
    /// The string itself (`storage.docdb.mongo-server-url`, or the variable `MONGO_SERVER_URL`).
    Url(Secret),
}

impl MongoServer {
    /// The name of the file in a folder, and of the variable.
    pub const NAME: &str = "MONGO_SERVER_URL";

    /// The first that is set, in the order of Tekton Chains: path, folder, string, variable.
    #[must_use]
    pub fn first_of(
        path: Option<PathBuf>,
        dir: Option<PathBuf>,
        url: Option<Secret>,
        variables: &Variables,
    ) -> Option<Self> {
        path.map(Self::Path)
            .or_else(|| dir.map(Self::Dir))
            .or_else(|| url.map(Self::Url))
            .or_else(|| variables.get(Self::NAME).map(|text| Self::Url(Secret::new(text))))
    }
}

/// Bounds of a [`DocDbStore`](crate::DocDbStore).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many records are written or read at once; further ones wait for their turn. As many connections are kept.
    /// `maxPoolSize` in MongoDB's connection string is stronger.
    pub concurrency: u32,
    /// How long to wait for a connection. `connectTimeoutMS` and `serverSelectionTimeoutMS` are stronger.
    pub connect_timeout: Duration,
    /// How long one request may take, from connecting to the last byte of the answer.
    pub request_timeout: Duration,
    /// How long MongoDB's connection string is taken for unchanged.
    pub refresh: Duration,
}

impl Default for Limits {
    /// 32 at once, five seconds, twenty seconds, one second.
    fn default() -> Self {
        Self {
            concurrency: 32,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(20),
            refresh: Duration::from_secs(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_string_is_the_first_that_is_set() {
        let variables = Variables::of([("MONGO_SERVER_URL", "mongodb://variable")]);
        let none = Variables::of([("MONGO_SERVER_URL", "")]);
        let (path, dir) = (Some(PathBuf::from("/path")), Some(PathBuf::from("/dir")));
        let url = Some(Secret::new("mongodb://url"));
        let first = |path: &Option<PathBuf>, dir: &Option<PathBuf>, url: &Option<Secret>| {
            MongoServer::first_of(path.clone(), dir.clone(), url.clone(), &variables)
        };
        assert_eq!(first(&path, &dir, &url), Some(MongoServer::Path("/path".into())));
        assert_eq!(first(&None, &dir, &url), Some(MongoServer::Dir("/dir".into())));
        assert_eq!(first(&None, &None, &url), url.clone().map(MongoServer::Url));
        let variable = Secret::new("mongodb://variable");
        assert_eq!(first(&None, &None, &None), Some(MongoServer::Url(variable)));
        assert_eq!(MongoServer::first_of(None, None, None, &none), None);
        assert_eq!(format!("{:?}", first(&None, &None, &url)), "Some(Url([redacted]))");
    }
}
