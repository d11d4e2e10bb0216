//! Programs that are run to their end, with what they printed kept for the assertions and for the
//! report of a case that failed.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// No program that a case runs takes this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// A program, its arguments and its environment.
#[derive(Debug)]
pub struct Tool {
    command: Command,
    input: Vec<u8>,
    // What is printed goes to files: pipes would have to be drained while the program runs.
    output: PathBuf,
    error: PathBuf,
}

/// A program that has been started and is waited for later.
#[derive(Debug)]
pub struct Running {
    child: Child,
    line: String,
    started: Instant,
    output: PathBuf,
    error: PathBuf,
}

/// What a program did.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
    /// How long it ran.
    pub elapsed: Duration,
    line: String,
}

impl Tool {
    /// `program` in an environment that has nothing of the caller's but the search path: no
    /// credentials, no proxies, no home. `logs` names the files that its output goes to, without
    /// their extension.
    pub(crate) fn new(program: &Path, home: &Path, logs: &Path) -> Self {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("TMPDIR", home)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        Self {
            command,
            input: Vec::new(),
            output: logs.with_extension("out.log"),
            error: logs.with_extension("err.log"),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it in `folder`.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it where there is no network, not even loopback. The case must name the network of its own among its
    /// peers: whoever may make one may make another.
    #[must_use]
    pub fn without_network(mut self) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "--"]).arg(self.command.get_program());
        command.args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        self.command = command;
        self
    }

    /// Hands it `input` on standard input, which is empty otherwise.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(mut self) -> Result<Running> {
        let line = line(&self.command);
        self.command
            .stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(File::create(&self.output)?)
            .stderr(File::create(&self.error)?);
        let started = Instant::now();
        let mut child = self.command.spawn().with_context(|| format!("start {line}"))?;
        if let Some(mut pipe) = child.stdin.take() {
            let input = self.input;
            // A program may end without reading all of it: that is for its status to tell.
            thread::spawn(move || pipe.write_all(&input));
        }
        Ok(Running { child, line, started, output: self.output, error: self.error })
    }

    /// Runs it to its end, however that ends.
    ///
    /// # Errors
    /// If it cannot be started or does not end.
    pub fn run(self) -> Result<Ran> {
        self.start()?.finish()
    }

    /// Runs it, and expects that it succeeds.
    ///
    /// # Errors
    /// If it does not; the error shows the command and all that it printed.
    pub fn ok(self) -> Result<Ran> {
        self.run()?.ok()
    }

    /// Runs it, and expects that it refuses: an exit status of its own, other than 0, and not that of
    /// a panic.
    ///
    /// # Errors
    /// If it does not.
    pub fn refused(self) -> Result<Ran> {
        self.run()?.refused()
    }
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// If it does not end in two minutes; it is killed then.
    pub fn finish(mut self) -> Result<Ran> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if self.started.elapsed() > LIMIT {
                bail!("did not end within {LIMIT:?}: {}", self.line);
            }
            thread::sleep(Duration::from_millis(5));
        };
        Ok(Ran {
            status,
            stdout: lossy(&self.output)?,
            stderr: lossy(&self.error)?,
            elapsed: self.started.elapsed(),
            line: std::mem::take(&mut self.line),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ran {
    /// Expects that it succeeded.
    ///
    /// # Errors
    /// If it did not.
    pub fn ok(self) -> Result<Self> {
        ensure!(self.status.success(), "{self} was expected to succeed");
        Ok(self)
    }

    /// Expects that it refused, by an exit status of its own and without a panic.
    ///
    /// # Errors
    /// If it succeeded, panicked, or was killed.
    pub fn refused(self) -> Result<Self> {
        let clean = matches!(self.status.code(), Some(code) if code != 0 && code != 101)
            && !self.stderr.contains("panicked at");
        ensure!(clean, "{self} was expected to refuse");
        Ok(self)
    }

    /// Expects that it said `words`, on either stream, in any case of letters.
    ///
    /// # Errors
    /// If it did not.
    pub fn saying(self, words: &str) -> Result<Self> {
        let all = format!("{}\n{}", self.stdout, self.stderr).to_lowercase();
        ensure!(all.contains(&words.to_lowercase()), "{self} was expected to say {words:?}");
        Ok(self)
    }

    /// What it printed, as JSON.
    ///
    /// # Errors
    /// If it is not JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("parse the output of {self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "`{}`", self.line)?;
        for (name, text) in [("out", &self.stdout), ("err", &self.stderr)] {
            for line in text.lines() {
                writeln!(f, "  {name}| {}", line.chars().take(600).collect::<String>())?;
            }
        }
        write!(f, "  ({}, {:.1?})", self.status, self.elapsed)
    }
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or_default().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}

fn lossy(path: &Path) -> Result<String> {
    let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
