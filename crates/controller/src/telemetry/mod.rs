//! What operators see: logs, metrics, traces, health.
//!
//! | to | look at |
//! |---|---|
//! | count and time what happens | [`Metrics`] |
//! | say what works and what is waited for | [`Health`], [`Part`] |
//! | note how backends answer | [`Backends`] |
//! | answer probes and scrapes | [`Server`] |
//! | write logs, and change their level | [`logs`] |
//! | export traces | [`traces`] |

mod backends;
mod exposition;
mod health;
mod http;
pub(crate) mod logs;
mod metrics;
pub(crate) mod traces;

pub(crate) use backends::Backends;
pub(crate) use health::{Health, Part};
pub(crate) use http::Server;
pub(crate) use logs::LogFormat;
pub(crate) use metrics::{Closed, Metrics};
