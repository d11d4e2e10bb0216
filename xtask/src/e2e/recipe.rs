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
    /// What the `build.sh` of a folder of ours makes of a public Go module, which that folder pins: the way for programs
    /// of which only a part is wanted.
    Script { folder: &'static str, what: &'static str },
    /// Python packages with their versions, the one that the peer is called by first. They run with the
    /// folder in `PYTHONPATH`; commands are in its `bin`.
    Pip { packages: &'static [&'static str] },
    /// A Java artifact and all that it needs at run time, as jars in the folder's `jars`.
    Maven { group: &'static str, artifact: &'static str, version: &'static str },
    /// Packages of Node with their versions, in the folder's `node_modules`; commands in its `.bin`.
    Npm { packages: &'static [&'static str] },
    /// A file of Google's cloud SDK, which this machine has or has not: nothing installs it. A link to it.
    CloudSdk { file: &'static str },
}

impl Recipe {
    /// Tells versions of the same peer apart, for the name of its folder.
    pub(crate) fn version(&self) -> Result<Option<String>> {
        match self {
            // The name of the peer has the major version, and the suite has only one. What the SDK has, it has.
            Self::Deb { .. } | Self::CloudSdk { .. } => Ok(None),
            Self::GoInstall { version, .. } => Ok(Some((*version).to_owned())),
            Self::GoModule { folder, ldflags, .. } => {
                fingerprint(&Path::new(FOLDER).join(folder), ldflags).map(Some)
            }
            Self::Script { folder, .. } => {
                fingerprint(&Path::new(FOLDER).join(folder), "").map(Some)
            }
            Self::Maven { version, .. } => Ok(Some((*version).to_owned())),
            Self::Pip { packages } | Self::Npm { packages } => Ok(Some(pins(packages))),
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
            Self::Script { folder, what } => format!("{what} of {FOLDER}/{folder}"),
            Self::Pip { packages } => format!("{} of Python", packages.join(", ")),
            Self::Maven { group, artifact, version } => format!("{group}:{artifact}:{version}"),
            Self::Npm { packages } => format!("{} of Node", packages.join(", ")),
            Self::CloudSdk { file } => format!("{file} of google-cloud-sdk"),
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
            Self::Script { folder: script, .. } => {
                let mut command = Command::new(format!("{FOLDER}/{script}/build.sh"));
                command.arg(folder);
                command
            }
            Self::Pip { packages } => pip(folder, packages),
            Self::Maven { .. } => maven(folder),
            Self::Npm { packages } => npm(folder, packages),
            Self::CloudSdk { file } => {
                let mut command = Command::new("sh");
                command.args(["-c", LINK, "sh", file]).arg(folder);
                command
            }
        }
    }

    /// Puts into `folder` what the command reads there.
    pub(crate) fn prepare(&self, folder: &Path) -> Result<()> {
        if let Self::Maven { group, artifact, version } = self {
            let path = folder.join(PROJECT);
            fs::write(&path, project(group, artifact, version))
                .with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
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

/// Links a file of the SDK that the command `gcloud` belongs to.
const LINK: &str = r#"
    gcloud=$(command -v gcloud) || { echo "this machine has no google-cloud-sdk (the command gcloud)" >&2; exit 1; }
    file=$(dirname "$(dirname "$(readlink -f "$gcloud")")")/$1
    [ -f "$file" ] || { echo "google-cloud-sdk has no $1: gcloud components install adds it" >&2; exit 1; }
    ln -s "$file" "$2/"
"#;

/// The file that tells Maven what to fetch.
const PROJECT: &str = "pom.xml";

fn project(group: &str, artifact: &str, version: &str) -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>peers</groupId><artifactId>peer</artifactId><version>1</version><dependencies>\
         <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
         <version>{version}</version></dependency></dependencies></project>"
    )
}

fn maven(folder: &Path) -> Command {
    let mut command = Command::new("mvn");
    command.args(["-B", "-ntp", "-f"]).arg(folder.join(PROJECT));
    command.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    command.arg(format!("-DoutputDirectory={}", folder.join("jars").display()));
    command
}

/// Into a folder of its own, which may be moved afterwards: an environment of Python's could not be.
fn pip(folder: &Path, packages: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check"]);
    command.args(["--no-warn-script-location", "--target"]).arg(folder).args(packages);
    command
}

fn npm(folder: &Path, packages: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(["install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]);
    command.arg("--prefix").arg(folder).args(packages);
    command
}

/// The versions of `packages`, which are pinned with `==` or `@`, as a part of a folder's name.
fn pins(packages: &[&str]) -> String {
    let versions = packages.iter().filter_map(|package| package.rsplit(['=', '@']).next());
    versions.collect::<Vec<_>>().join("-")
}

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
    fn versions_are_those_that_are_pinned() {
        assert_eq!(pins(&["a-b==1.2.3", "c==4"]), "1.2.3-4");
        assert_eq!(pins(&["@scope/a@3.1.1"]), "3.1.1");
    }

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
