//! The line: a run goes in; for every target a signed record comes out, kept by every store that the plan names.
//!
//! ```text
//! Run ─▶ targets ─▶ payload ─▶ signature ─▶ log entry ─▶ record ─▶ every store ─▶ Report
//! ```
//!
//! # Guarantees
//! - A target is signed once: all its stores get the same bytes, and an attempt that follows a failed one
//!   takes the signature from [`Progress`](chains_core::Progress) after verifying it.
//! - One target's or store's failure does not stop the others, a panic included; the [`Report`] tells every outcome.
//! - The engine writes nothing on the run: what belongs there is in [`Report::annotations`].
//!
//! # Caveats
//! - While a transparency log that the plan requires does not answer, nothing of that target is stored:
//!   a record without its entry would have to be replaced later, and stores do not replace. Where it is not required,
//!   the record is stored without its entry, and later attempts log it: what is stored then stays as it is.

mod conclude;
mod line;
mod logging;
mod metering;
mod panics;
mod plan;
mod report;
mod resilience;
mod signing;

pub use line::{Engine, Until};
pub use metering::{Call, Meter, Metered};
pub use plan::{LogMode, LogRoute, Plan, Route};
pub use report::{Failure, Report, Stage, StoreReport, TargetReport};
pub use resilience::{Policy, Resilient};
