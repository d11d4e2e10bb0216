//! The kinds of installation, each as the one command that fills an empty folder.

use std::{
    fs,
    hash::{DefaultHasher, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// Where the scripts and modules of peers are, from the root of the workspace.
const FOLDER: &str = "tests/e2e/peers";

/// How a peer is installed.
#[derive(Debug)]
pub(crate) enum Recipe {
    /// A package of a Debian suite, unpacked; its version must begin like this, whatever a suite
    /// that moves has by now.
    Deb { suite: &'static str, package: &'static str, version: &'static str },
    /// A program of a public Go module.
    GoInstall { package: &'static str, version: &'static str },
    /// A Go module of our own, which pins what it builds: a program of its own (`.`) or of a module that it
    /// depends on, linked with `ldflags`.
    GoModule { folder: &'static str, package: &'static str, ldflags: &'static str },
}

impl Recipe {
    /// Tells versions of the same peer apart, for the name of its folder.
    pub(crate) fn version(&self) -> Result<Option<String>> {
        match self {
            // The name of the peer has the major version, and the suite has only one.
            Self::Deb { .. } => Ok(None),
            Self::GoInstall { version, .. } => Ok(Some((*version).to_owned())),
            Self::GoModule { folder, ldflags, .. } => {
                fingerprint(&Path::new(FOLDER).join(folder), ldflags).map(Some)
            }
        }
    }

    /// What is installed in `folder`, for people.
    pub(crate) fn describe(&self, folder: &Path) -> String {
        match self {
            Self::Deb { suite, package, version } => {
                let had = unpacked(folder, package).unwrap_or_else(|_| format!("{version}x"));
                format!("{package} {had} of Debian {suite}")
            }
            Self::GoInstall { package, version } => format!("{package} {version}"),
            Self::GoModule { folder, package: ".", .. } => format!("{FOLDER}/{folder}"),
            Self::GoModule { folder, package, .. } => format!("{package} of {FOLDER}/{folder}"),
        }
    }

    /// The command that installs it into `folder`, which exists; `state` is for what makes the next
    /// installation quicker.
    pub(crate) fn command(&self, folder: &Path, state: &Path) -> Command {
        match self {
            Self::Deb { suite, package, .. } => {
                let mut command = Command::new(format!("{FOLDER}/unpack-deb.sh"));
                command.arg(suite).arg(folder).arg(package).env("APT_STATE", state.join("apt"));
                command
            }
            Self::GoInstall { package, version } => {
                let mut command = go();
                command.args(["install", "-v", "-trimpath", "-ldflags", LDFLAGS]);
                command.arg(format!("{package}@v{version}"));
                command.env("GOBIN", folder);
                command
            }
            Self::GoModule { folder: module, package, ldflags } => {
                let mut command = go();
                command.args(["build", "-v", "-mod=readonly", "-trimpath", "-ldflags"]);
                command.arg(format!("{LDFLAGS} {ldflags}").trim_end()).arg("-o").arg(folder);
                command.arg(package).current_dir(Path::new(FOLDER).join(module));
                command
            }
        }
    }

    /// Checks what only shows once it is installed in `folder`.
    pub(crate) fn inspect(&self, folder: &Path) -> Result<()> {
        if let Self::Deb { suite, package, version } = self {
            let had = unpacked(folder, package)?;
            ensure!(had.starts_with(version), "Debian {suite} has {package} {had}, not {version}x");
        }
        Ok(())
    }
}

/// The version of `package` that was unpacked into `folder`.
fn unpacked(folder: &Path, package: &str) -> Result<String> {
    let list = fs::read_to_string(folder.join("packages"))
        .context("read the versions of what was unpacked")?;
    let had = list.lines().find_map(|line| line.strip_prefix(&format!("{package} ")));
    had.map(str::to_owned).with_context(|| format!("{package} was not unpacked"))
}

/// Without symbols: nobody debugs a peer, and a third of the file is gone.
const LDFLAGS: &str = "-s -w";

fn go() -> Command {
    let mut command = Command::new("go");
    // Without C, a program runs on any system, and no C compiler is needed.
    command.env("CGO_ENABLED", "0");
    command
}

/// Changes whenever a file in `folder` does, or the flags.
fn fingerprint(folder: &Path, flags: &str) -> Result<String> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("list {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.sort();
    let mut hasher = DefaultHasher::new();
    hasher.write(flags.as_bytes());
    for path in paths {
        let content = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        hasher.write(&content);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_another_version() {
        let folder =
            std::env::temp_dir().join(format!("chains-fingerprint-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let written = |content: &str| {
            fs::write(folder.join("main.go"), content).unwrap();
            fingerprint(&folder, "").unwrap()
        };
        let (one, two) = (written("package one"), written("package two"));
        assert_ne!(one, two);
        assert_eq!(one, written("package one"));
        assert_ne!(one, fingerprint(&folder, "-X main.version=1").unwrap());
        fs::remove_dir_all(&folder).unwrap();
        fingerprint(&folder, "").unwrap_err();
    }
}
