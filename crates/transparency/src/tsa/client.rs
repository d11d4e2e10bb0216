//! Timestamps, asked for.

use bytes::Bytes;
use chains_core::{Error, ErrorKind, Result};

use super::asn1;
use super::verify::{Token, VerifiedTimestamp};
use crate::fault::protocol;
use crate::http::{self, Http, Service};
use crate::logged::HashName;
use crate::root::Authority;

/// No answer is larger.
const MAX_ANSWER: usize = 256 * 1024;

/// A client of one authority.
#[derive(Debug, Clone)]
pub(crate) struct TimestampClient {
    http: Http,
    service: Service,
}

impl TimestampClient {
    pub(crate) const fn new(http: Http, service: Service) -> Self {
        Self { http, service }
    }

    pub(crate) fn url(&self) -> &str {
        self.service.shown()
    }

    /// A timestamp over the signature, verified as [`verify_timestamp`](super::verify_timestamp) does, and its nonce too.
    ///
    /// # Errors
    /// Where the authority cannot be reached, refuses, or answers what does not verify.
    pub(crate) async fn stamp(
        &self,
        signature: &[u8],
        authorities: &[Authority],
    ) -> Result<(Bytes, VerifiedTimestamp)> {
        let what = format!("asking for a timestamp at {}", self.url());
        let nonce = nonce()?;
        let request =
            asn1::request(HashName::Sha256.of(signature).as_ref(), &nonce).map_err(|e| {
                Error::new(ErrorKind::Internal, what.clone()).with_source(e.to_string())
            })?;
        let request = self.http.post(self.service.url(), "application/timestamp-query", request);
        let answer = http::send(&what, request, MAX_ANSWER).await?;
        if !matches!(answer.status.as_u16(), 200 | 201) {
            return Err(http::refused(&what, &answer));
        }
        let verified = Token::read(&answer.body)
            .and_then(|token| token.verify(signature, Some(&nonce), authorities))
            .map_err(|e| e.context(what))?;
        Ok((answer.body, verified))
    }

    /// The certificates that the authority shows of itself: PEM, at the address that those of Sigstore have.
    pub(crate) async fn certificates(&self) -> Result<Authority> {
        let what = format!("asking for the certificates of {}", self.url());
        let answer =
            http::send(&what, self.http.get(self.service.at("/certchain")), MAX_ANSWER).await?;
        if answer.status != reqwest::StatusCode::OK {
            return Err(http::refused(&what, &answer));
        }
        let authority = Authority::from_pem(self.url(), &answer.body);
        authority.map_err(|e| protocol(&what, chains_core::chain(&e)))
    }
}

/// 64 bits that nobody can tell before, positive and without a zero byte in front.
fn nonce() -> Result<[u8; 8]> {
    let mut nonce = [0; 8];
    aws_lc_rs::rand::fill(&mut nonce)
        .map_err(|_| Error::new(ErrorKind::Internal, "there is no randomness for a nonce"))?;
    nonce[0] = (nonce[0] & 0x7f) | 0x40;
    Ok(nonce)
}
