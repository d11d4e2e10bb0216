//! What all buckets have in common: bounds.

use std::time::Duration;

/// Bounds of a [`BucketStore`](crate::BucketStore).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many requests are under way at once, and so how many connections there are; further ones wait.
    pub concurrency: usize,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long one request may take, from connecting to the last byte of the answer; as long for a token.
    pub request_timeout: Duration,
}

impl Default for Limits {
    /// 64 at once, five seconds, thirty seconds.
    fn default() -> Self {
        Self {
            concurrency: 64,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
        }
    }
}
