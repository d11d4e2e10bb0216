//! The three calls of Archivista: upload, download, and the search by GraphQL.

use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result};
use chains_http::{Address, Answer, Client, Exchange, Settings};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::refusal::{fault, has};
use crate::{ArchivistaOptions, envelope};

/// Answers are as long as an envelope of 16 MiB of statement at the most.
const EXCHANGE: Exchange = Exchange::up_to(32 * 1024 * 1024);
/// How many gitoids are asked for at once.
const PAGE: usize = 100;
/// How many gitoids of one subject are read at most: a server that pages without end is not followed.
const MOST: usize = 10_000;

const BY_GITOID: &str = "query($gitoid: String!) { dsses(first: 1, where: { gitoidSha256: $gitoid }) \
                         { edges { node { gitoidSha256 } } } }";
const BY_SUBJECT: &str = "query($algorithm: String!, $value: String!, $first: Int!, $after: Cursor) { dsses(first: \
                          $first, after: $after, where: { hasStatementWith: { hasSubjectsWith: { \
                          hasSubjectDigestsWith: { algorithm: $algorithm, value: $value } } } }) { edges { node { \
                          gitoidSha256 } } pageInfo { hasNextPage endCursor } } }";

/// The server.
#[derive(Debug)]
pub(crate) struct Api {
    address: Address,
    client: Client,
}

/// What an upload came to.
#[derive(Debug)]
pub(crate) enum Uploaded {
    /// It is kept under this gitoid.
    Now(String),
    /// The server could not: maybe because it is there already, which it tells as any other failure.
    Refused {
        /// What it said.
        error: Error,
        /// Whether its words are those of a database that has it already.
        is_known: bool,
    },
}

#[derive(Deserialize)]
struct Kept {
    gitoid: String,
}

/// What GraphQL answers.
#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    dsses: Page,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    edges: Vec<Edge>,
    #[serde(default, rename = "pageInfo")]
    info: PageInfo,
}

#[derive(Deserialize)]
struct Edge {
    node: Node,
}

#[derive(Deserialize)]
struct Node {
    #[serde(rename = "gitoidSha256")]
    gitoid: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    #[serde(default)]
    has_next_page: bool,
    #[serde(default)]
    end_cursor: Option<String>,
}

impl Api {
    pub(crate) fn new(options: &ArchivistaOptions) -> Result<Self> {
        let what = "reading the address of Archivista (`storage.archivista.url`)";
        let address = Address::parse(what, &options.url)?;
        let limits = &options.limits;
        let settings = Settings {
            ca_files: &options.ca_files,
            connect_timeout: limits.connect_timeout,
            request_timeout: limits.request_timeout,
            most_idle: limits.concurrency,
        };
        Ok(Self { address, client: Client::new(&settings, limits.concurrency, EXCHANGE)? })
    }

    /// Where the server is, without user and password.
    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// Where an envelope is had again.
    pub(crate) fn location(&self, gitoid: &str) -> String {
        self.address.of(&["download", gitoid]).into()
    }

    /// # Errors
    /// Where there is no answer, or one that is none of Archivista's.
    pub(crate) async fn upload(&self, what: &str, body: Bytes) -> Result<Uploaded> {
        let request = self.client.post(self.address.of(&["upload"])).body(body);
        let answer = self.send(what, request).await?;
        if answer.status == StatusCode::OK {
            return gitoid(what, &answer).map(Uploaded::Now);
        }
        let error = fault(&answer, what, &self.address);
        if answer.status != StatusCode::INTERNAL_SERVER_ERROR
            && answer.status != StatusCode::CONFLICT
        {
            return Err(error);
        }
        Ok(Uploaded::Refused { error, is_known: has(&answer, "constraint") })
    }

    /// The envelope; `None` where the server gives out none of this gitoid: it tells no reason apart.
    ///
    /// # Errors
    /// Where there is no answer, or one that is none of Archivista's.
    pub(crate) async fn download(&self, what: &str, gitoid: &str) -> Result<Option<Bytes>> {
        let request = self.client.get(self.address.of(&["download", gitoid]));
        let answer = self.send(what, request).await?;
        match answer.status {
            StatusCode::OK if envelope::gitoid(&answer.body) == gitoid => Ok(Some(answer.body)),
            // Its file store writes over what is there, and gives out what is half written.
            StatusCode::OK => {
                let why = format!(
                    "what it gives out is not what has the gitoid {gitoid}: it is being written, or damaged"
                );
                Err(Error::new(ErrorKind::Conflict, what).with_source(why))
            }
            StatusCode::INTERNAL_SERVER_ERROR | StatusCode::NOT_FOUND => Ok(None),
            _ => Err(fault(&answer, what, &self.address)),
        }
    }

    /// Whether the server's index has it; `None` where it has no index.
    ///
    /// # Errors
    /// Where it does not answer.
    pub(crate) async fn knows(&self, what: &str, gitoid: &str) -> Result<Option<bool>> {
        let page = self.query(what, BY_GITOID, &json!({ "gitoid": gitoid })).await?;
        Ok(page.map(|page| page.edges.iter().any(|edge| edge.node.gitoid == gitoid)))
    }

    /// The gitoids of what speaks of a subject with this digest, as far as the server has an index.
    ///
    /// # Errors
    /// Where it does not answer, or with more than anybody has.
    pub(crate) async fn search(
        &self,
        what: &str,
        algorithm: &str,
        value: &str,
    ) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let variables =
                json!({ "algorithm": algorithm, "value": value, "first": PAGE, "after": after });
            let Some(page) = self.query(what, BY_SUBJECT, &variables).await? else {
                return Ok(found);
            };
            let fresh = page.edges.into_iter().map(|edge| edge.node.gitoid);
            found.extend(fresh.filter(|gitoid| is_gitoid(gitoid)));
            if !page.info.has_next_page {
                return Ok(found);
            }
            if found.len() > MOST || page.info.end_cursor == after {
                let why = format!("it answers with more than {MOST} envelopes of one subject");
                return Err(Error::new(ErrorKind::TooLarge, what).with_source(why));
            }
            after = page.info.end_cursor;
        }
    }

    async fn query(&self, what: &str, query: &str, variables: &Value) -> Result<Option<Page>> {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = self.client.post(self.address.of(&["query"])).body(body);
        let answer = self.send(what, request).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let found: Option<Found> = serde_json::from_slice(&answer.body).ok();
        match found.and_then(|found| found.data) {
            Some(data) => Ok(Some(data.dsses)),
            None => Err(fault(&answer, &format!("{what}: searching"), &self.address)),
        }
    }

    async fn send(&self, what: &str, request: RequestBuilder) -> Result<Answer> {
        self.client.send(what, self.address.authenticated(request)).await
    }
}

/// The gitoid that the server says it keeps an envelope under.
fn gitoid(what: &str, answer: &Answer) -> Result<String> {
    let kept: Option<Kept> = serde_json::from_slice(&answer.body).ok();
    let gitoid = kept.map(|kept| kept.gitoid).filter(|gitoid| is_gitoid(gitoid));
    gitoid.ok_or_else(|| {
        let why = "it answered without a gitoid: there is no Archivista at this address: mend `storage.archivista.url`";
        Error::new(ErrorKind::Protocol, what).with_source(why)
    })
}

/// Whether it is one, and so may stand in an address.
fn is_gitoid(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
