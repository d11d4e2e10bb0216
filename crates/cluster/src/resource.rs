//! Tekton's runs as resources of the API server.

use chains_core::{Result, RunKind};
use kube::core::ApiResource;
use kube::{Client, Resource as _};

const GROUP: &str = "tekton.dev";

/// A version of Tekton's API that Chains reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// `tekton.dev/v1`.
    V1,
    /// `tekton.dev/v1beta1`: where `v1` is not served.
    V1Beta1,
}

impl Version {
    /// As in `apiVersion: tekton.dev/v1`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1Beta1 => "v1beta1",
        }
    }

    /// Asks the API server which version it serves, the newest first; `None` where it serves neither, which is
    /// so until Tekton is installed.
    ///
    /// One request, for the list of API groups: nobody is forbidden that.
    ///
    /// # Errors
    /// Where the API server cannot be reached or refuses.
    pub async fn discover(client: &Client) -> Result<Option<Self>> {
        let groups = client.list_api_groups().await.map_err(|e| {
            crate::error("asking the API server which versions of tekton.dev it serves", e)
        })?;
        let Some(group) = groups.groups.into_iter().find(|group| group.name == GROUP) else {
            return Ok(None);
        };
        let served = |version: &Self| group.versions.iter().any(|v| v.version == version.as_str());
        Ok([Self::V1, Self::V1Beta1].into_iter().find(served))
    }
}

/// A kind of run in a version: what requests and watches need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunApi {
    /// TaskRun or PipelineRun.
    pub kind: RunKind,
    /// The version that is asked for.
    pub version: Version,
}

impl RunApi {
    /// Group, version, kind and plural.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        let version = self.version.as_str();
        ApiResource {
            group: GROUP.to_owned(),
            version: version.to_owned(),
            api_version: format!("{GROUP}/{version}"),
            kind: self.kind.as_str().to_owned(),
            plural: format!("{}s", self.kind.as_lower()),
        }
    }

    /// Path of the collection: of one namespace, or of the whole cluster.
    #[must_use]
    pub fn path(self, namespace: Option<&str>) -> String {
        kube::core::DynamicObject::url_path(&self.resource(), namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api_server() {
        let runs = RunApi { kind: RunKind::PipelineRun, version: Version::V1Beta1 };
        assert_eq!(runs.path(None), "/apis/tekton.dev/v1beta1/pipelineruns");
        let runs = RunApi { kind: RunKind::TaskRun, version: Version::V1 };
        assert_eq!(runs.path(Some("ci")), "/apis/tekton.dev/v1/namespaces/ci/taskruns");
    }
}
