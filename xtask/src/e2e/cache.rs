//! The folder that peers are installed into, each once for each version.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{self, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::catalog::Peer;

/// No recipe takes this long on two cores unless it hangs.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// How often an installation tells that it goes on: an API server is compiled for minutes.
const TELL: Duration = Duration::from_secs(20);

/// The folder of installed peers.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

/// A peer that is there.
#[derive(Debug)]
pub(crate) struct Had {
    /// Its program.
    pub(crate) program: PathBuf,
    /// What was installed, for people.
    pub(crate) what: String,
    /// How long the installation took, if it was not there already.
    pub(crate) took: Option<Duration>,
}

impl Cache {
    /// `$CHAINS_CACHE`, or `chains-peers` in the user's cache folder.
    pub(crate) fn open() -> Result<Self> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = set("CHAINS_CACHE")
            .or_else(|| Some(set("XDG_CACHE_HOME")?.join("chains-peers")))
            .or_else(|| Some(set("HOME")?.join(".cache/chains-peers")))
            .context("no cache folder: set CHAINS_CACHE")?;
        fs::create_dir_all(folder.join("logs"))
            .with_context(|| format!("make the cache folder {}", folder.display()))?;
        // Recipes run in folders of their own.
        let folder = folder.canonicalize()?;
        Ok(Self { folder })
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Sees to it that `peer` is there.
    pub(crate) fn have(&self, peer: &Peer) -> Result<Had> {
        let version = peer.recipe.version()?;
        let folder = version.map_or(peer.name.to_owned(), |it| format!("{}-{it}", peer.name));
        let folder = self.path(&folder);
        let program = folder.join(peer.program);
        let started = Instant::now();
        let cached = program.exists();
        if !cached {
            println!("  {:<20}    …      installing, it logs to logs/{0}.log", peer.name);
            self.install(peer, &folder)?;
        }
        let took = (!cached).then(|| started.elapsed());
        Ok(Had { program, what: peer.recipe.describe(&folder), took })
    }

    /// Installs beside `folder` and moves it there when it is whole: what has the name works.
    fn install(&self, peer: &Peer, folder: &Path) -> Result<()> {
        let partial = self.path(&format!(".{}-{}", peer.name, process::id()));
        let log = self.path("logs").join(format!("{}.log", peer.name));
        let done = fill(peer, &partial, &self.folder, &log).and_then(|()| {
            // Somebody else may have been quicker: theirs is as good.
            fs::rename(&partial, folder).or_else(|error| {
                if folder.join(peer.program).exists() { Ok(()) } else { Err(error) }
            })?;
            Ok(())
        });
        let _ = fs::remove_dir_all(&partial);
        done
    }
}

fn fill(peer: &Peer, folder: &Path, state: &Path, log: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    peer.recipe.prepare(folder)?;
    run(&mut peer.recipe.command(folder, state), log)?;
    let program = folder.join(peer.program);
    ensure!(program.exists(), "the installation left no {}", peer.program);
    peer.recipe.inspect(folder)?;
    if !peer.check.is_empty() {
        run(Command::new(program).args(peer.check), log).context("it does not run here")?;
    }
    Ok(())
}

/// Runs a command with its output in `log`, the end of which is in the error if it fails.
fn run(command: &mut Command, log: &Path) -> Result<()> {
    let name = command.get_program().display().to_string();
    let output = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("start {name}"))?;
    let started = Instant::now();
    let mut told = Instant::now();
    let status: ExitStatus = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if told.elapsed() > TELL {
            told = Instant::now();
            let text = fs::read_to_string(log).unwrap_or_default();
            let last = text.lines().last().unwrap_or_default();
            println!(
                "    {:.0?}: {} lines of output, now {last}",
                started.elapsed(),
                text.lines().count()
            );
        }
        if started.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            bail!("{name} did not end within {LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(50));
    };
    if !status.success() {
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.last().unwrap_or(&"it said nothing");
        let tail = lines[lines.len().saturating_sub(12)..].join("\n    | ");
        // The first line is for where there is room for one only.
        bail!("{last} ({name}: {status})\n    | {tail}");
    }
    Ok(())
}
