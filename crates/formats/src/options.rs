//! What the configuration says about provenance.

use std::fmt;
use std::str::FromStr;

use chains_core::{Error, ErrorKind};

/// Settings of the provenance formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `builder.id`: who vouches for the build.
    pub builder_id: String,
    /// `builddefinition.buildtype`: how much of a run SLSA v1.0 provenance tells.
    pub build_type: BuildType,
    /// `artifacts.pipelinerun.enable-deep-inspection`: whether provenance of a PipelineRun also speaks of what
    /// its TaskRuns made and used.
    pub deep_inspection: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            builder_id: "https://tekton.dev/chains/v2".to_owned(),
            build_type: BuildType::Slsa,
            deep_inspection: false,
        }
    }
}

/// The build types of SLSA v1.0 provenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BuildType {
    /// `https://tekton.dev/chains/v2/slsa`: what every reader of SLSA provenance understands.
    #[default]
    Slsa,
    /// `https://tekton.dev/chains/v2/slsa-tekton`: with labels, annotations and whole TaskRuns.
    SlsaTekton,
}

impl BuildType {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Slsa, Self::SlsaTekton];

    /// The URI in the provenance and in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slsa => "https://tekton.dev/chains/v2/slsa",
            Self::SlsaTekton => "https://tekton.dev/chains/v2/slsa-tekton",
        }
    }
}

impl fmt::Display for BuildType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BuildType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|known| known.as_str() == text).ok_or_else(|| {
            let [slsa, tekton] = Self::ALL;
            Error::new(
                ErrorKind::Configuration,
                format!("unknown build type {text:?}: known are {slsa}, {tekton}"),
            )
        })
    }
}
