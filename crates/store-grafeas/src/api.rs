//! The calls of the [API]: making a note, making an occurrence, listing occurrences.
//!
//! [API]: https://cloud.google.com/container-analysis/docs/reference/rest

use chains_core::{Error, ErrorKind, Result, Secret};
use chains_http::google::{Tokens, Want};
use chains_http::{Address, Answer, Client, Exchange, Settings};
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::GrafeasOptions;
use crate::domain::is_of;
use crate::layout::{Found, Kind, Note, Occurrence};
use crate::refusal::{Advice, Refusal};

/// Answers are as long as a page of large occurrences at the most.
const EXCHANGE: Exchange = Exchange::up_to(64 * 1024 * 1024);
const GOOGLE: &str = "googleapis.com";
/// The one scope of Container Analysis: <https://cloud.google.com/container-analysis/docs/reference/rest>.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const ADVICE: &str = "give the pod's service account access by workload identity, or name a file of credentials in \
                      GOOGLE_APPLICATION_CREDENTIALS";
/// Another domain of the same services, as Google's libraries read it.
const UNIVERSE: &str = "GOOGLE_CLOUD_UNIVERSE_DOMAIN";
/// How many occurrences are asked for at once: each may hold a large statement twice.
const PAGE: &str = "50";
/// How many pages are read at most: a server that pages without end is not followed.
const MOST_PAGES: usize = 1000;

/// The server.
#[derive(Debug)]
pub(crate) struct Api {
    project: String,
    address: Address,
    client: Client,
    /// Where the server is Google's.
    tokens: Option<Tokens>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    occurrences: Vec<Found>,
    next_page_token: String,
}

impl Api {
    pub(crate) fn new(options: &GrafeasOptions) -> Result<Self> {
        let domain = options.variables.get(UNIVERSE).unwrap_or_else(|| GOOGLE.to_owned());
        let of_google = || Secret::new(format!("https://containeranalysis.{domain}"));
        let what = "reading the address of Grafeas (`storage.grafeas.endpoint`)";
        let address = Address::parse(what, &options.endpoint.clone().unwrap_or_else(of_google))?;
        let limits = &options.limits;
        let limit = limits.request_timeout;
        // Who is refused today may be let in tomorrow, and is then: whatever refused, it was a service and not the key.
        let want = Want { scope: SCOPE, advice: ADVICE, limit, may_be_final: false };
        let tokens = is_of(&address, &domain)?.then(|| Tokens::new(&options.variables, want));
        let settings = Settings {
            ca_files: &options.ca_files,
            connect_timeout: limits.connect_timeout,
            request_timeout: limits.request_timeout,
            most_idle: limits.concurrency,
        };
        let client = Client::new(&settings, limits.concurrency, EXCHANGE)?;
        Ok(Self { project: options.project.clone(), address, client, tokens })
    }

    /// Where the server is, without user and password.
    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// Where something of this name is read.
    pub(crate) fn location(&self, name: &str) -> String {
        self.url(name.split('/')).into()
    }

    /// Makes a note where there is none.
    ///
    /// # Errors
    /// Where there is none afterwards.
    pub(crate) async fn note(&self, what: &str, note: &Note) -> Result<()> {
        let what = format!("{what}: making the note {}", note.id);
        let mut url = self.url(["projects", &self.project, "notes"]);
        url.query_pairs_mut().append_pair("noteId", &note.id);
        let (answer, token) =
            self.send(&what, self.client.post(url).body(note.body.to_string())).await?;
        if answer.status.is_success() {
            return Ok(());
        }
        let refusal = Refusal::of(&answer);
        // Who may only attach to notes may not make them: somebody else has made this one.
        if refusal.already_exists() || (refusal.denied() && self.is_there(&what, note).await) {
            return Ok(());
        }
        Err(self.fault(&what, &refusal, token.as_ref()))
    }

    async fn is_there(&self, what: &str, note: &Note) -> bool {
        let url = self.url(["projects", &self.project, "notes", &note.id]);
        let sent = self.send(what, self.client.get(url)).await;
        sent.is_ok_and(|(answer, _)| answer.status.is_success())
    }

