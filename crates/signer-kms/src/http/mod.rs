//! HTTP towards services: the client, one exchange, and what a failure among the answers means.

mod answer;
mod client;
mod throttle;

pub(crate) use answer::{Answer, Refusal, kind, secret_header, send};
pub(crate) use client::{Tls, certificates, certificates_in, client};
