//! Tekton's runs: reading them, and finding in them what they made and what they used.
//!
//! | to do | look at |
//! |---|---|
//! | read one run | [`Run::from_json`] |
//! | read files of any kind | [`read::read_documents`] |
//! | find what is to be signed | [`Run::targets`], [`Run::images`] |
//! | give a PipelineRun its TaskRuns | [`Run::adopt_all`], [`Run::with_children`], [`Run::owns`] |
//! | tell why an image was not signed | [`Run::explain`] |
//!
//! A run is read into one tree ([`Json`]) and checked once, field by field; v1beta1 is made into v1 on the way.
//! Everything else looks at that tree: the [views](types) of its parts, and the [type hints](hints).

mod children;
mod convert;
mod explain;
pub mod hints;
mod json;
mod keys;
mod near_miss;
mod quote;
pub mod read;
mod run;
mod schema;
pub mod types;

pub use children::{Missing, MissingChild, Owner};
pub use explain::{Hint, Made, Place, Verdict};
pub use json::{Json, Map};
pub use quote::Quoted;
pub use run::Run;
