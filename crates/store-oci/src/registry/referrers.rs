//! The list of manifests that refer to another one, where the registry keeps it
//! ([§Listing referrers](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers)).

use bytes::Bytes;
use chains_core::{Digest, ErrorKind};
use oci_distribution::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE;
use reqwest::{Method, StatusCode, Url};

use super::answer::Answer;
use super::repository::{Access, MAX_MANIFEST, Repository};
use super::session::Request;
use crate::fault::{Fault, Result};

/// How many pages of a list are read.
const MAX_PAGES: usize = 100;

impl Repository {
    /// The list of what refers to a manifest, as one or more indexes; `None` where the registry keeps no such lists,
    /// or does not know the repository.
    pub(crate) async fn referrers(
        &self,
        subject: &Digest,
        access: Access,
    ) -> Result<Option<Vec<Bytes>>> {
        let what = format!("listing the referrers of {}@{subject}", self.name);
        let mut url = self.url(&what, &["referrers", &subject.to_string()]).await?;
        let mut pages = Vec::new();
        while pages.len() < MAX_PAGES {
            let request = Request {
                scope: &self.scope(access),
                accept: Some(OCI_IMAGE_INDEX_MEDIA_TYPE),
                limit: MAX_MANIFEST,
                ..self.request(&what, Method::GET, url.clone())
            };
            let answer = self.session.send(request).await?;
            if pages.is_empty() && keeps_no_lists(&answer) {
                return Ok(None);
            }
            if answer.status != StatusCode::OK {
                return Err(answer.fault(&what));
            }
            let next = self.next(&what, &url, &answer).await?;
            pages.push(answer.body);
            match next {
                Some(next) => url = next,
                None => return Ok(Some(pages)),
            }
        }
        let why = format!("it has more than {MAX_PAGES} pages");
        Err(Fault::new(ErrorKind::TooLarge, what, why))
    }

    /// The address of the next page, which the header `Link` names.
    async fn next(&self, what: &str, from: &Url, answer: &Answer) -> Result<Option<Url>> {
        let Some(link) = answer.header("link") else { return Ok(None) };
        let Some((address, parameters)) =
            link.trim().strip_prefix('<').and_then(|rest| rest.split_once('>'))
        else {
            return Err(Fault::new(ErrorKind::Protocol, what, "its link cannot be read"));
        };
        let relation = parameters.replace(['"', ' '], "");
        if !relation.split(';').any(|parameter| parameter.eq_ignore_ascii_case("rel=next")) {
            return Ok(None);
        }
        self.session.visit(what, from, address).await.map(Some)
    }
}

/// Whether that is how registries answer that do not know the question.
fn keeps_no_lists(answer: &Answer) -> bool {
    match answer.status {
        // Some answer anything with a page of their own.
        StatusCode::OK => {
            let kind = answer.header("content-type").unwrap_or_default();
            kind.split(';').next().map(str::trim) != Some(OCI_IMAGE_INDEX_MEDIA_TYPE)
        }
        status => matches!(status.as_u16(), 400 | 404 | 405 | 406 | 501),
    }
}
