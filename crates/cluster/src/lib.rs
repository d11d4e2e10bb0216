//! Access to a Kubernetes cluster: what the controller and the command share.
//!
//! | to do | look at |
//! |---|---|
//! | connect, in a cluster or with a kubeconfig | [`connect`], [`Connection`] |
//! | speak of TaskRuns and PipelineRuns | [`RunApi`], [`Version`] |
//! | read keys from Secrets and make them | [`SecretRef`], [`keys`] |
//! | start runs again that were given up | [`retry`] |
//! | tell what the API server answered | [`error`] |

mod connect;
mod error;
pub mod keys;
mod resource;
pub mod retry;
mod secret_ref;

pub use connect::{Connection, Throttle, connect};
pub use error::error;
pub use resource::{RunApi, Version};
pub use secret_ref::{SecretRef, check_namespace};

pub use k8s_openapi;
pub use kube;

/// Who wrote, in the managed fields of what the command writes.
const FIELD_MANAGER: &str = "chains";
