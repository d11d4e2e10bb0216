//! A network of the cases' own, with nothing in it but loopback.
//!
//! Some servers listen on every interface whatever they are told, or on ports that cannot be chosen: there, nobody
//! else can reach them, and nobody else has the port. And what reaches for the world outside, fails.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// The network, among the peers of a case.
pub(super) const NETWORK: &str = "own-network";

/// Ways to have one: as root, or as anybody where the system lets them.
const WAYS: [&[&str]; 2] = [&["--net"], &["--map-root-user", "--net"]];

/// Brings loopback up and becomes the program that the arguments name.
const ENTER: &str = "ip link set lo up && exec \"$@\"";

/// The way into a network of one's own.
#[derive(Debug)]
pub(super) struct Network(&'static [&'static str]);

impl Network {
    /// Finds a way that works here, or tells why there is none.
    pub(super) fn find() -> Result<Self, String> {
        let mut why = String::new();
        for way in WAYS {
            let output = enter(way, Path::new("true")).stdin(Stdio::null()).output();
            match output {
                Ok(output) if output.status.success() => return Ok(Self(way)),
                Ok(output) => why = String::from_utf8_lossy(&output.stderr).trim().to_owned(),
                Err(error) => why = format!("run unshare: {error}"),
            }
        }
        Err(why)
    }

    /// `program`, to be run in it.
    pub(super) fn command(&self, program: &Path) -> Command {
        enter(self.0, program)
    }
}

fn enter(way: &[&str], program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(way).args(["--", "sh", "-c", ENTER, "sh"]).arg(program);
    command
}
