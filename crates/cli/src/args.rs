//! The command line: every option with its help.

mod keys;
#[cfg(feature = "kubernetes")]
mod retry;
mod sigstore;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::cluster::ClusterArgs;
pub(crate) use keys::{KeySource, KeyType, KeysCommand};
#[cfg(feature = "kubernetes")]
pub(crate) use retry::RetryArgs;
pub(crate) use sigstore::{IdentityArgs, SigstoreArgs, TrustArgs};

const EXIT_CODES: &str = "\
Exit codes:
  0  everything that was asked for was done
  1  something was refused or failed: a run was not signed, a check did not hold
  2  the command line or the configuration is wrong; nothing was done
  3  some of the input could not be read; the rest was done";

/// Signed provenance for Tekton runs: sign, verify, explain.
#[derive(Debug, Parser)]
#[command(name = "chains", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// How results are printed.
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,

    /// Tells on standard error what is going on; `RUST_LOG` says it in finer grain.
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs: one JSON document on standard output.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Signs runs, and the images that they built, and stores what was signed.
    #[command(after_help = SIGN_EXAMPLES)]
    Sign(SignArgs),
    /// Verifies an image in a registry, a signed run, or the folder that `chains sign` wrote.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Prints what would be signed, and signs nothing.
    #[command(after_help = PAYLOAD_EXAMPLES)]
    Payload(PayloadArgs),
    /// Tells what was made of each result and parameter of a run, and why it was left out.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Has the controller sign runs again that it has given up, in a cluster.
    #[cfg(feature = "kubernetes")]
    #[command(after_help = retry::EXAMPLES)]
    Retry(RetryArgs),
    /// Makes key pairs, and shows public keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Checks and shows configurations.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints the completion script of a shell.
    #[command(after_help = "Example:\n  chains completions bash > /etc/bash_completion.d/chains")]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

const SIGN_EXAMPLES: &str = "\
Examples:
  chains sign taskrun.yaml
      with a new key pair, into ./chains-out
  kubectl get pipelinerun,taskrun -o yaml | chains sign -
      every completed run of a namespace
  chains sign run.yaml --key cosign.key --store oci
      as the controller does, beside the images in their registry
  chains sign run.yaml --key hashivault://chains --store oci
      with a key of Vault or OpenBao, found by VAULT_ADDR and VAULT_TOKEN
  chains sign run.yaml --identity-token /var/run/sigstore/token --store oci
      keyless: with a certificate of Fulcio, logged by Rekor
  chains sign runs/ --config chains-config.yaml --config artifacts.taskrun.format=slsa/v2alpha4 --key cosign.key";

const VERIFY_EXAMPLES: &str = "\
Examples:
  chains verify chains-out --key chains-out/chains.pub
  chains verify registry.example.com/team/app:1.4 --key cosign.pub
  kubectl get taskrun build -o yaml | chains verify - --key cosign.pub
  chains verify registry.example.com/team/app:1.4 --certificate-identity me@example.com \\
      --certificate-oidc-issuer https://accounts.example.com
      what was signed keyless";

const PAYLOAD_EXAMPLES: &str = "\
Examples:
  chains payload taskrun.yaml --config artifacts.taskrun.format=slsa/v2alpha4
  chains payload --jsonl < cases.jsonl
      one case a line, {\"object\":…,\"taskRuns\":[…],\"config\":{…}}, and one answer a line";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  chains explain taskrun.yaml
  kubectl get taskrun build -o yaml | chains explain -";

/// Where runs and configuration come from.
#[derive(Debug, Args)]
pub(crate) struct Inputs {
    /// Files or folders with runs in YAML or JSON, several documents and `List`s too; `-` is standard input.
    #[arg(value_name = "RUN", required = true)]
    pub(crate) runs: Vec<PathBuf>,
}

/// The configuration.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// A ConfigMap, a file of `key: value` lines, or one KEY=VALUE; repeats, and what comes later wins.
    #[arg(long, short, value_name = "FILE|KEY=VALUE")]
    pub(crate) config: Vec<String>,
}

