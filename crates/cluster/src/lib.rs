//! Access to a Kubernetes cluster: what the controller and the command share.
//!
//! | to do | look at |
//! |---|---|
//! | connect, in a cluster or with a kubeconfig | [`connect`], [`Connection`] |
//! | speak of TaskRuns and PipelineRuns | [`RunApi`], [`Version`] |
//! | tell what the API server answered | [`error`] |

mod connect;
mod error;
mod resource;

pub use connect::{Connection, connect};
pub use error::error;
pub use resource::{RunApi, Version};

pub use k8s_openapi;
pub use kube;
