//! Faults in the program: what panics at one run or in one backend is that one's failure, and nobody else's.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use chains_core::{Error, ErrorKind, Result};
use futures_util::FutureExt as _;

/// Awaits `work`; where it panics, that is an error saying what was attempted.
///
/// The words of the panic stay out: nobody knows what they quote. Whoever listens to panics has them. It may be tried
/// again, since what brought it about may be gone by then, as with other failures that nobody foresaw.
///
/// # Errors
/// Those of `work`; [`ErrorKind::Internal`] where it panics.
pub(crate) async fn caught<T>(
    what: impl FnOnce() -> String,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    // What it held when it panicked is dropped with it, or shared in ways that outlive that (locks are poisoned).
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        let why = "the program failed at this (a panic, told on standard error): please report it";
        Err(Error::new(ErrorKind::Internal, what()).with_source(why).with_retryable(true))
    })
}
