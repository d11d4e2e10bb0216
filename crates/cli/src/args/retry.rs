//! Options of `chains retry`.

use chains_cluster::retry::RunName;
use clap::{ArgGroup, Args};

use crate::cluster::ClusterArgs;

pub(super) const EXAMPLES: &str = "\
Examples:
  chains retry taskrun/build pipelinerun/release -n ci
  chains retry -l app=shop -n ci --dry-run
      every run with the label that failed, or that waits for its next attempt
  chains retry --all-failed -A
      once what made them fail is mended";

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true).args(["runs", "selector", "all_failed"])))]
pub(crate) struct RetryArgs {
    /// Runs by name: `taskrun/NAME` or `pipelinerun/NAME` (`tr/NAME`, `pr/NAME`).
    #[arg(value_name = "KIND/NAME", value_parser = run_name)]
    pub(crate) runs: Vec<RunName>,
    /// Namespace of the runs [default: that of the kubeconfig's context].
    #[arg(long, short, value_name = "NAME", value_parser = namespace)]
    pub(crate) namespace: Option<String>,
    /// Runs of all namespaces.
    #[arg(long, short = 'A', conflicts_with_all = ["namespace", "runs"])]
    pub(crate) all_namespaces: bool,
    /// Runs with these labels, as `kubectl -l` takes them.
    #[arg(long, short = 'l', value_name = "LABELS", conflicts_with = "runs")]
    pub(crate) selector: Option<String>,
    /// Only runs that were given up; without a selector, all of them.
    #[arg(long, conflicts_with = "runs")]
    pub(crate) all_failed: bool,
    /// Tells what would be done, and does nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Runs that are signed, too.
    #[arg(long, conflicts_with = "all_failed")]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

fn run_name(text: &str) -> Result<RunName, String> {
    text.parse().map_err(|error: chains_core::Error| error.report())
}

fn namespace(text: &str) -> Result<String, String> {
    chains_cluster::check_namespace(text).map_err(|error| error.report())?;
    Ok(text.to_owned())
}