/// How registries are reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registries")]
pub(crate) struct RegistryArgs {
    /// A registry host (with port) that is reached over plain HTTP, or with a certificate that is not checked.
    #[arg(long, value_name = "HOST")]
    pub(crate) insecure_registry: Vec<String>,
    /// PEM file of certificate authorities to trust besides the system's.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Private key (PEM, or a key of cosign), a folder with `x509.pem` or `cosign.key`, `k8s://NAMESPACE/NAME`, or a key
    /// in a service: `awskms://…`, `azurekms://…`, `gcpkms://…`, `hashivault://…`.
    ///
    /// What such services need to know besides is in `signers.kms.*` of the configuration and in their own
    /// variables. A file's password is read from COSIGN_PASSWORD, or asked for. Without a key one is made in the output folder,
    /// where nothing leaves that folder.
    #[arg(long, short, value_name = "KEY", value_parser = KeySource::parser())]
    pub(crate) key: Option<KeySource>,
    /// Stores for runs and images alike, in place of those in the configuration: `local`, `oci`, `tekton`,
    /// or any other that the configuration describes
    #[arg(long, short, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) store: Vec<String>,
    /// Folder of the store `local`, of new keys, and of runs annotated by the store `tekton`
    /// [default: `storage.local.path` of the configuration, `chains-out`].
    #[arg(long, value_name = "DIR")]
    pub(crate) out_dir: Option<PathBuf>,
    /// Signs runs that are annotated as signed or failed, too.
    #[arg(long)]
    pub(crate) again: bool,
    /// How many runs are worked on at once.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
    #[command(flatten)]
    pub(crate) sigstore: SigstoreArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// An image (by tag or digest), a file with signed runs (`-` is standard input), a folder of `chains sign`, or a Sigstore
    /// bundle.
    #[arg(value_name = "WHAT", required = true)]
    pub(crate) what: Vec<String>,
    /// Public key in PEM, `k8s://NAMESPACE/NAME`, or a key in a service (`awskms://…`, `azurekms://…`, `gcpkms://…`,
    /// `hashivault://…`) that is asked for it; repeats: each on its own is enough.
    #[arg(long, short, value_name = "KEY", value_parser = KeySource::parser())]
    pub(crate) key: Vec<KeySource>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Predicate type that attestations must have: `slsaprovenance` (v0.2), `slsaprovenance1` (v1) or a URI.
    /// Repeats: either will do, and an image must have one. Without it, SLSA provenance of both versions counts.
    #[arg(long = "type", value_name = "TYPE", value_parser = predicate_type)]
    pub(crate) predicate_types: Vec<String>,
    /// Repository that signatures are kept in, as `storage.oci.repository` had it.
    #[arg(long, value_name = "REPOSITORY", env = "COSIGN_REPOSITORY")]
    pub(crate) repository: Option<String>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// A predicate type: one of the short names that cosign has for provenance, or a URI.
fn predicate_type(text: &str) -> Result<String, String> {
    match text {
        "slsaprovenance" | "slsaprovenance02" => Ok("https://slsa.dev/provenance/v0.2".to_owned()),
        "slsaprovenance1" => Ok("https://slsa.dev/provenance/v1".to_owned()),
        uri if uri.contains(':') => Ok(uri.to_owned()),
        _ => Err("known are slsaprovenance, slsaprovenance1, and any URI".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct PayloadArgs {
    /// Files or folders with runs in YAML or JSON; `-` is standard input.
    #[arg(value_name = "RUN", required_unless_present = "jsonl")]
    pub(crate) runs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Reads one case a line on standard input and answers one line each, in order.
    #[arg(long, conflicts_with = "runs")]
    pub(crate) jsonl: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) inputs: Inputs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Checks a ConfigMap and tells all its faults at once.
    #[command(
        after_help = "Example:\n  kubectl -n tekton-chains get cm chains-config -o yaml | chains config validate -"
    )]
    Validate {
        /// A ConfigMap or a file of `key: value` lines; `-` is standard input.
        file: PathBuf,
    },
    /// Shows every setting: its value, and where it comes from.
    #[command(
        after_help = "Example:\n  chains config show --config chains-config.yaml --config builder.id=https://ci.example.com"
    )]
    Show {
        #[command(flatten)]
        config: ConfigArgs,
        /// Only what differs from the default.
        #[arg(long)]
        changed: bool,
    },
}
