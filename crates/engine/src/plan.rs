//! What happens to which target: the configuration as trait objects.

use std::sync::Arc;

use chains_core::{
    Error, ErrorKind, Format, Result, RunKind, Signer, Store, Target, TransparencyLog,
};
use chains_tekton::Run;

/// How one class of targets is treated.
#[derive(Debug, Clone)]
pub struct Route {
    /// Makes the payload.
    pub format: Arc<dyn Format<Run>>,
    /// Signs it; `None` keeps payloads unsigned.
    pub signer: Option<Arc<dyn Signer>>,
    /// Keep it; none means that these targets are left alone.
    pub stores: Vec<Arc<dyn Store>>,
}

impl Route {
    /// Whether anything is done for these targets.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.stores.is_empty()
    }

    /// Checks that the stores can be told apart, and can hold what this route makes where nothing is signed.
    fn check(&self, what: &str) -> Result<()> {
        let mut names: Vec<&str> = self.stores.iter().map(|store| store.name()).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            // Progress goes by name: what one of them is done with would be taken for done by the other.
            let why =
                format!("two stores for {what} are called `{name}`: give each a name of its own");
            return Err(Error::new(ErrorKind::Configuration, why));
        }
        if self.signer.is_some() {
            return Ok(());
        }
        match self.stores.iter().find(|store| !store.capabilities().unsigned) {
            None => Ok(()),
            Some(store) => Err(Error::new(
                ErrorKind::Configuration,
                format!("the store `{}` cannot hold {what} that are not signed", store.name()),
            )),
        }
    }
}

/// When records are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogMode {
    /// Every record.
    Always,
    /// Only those of runs annotated `chains.tekton.dev/transparency-upload: "true"`.
    WhenAsked,
}

/// Where records are logged, and when.
#[derive(Debug, Clone)]
pub struct LogRoute {
    /// The log.
    pub log: Arc<dyn TransparencyLog>,
    /// For which runs.
    pub mode: LogMode,
    /// Whether nothing is stored before it is logged.
    pub required: bool,
}

/// Everything the engine does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For TaskRuns.
    pub taskrun: Route,
    /// For PipelineRuns.
    pub pipelinerun: Route,
    /// For images.
    pub image: Route,
    /// Also sign the images that a PipelineRun's own results name.
    pub pipelinerun_images: bool,
    /// Log what is signed.
    pub log: Option<LogRoute>,
}

impl Plan {
    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where a store cannot hold what it would be given.
    pub fn check(&self) -> Result<()> {
        self.taskrun.check("TaskRuns")?;
        self.pipelinerun.check("PipelineRuns")?;
        self.image.check("images")
    }

    pub(crate) const fn route(&self, kind: RunKind, target: &Target) -> &Route {
        match (target, kind) {
            (Target::Image(_), _) => &self.image,
            (Target::Run, RunKind::TaskRun) => &self.taskrun,
            (Target::Run, RunKind::PipelineRun) => &self.pipelinerun,
        }
    }
}
