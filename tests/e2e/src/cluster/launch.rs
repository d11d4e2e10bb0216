//! The command lines of etcd and kube-apiserver.

use std::{net::TcpStream, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};

use super::{Api, Options};
use crate::{
    http,
    server::{Server, free_port},
};

/// The store of the API server.
pub const ETCD: &str = "etcd";
/// The API server.
pub const API_SERVER: &str = "kube-apiserver";

/// The token of the administrator, who may do anything.
pub(super) const ADMIN: &str = "admin-token";
/// The token of a user who may do nothing and is audited.
pub(super) const SENTINEL: &str = "sentinel-token";
/// `--token-auth-file`. Everyone else is a service account, with a token from the API server.
pub(super) const USERS: &str = "\
admin-token,admin,1,\"system:masters\"
sentinel-token,sentinel,2,\"system:serviceaccounts\"
";

const READY_WITHIN: Duration = Duration::from_secs(90);

pub(super) fn etcd(program: &Path, folder: &Path) -> Result<Server> {
    let command = |port: u16| {
        let clients = format!("http://127.0.0.1:{port}");
        let peers = format!("http://127.0.0.1:{}", free_port()?);
        let mut command = Command::new(program);
        command
            .args(["--name", "default", "--log-level", "warn"])
            .arg("--data-dir")
            .arg(folder.join("etcd"))
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .arg(format!("--initial-cluster=default={peers}"))
            // Nobody wants the data back.
            .arg("--unsafe-no-fsync");
        Ok(command)
    };
    let ready = |port| {
        http::send(&format!("127.0.0.1:{port}"), "GET", "/health", &[], b"")
            .is_ok_and(|response| response.status == 200)
    };
    Server::start(&folder.join("etcd.log"), READY_WITHIN, command, ready).context("start etcd")
}

/// An API server that is to be started.
#[derive(Debug)]
pub(super) struct ApiServer<'a> {
    pub(super) program: &'a Path,
    /// Has certificates, keys, users.
    pub(super) folder: &'a Path,
    /// The port of its store.
    pub(super) etcd: u16,
    pub(super) options: &'a Options,
}

impl ApiServer<'_> {
    pub(super) fn start(&self, log: &Path) -> Result<Server> {
        let ready = |port| self.is_ready(port);
        Server::start(log, READY_WITHIN, |port| Ok(self.command(port)), ready)
            .context("start an API server")
    }

    pub(super) fn start_at(&self, port: u16, log: &Path) -> Result<Server> {
        let ready = |port| self.is_ready(port);
        Server::start_at(port, log, READY_WITHIN, |port| Ok(self.command(port)), ready)
            .context("start the API server again")
    }

    fn is_ready(&self, port: u16) -> bool {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
            && Api::new(self.folder, port, ADMIN)
                .and_then(|api| api.text("/readyz"))
                .is_ok_and(|text| text == "ok")
    }

    fn command(&self, port: u16) -> Command {
        let file = |flag: &str, name: &str| {
            let mut flag = std::ffi::OsString::from(format!("--{flag}="));
            flag.push(self.folder.join(name));
            flag
        };
        let address = format!("https://127.0.0.1:{port}");
        let mut command = Command::new(self.program);
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg(format!("--secure-port={port}"))
            .arg(file("tls-cert-file", "server.crt"))
            .arg(file("tls-private-key-file", "server.key"))
            .args(["--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24"])
            .args([format!("--service-account-issuer={address}"), format!("--api-audiences={address}")])
            .arg(file("service-account-key-file", "tokens.pub"))
            .arg(file("service-account-signing-key-file", "tokens.pem"))
            .arg(file("token-auth-file", "users.csv"))
            .arg("--authorization-mode=RBAC")
            // Pods are never run here, and nobody makes their accounts.
            .args(["--disable-admission-plugins=ServiceAccount", "--allow-privileged=true"])
            .args(["--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000"])
            .arg("--shutdown-delay-duration=0s")
            .arg(file("audit-policy-file", "audit.json"))
            .arg(file("audit-log-path", "audit.log"))
            .arg("--audit-log-mode=batch");
        if let Some(gates) = self.options.feature_gates {
            command.arg(format!("--feature-gates={gates}"));
        }
        command
    }
}
