//! The store against a registry in memory, and against registries that misbehave.

mod auth;
mod concurrency;
mod hostile;
mod layout;
mod support;
mod tls;
