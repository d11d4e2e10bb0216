//! The stores that are compiled in: one small file and one line each.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Result, Store};

use crate::Environment;

mod local;
mod oci;
mod tekton;

/// Makes a store of its section.
pub type BuildStore = fn(&Config, &Environment) -> Result<Arc<dyn Store>>;

/// By the name in `artifacts.*.storage`.
pub const STORES: &[(&str, BuildStore)] =
    &[("local", local::build), ("oci", oci::build), ("tekton", tekton::build)];