    /// Makes an occurrence, and tells its name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where its note is not there; everything else but success.
    pub(crate) async fn create(&self, what: &str, occurrence: &Occurrence) -> Result<String> {
        let url = self.url(["projects", &self.project, "occurrences"]);
        let body = occurrence.body().to_string();
        let (answer, token) = self.send(what, self.client.post(url).body(body)).await?;
        if answer.status.is_success() {
            let made: Found = json(what, &answer)?;
            return Ok(made.name);
        }
        Err(self.fault(what, &Refusal::of(&answer), token.as_ref()))
    }

    /// Shows every occurrence of this kind about this artifact, page by page, until `see` says that it is the one.
    /// None is kept here: strangers may have attached any number.
    ///
    /// # Errors
    /// Where the server refuses, or has more than anybody has.
    pub(crate) async fn find(
        &self,
        what: &str,
        kind: Kind,
        resource: &str,
        mut see: impl FnMut(&Found) -> bool + Send,
    ) -> Result<Option<Found>> {
        let filter = format!("kind=\"{}\" AND resourceUrl={}", kind.as_str(), quoted(resource));
        let mut token = String::new();
        for _ in 0..MOST_PAGES {
            let page = self.page(what, &filter, &token).await?;
            if let Some(found) = page.occurrences.into_iter().find(|found| see(found)) {
                return Ok(Some(found));
            }
            if page.next_page_token.is_empty() {
                return Ok(None);
            }
            if page.next_page_token == token {
                let why =
                    format!("the server lists the same page of occurrences of {resource} again");
                return Err(Error::new(ErrorKind::Protocol, what).with_source(why));
            }
            token = page.next_page_token;
        }
        let why =
            format!("the server lists more than {MOST_PAGES} pages of occurrences of {resource}");
        Err(Error::new(ErrorKind::TooLarge, what).with_source(why))
    }

    async fn page(&self, what: &str, filter: &str, token: &str) -> Result<Page> {
        let mut url = self.url(["projects", &self.project, "occurrences"]);
        url.query_pairs_mut().append_pair("filter", filter).append_pair("pageSize", PAGE);
        if !token.is_empty() {
            url.query_pairs_mut().append_pair("pageToken", token);
        }
        let (answer, shown) = self.send(what, self.client.get(url)).await?;
        if !answer.status.is_success() {
            return Err(self.fault(what, &Refusal::of(&answer), shown.as_ref()));
        }
        json(what, &answer)
    }

    /// Sends it with what lets us in, which is a token or what the address has.
    async fn send(&self, what: &str, request: RequestBuilder) -> Result<(Answer, Option<Secret>)> {
        let token = match &self.tokens {
            Some(tokens) => Some(tokens.token().await.map_err(|e| e.context(what))?),
            None => None,
        };
        let request = match &token {
            Some(token) => request.bearer_auth(token.expose()),
            None => self.address.authenticated(request),
        };
        Ok((self.client.send(what, request).await?, token))
    }

    fn url<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let segments: Vec<_> = std::iter::once("v1").chain(segments).collect();
        self.address.of(&segments)
    }

    fn fault(&self, what: &str, refusal: &Refusal<'_>, token: Option<&Secret>) -> Error {
        let advice = Advice { project: &self.project, is_google: self.tokens.is_some() };
        let secrets: Vec<_> = token.into_iter().chain(self.address.secrets()).collect();
        refusal.error(what, &secrets, &advice)
    }
}

fn json<T: DeserializeOwned>(what: &str, answer: &Answer) -> Result<T> {
    serde_json::from_slice(&answer.body).map_err(|e| {
        let why = format!(
            "its answer is none of the Grafeas API v1 ({e}): see whether `storage.grafeas.endpoint` names a server of it"
        );
        Error::new(ErrorKind::Protocol, what).with_source(why)
    })
}

/// A text as filters have it: whoever wrote a result must not write the filter.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_does_not_write_the_filter() {
        assert_eq!(quoted("a@sha256:0"), "\"a@sha256:0\"");
        assert_eq!(quoted(r#"a" OR kind="x\"#), r#""a\" OR kind=\"x\\""#);
    }
}
