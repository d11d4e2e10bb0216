//! The URL of a collection, as go-cloud's docstore writes it: [MongoDB], [DynamoDB], [Firestore].
//!
//! [MongoDB]: https://pkg.go.dev/gocloud.dev/docstore/mongodocstore#URLOpener
//! [DynamoDB]: https://pkg.go.dev/gocloud.dev/docstore/awsdynamodb/v2#URLOpener
//! [Firestore]: https://pkg.go.dev/gocloud.dev/docstore/gcpfirestore#URLOpener

use std::collections::BTreeMap;
use std::fmt;

use chains_core::{Error, ErrorKind, Result};
use url::form_urlencoded;

use crate::document::field::NAME;

type Read<T> = std::result::Result<T, String>;

/// A collection of documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collection {
    /// `mongo://DATABASE/COLLECTION?id_field=name`
    Mongo(MongoCollection),
    /// `dynamodb://TABLE?partition_key=Name`
    DynamoDb(Table),
    /// `firestore://projects/P/databases/(default)/documents/COLLECTION?name_field=name`
    Firestore(FirestoreCollection),
}

/// A collection of MongoDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MongoCollection {
    /// The database.
    pub database: String,
    /// The collection.
    pub collection: String,
    /// Whether documents have the field `Name` besides `_id`: not with `id_field=Name`.
    pub has_name: bool,
}

/// A table of DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The table.
    pub name: String,
    /// Its partition key, a string: `Name` in some spelling of its case.
    pub partition_key: String,
    /// The region, where it is not the one of the environment.
    pub region: Option<String>,
    /// The address, where it is not the one of the environment or of the region.
    pub endpoint: Option<String>,
    /// The profile whose settings and credentials are used.
    pub profile: Option<String>,
    /// The ARN of a role to assume.
    pub role: Option<String>,
    /// Whether the region's address with IPv6 is used; else as the environment says.
    pub dual_stack: Option<bool>,
    /// Whether the region's address with FIPS 140 is used; else as the environment says.
    pub fips: Option<bool>,
}

/// A collection of Firestore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirestoreCollection {
    /// `projects/P/databases/D`
    pub database: String,
    /// The path of the collection within `…/documents/`.
    pub path: String,
    /// Whether documents have the field `Name` besides their name: not with `name_field=Name`.
    pub has_name: bool,
}

impl Collection {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] naming the part that is missing, or that cannot be used.
    pub fn parse(url: &str) -> Result<Self> {
        read(url).map_err(|why| {
            let what = format!("reading `storage.docdb.url` {url:?}");
            Error::new(ErrorKind::Configuration, what).with_source(why)
        })
    }
}

/// Without what tells how to get there.
impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mongo(it) => write!(f, "mongo://{}/{}", it.database, it.collection),
            Self::DynamoDb(it) => write!(f, "dynamodb://{}", it.name),
            Self::Firestore(it) => write!(f, "firestore://{}/documents/{}", it.database, it.path),
        }
    }
}

fn read(url: &str) -> Read<Collection> {
    let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    let (host, path) = (decoded(host)?, decoded(path)?);
    let mut parameters = Parameters::of(query);
    let collection = match scheme {
        "mongo" => Collection::Mongo(mongo(host, path, &mut parameters)?),
        "dynamodb" => Collection::DynamoDb(table(host, &path, &mut parameters)?),
        "firestore" => Collection::Firestore(firestore(&host, &path, &mut parameters)?),
        other => {
            return Err(format!(
                "{other}:// is no database: mongo://, dynamodb:// and firestore:// are"
            ));
        }
    };
    parameters.finish()?;
    Ok(collection)
}

/// <https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions>
fn mongo(
    database: String,
    collection: String,
    parameters: &mut Parameters,
) -> Read<MongoCollection> {
    let field = parameters.key("id_field")?;
    // Go's documents have no field for it, and so it is never written.
    parameters.skip(&["revision_field"]);
    let odd = |text: &str, odd: &[char]| text.chars().find(|c| c.is_control() || odd.contains(c));
    if database.is_empty() || database.len() > 63 {
        return Err("it names no database of 1 to 63 bytes: mongo://DATABASE/COLLECTION".to_owned());
    }
    if let Some(odd) = odd(&database, &['/', '\\', '.', ' ', '"', '$', '*', '<', '>', ':', '|']) {
        return Err(format!("the name of a database cannot hold {odd:?}"));
    }
    if collection.is_empty() {
        return Err("it names no collection: mongo://DATABASE/COLLECTION".to_owned());
    }
    if let Some(odd) = odd(&collection, &['$']) {
        return Err(format!("the name of a collection cannot hold {odd:?}"));
    }
    if collection.starts_with("system.") {
        return Err("collections whose name begins with `system.` are the server's own".to_owned());
    }
    Ok(MongoCollection { database, collection, has_name: field != NAME })
}

