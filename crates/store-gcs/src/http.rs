//! HTTP towards the services: one client for each store, bounded in connections, time and the length of answers.

use std::path::PathBuf;

use chains_core::{ErrorKind, Result};
use chains_http::{Answer, Exchange, Settings, Tls, build, is_beside_us};
use reqwest::{Request, RequestBuilder};

use crate::{Limits, MAX_OBJECT};

const EXCHANGE: Exchange =
    Exchange { too_long: ErrorKind::TooLarge, ..Exchange::up_to(MAX_OBJECT) };

/// The client; clones share its connections and its bounds.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    usual: chains_http::Client,
    /// Asks no proxy.
    direct: reqwest::Client,
}

impl Client {
    /// # Errors
    /// [`ErrorKind::Configuration`] where a file of certificate authorities cannot be used.
    pub(crate) fn new(limits: &Limits, ca_files: &[PathBuf]) -> Result<Self> {
        let settings = Settings {
            ca_files,
            connect_timeout: limits.connect_timeout,
            request_timeout: limits.request_timeout,
            most_idle: limits.concurrency,
        };
        let direct = settings.builder(Tls::default())?.no_proxy();
        let usual = chains_http::Client::new(&settings, limits.concurrency, EXCHANGE)?;
        Ok(Self { usual, direct: build("making an HTTP client", direct)? })
    }

    /// Sends a request and reads the whole answer, of whatever status. Failures name the host, and no more of the address.
    ///
    /// # Errors
    /// Where there is no answer, or one without end.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer> {
        let host = request.url().host_str().unwrap_or("the server").to_owned();
        let request = if is_beside_us(request.url()) {
            RequestBuilder::from_parts(self.direct.clone(), request)
        } else {
            self.usual.request(request)
        };
        self.usual.send(&host, request).await
    }
}
