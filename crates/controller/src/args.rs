//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::telemetry::LogFormat;

/// Watches Tekton's runs and signs what they made.
#[derive(Debug, Clone, Parser)]
#[command(name = "chains-controller", version)]
pub struct Args {
    /// Namespaces whose runs are looked at, parted by commas; all where none is named.
    #[arg(long, value_delimiter = ',', value_name = "NAMESPACES")]
    pub namespace: Vec<String>,

    /// The namespace of the controller's own ConfigMaps and Leases.
    #[arg(
        long,
        env = "SYSTEM_NAMESPACE",
        default_value = "tekton-chains",
        value_name = "NAMESPACE"
    )]
    pub system_namespace: String,

    /// The ConfigMap in the system namespace that says from which level on things are logged.
    #[arg(
        long,
        env = "CONFIG_LOGGING_NAME",
        default_value = "config-logging",
        value_name = "NAME"
    )]
    pub config_logging_name: String,

    /// Where keys are mounted; a key that the configuration names (`signers.x509.key`) comes first.
    #[arg(long, default_value = "/etc/signing-secrets", value_name = "DIR")]
    pub signing_secrets: PathBuf,

    /// Where /livez, /readyz and /metrics are answered.
    #[arg(long, default_value = "0.0.0.0:9090", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// How log lines are written.
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,

    /// A kubeconfig, in place of `KUBECONFIG`, `~/.kube/config` and the cluster that the process runs in.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// A context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// This replica's name: differs between replicas, and stays when the container restarts.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub identity: Option<String>,

    /// Into how many parts the runs are divided among replicas: the same for all of them.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N")]
    pub buckets: u16,

    /// How long a replica that says nothing keeps its part of the runs.
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION")]
    pub lease_duration: Duration,

    /// How long what is in hand may take after the signal to stop.
    #[arg(long, default_value = "25s", value_parser = duration, value_name = "DURATION")]
    pub shutdown_grace: Duration,

    /// The most runs at once. Fewer are worked on where more would only wait for each other.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..), value_name = "N")]
    pub max_concurrency: u16,

    /// Whether registry credentials of the controller itself (`DOCKER_CONFIG`) may be used for the images of any
    /// run.
    #[arg(long)]
    pub ambient_registry_credentials: bool,

    /// A registry host (with port) that is reached over plain HTTP, or with a certificate that is not checked.
    #[arg(long, value_name = "HOST")]
    pub insecure_registry: Vec<String>,

    /// PEM file of certificate authorities to trust besides the system's, for registries.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Vec<PathBuf>,

    /// Most requests a second to the API server; unlimited by default: the server says when it is too much.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub kube_api_qps: Option<f32>,

    /// How many requests may be sent at once beyond `--kube-api-qps`.
    #[arg(long, value_name = "N")]
    pub kube_api_burst: Option<u32>,

    /// Taken for the sake of deployments of the reference, and without effect: how many runs are worked on at once
    /// is found out.
    #[arg(long, value_name = "N")]
    pub threads_per_controller: Option<u32>,
}

/// `90s`, `10m`, `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|e: jiff::Error| e.to_string())?;
    Duration::try_from(span).map_err(|_| "must not be negative".to_owned()).and_then(|duration| {
        if duration < Duration::from_secs(1) { Err("at least 1s".to_owned()) } else { Ok(duration) }
    })
}

impl Args {
    /// Reads the command line. Go's programs take their flags with one dash too: so does this.
    ///
    /// # Errors
    /// As [`Parser::try_parse_from`].
    pub fn from_command_line<T: Into<String>>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        Self::try_parse_from(arguments.into_iter().map(|argument| {
            let argument: String = argument.into();
            match argument.strip_prefix('-') {
                Some(name)
                    if name.len() > 1 && name.starts_with(|c: char| c.is_ascii_lowercase()) =>
                {
                    format!("-{argument}")
                }
                _ => argument,
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_reference_are_taken() {
        let args = Args::try_parse_from([
            "chains-controller",
            "--namespace=a,b",
            "--threads-per-controller=32",
            "--kube-api-qps=50",
            "--kube-api-burst=100",
        ])
        .unwrap();
        assert_eq!(args.namespace, ["a", "b"]);
        assert_eq!((args.kube_api_qps, args.kube_api_burst), (Some(50.0), Some(100)));
    }

    #[test]
    fn single_dashes_are_taken_too() {
        let args = Args::from_command_line([
            "chains-controller",
            "-threads-per-controller=32",
            "-namespace",
            "a",
        ]);
        assert_eq!(args.unwrap().namespace, ["a"]);
    }

    #[test]
    fn durations_are_checked() {
        assert!(Args::try_parse_from(["c", "--lease-duration=soon"]).is_err());
        assert!(Args::try_parse_from(["c", "--lease-duration=0s"]).is_err());
        let args = Args::try_parse_from(["c", "--lease-duration=1m 30s"]).unwrap();
        assert_eq!(args.lease_duration, Duration::from_secs(90));
    }
}