/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
fn table(name: String, path: &str, parameters: &mut Parameters) -> Read<Table> {
    let partition_key = parameters.key("partition_key")?;
    if parameters.take("sort_key").is_some() {
        let why = "no field of a record is fit for a sort key: the table has a partition key alone";
        return Err(format!("`sort_key` cannot be used: {why}"));
    }
    if parameters.flag("anonymous")? == Some(true) {
        return Err("`anonymous` cannot be used: DynamoDB lets in nobody without a name".to_owned());
    }
    // About queries, retries and how Go's library builds an address: nothing of it is needed here. What is read is
    // always read consistently.
    parameters.skip(&[
        "allow_scans",
        "consistent_read",
        "revision_field",
        "awssdk",
        "hostname_immutable",
        "rate_limiter_capacity",
        "request_checksum_calculation",
        "response_checksum_validation",
    ]);
    if !path.is_empty() {
        return Err("it has a path: dynamodb://TABLE is all".to_owned());
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !(3..=255).contains(&name.len()) || !name.chars().all(is_allowed) {
        let allowed = "3 to 255 of a-z A-Z 0-9 _ - . are";
        return Err(format!("{name:?} is no name of a table: {allowed}"));
    }
    let role = parameters.take("role");
    if role.as_ref().is_some_and(|role| !role.starts_with("arn:")) {
        return Err("`role` is no ARN".to_owned());
    }
    Ok(Table {
        name,
        partition_key,
        region: parameters.take("region"),
        endpoint: parameters.take("endpoint"),
        profile: parameters.take("profile"),
        role,
        dual_stack: parameters.flag("dualstack")?,
        fips: parameters.flag("fips")?,
    })
}

/// <https://cloud.google.com/firestore/quotas#collections_documents_and_fields>
fn firestore(host: &str, path: &str, parameters: &mut Parameters) -> Read<FirestoreCollection> {
    let field = parameters.key("name_field")?;
    parameters.skip(&["revision_field"]);
    let form = "firestore://projects/PROJECT/databases/(default)/documents/COLLECTION";
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let ("projects", [project, "databases", database, "documents", collection @ ..]) =
        (host, parts.as_slice())
    else {
        return Err(format!("it is not of the form {form}"));
    };
    let odd = |part: &&&str| matches!(**part, "" | "." | "..") || part.starts_with("__");
    if let Some(part) = [project, database].into_iter().chain(collection).find(odd) {
        return Err(format!("{part:?} is no name of anything in Firestore"));
    }
    if collection.len().is_multiple_of(2) {
        return Err(format!("it names a document, not a collection: it is not of the form {form}"));
    }
    Ok(FirestoreCollection {
        database: format!("projects/{project}/databases/{database}"),
        path: collection.join("/"),
        has_name: field != NAME,
    })
}

/// Parameters of the query, of which none is passed over.
struct Parameters {
    left: BTreeMap<String, String>,
    known: Vec<&'static str>,
}

impl Parameters {
    fn of(query: &str) -> Self {
        let mut left = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            // Of several, Go takes the first.
            left.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Self { left, known: Vec::new() }
    }

    fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.left.remove(name).filter(|value| !value.is_empty())
    }

    fn skip(&mut self, names: &[&'static str]) {
        for name in names {
            self.take(name);
        }
    }

    fn flag(&mut self, name: &'static str) -> Read<Option<bool>> {
        match self.take(name).as_deref() {
            None => Ok(None),
            Some("true" | "TRUE" | "True" | "t" | "T" | "1") => Ok(Some(true)),
            Some("false" | "FALSE" | "False" | "f" | "F" | "0") => Ok(Some(false)),
            Some(other) => Err(format!("`{name}` is {other:?}, neither true nor false")),
        }
    }

    /// Go looks the field up in any spelling of its case.
    fn key(&mut self, name: &'static str) -> Read<String> {
        match self.take(name) {
            Some(field) if field.eq_ignore_ascii_case(NAME) => Ok(field),
            Some(field) => Err(format!(
                "`{name}` is {field:?}: only the field `Name` names a document, write `{name}={NAME}`"
            )),
            None => {
                Err(format!("it does not tell which field names a document: add `?{name}={NAME}`"))
            }
        }
    }

    fn finish(self) -> Read<()> {
        match self.left.keys().next() {
            Some(name) => {
                Err(format!("it has the parameter `{name}`: known are {}", self.known.join(", ")))
            }
            None => Ok(()),
        }
    }
}

fn decoded(text: &str) -> Read<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err("a `%` is not followed by two hex digits".to_owned());
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    String::from_utf8(bytes).map_err(|_| "what `%` stands for is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests;
