//! Servers: started on a free port of loopback, waited for, stopped by their process.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::leash::Leash;

/// How often a server is asked whether it is ready, or gone.
const POLL: Duration = Duration::from_millis(20);
/// How often in the first moments: some are quick, and are measured.
const EAGER: Duration = Duration::from_millis(2);
/// How many lines of a log an error shows.
const LINES: usize = 20;
/// How often another port is tried where somebody took the free one first.
const ATTEMPTS: usize = 3;

/// A server that was started for a case. It is stopped when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    // Declared after the child only for the reader: `Drop` takes the leash off first.
    leash: Option<Leash>,
    port: u16,
    log: PathBuf,
}

impl Server {
    /// Starts what `command` makes for a port, with its output in `log`, and waits up to `limit`
    /// until `ready` says so.
    ///
    /// # Errors
    /// If it cannot be started, ends by itself, or is not ready in time; the error holds the end of
    /// the log.
    pub fn start(
        log: &Path,
        limit: Duration,
        mut command: impl FnMut(u16) -> Result<Command>,
        ready: impl Fn(u16) -> bool,
    ) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::start_at(free_port()?, log, limit, &mut command, &ready) {
                Ok(server) => return Ok(server),
                // Between finding the port and the server's use of it, anyone may take it.
                Err(_)
                    if attempt < ATTEMPTS
                        && tail(log, LINES).contains("address already in use") =>
                {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// As [`Server::start`], on a port that clients know already.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_at(
        port: u16,
        log: &Path,
        limit: Duration,
        mut command: impl FnMut(u16) -> Result<Command>,
        ready: impl Fn(u16) -> bool,
    ) -> Result<Self> {
        let mut server = Self::spawn(command(port)?, port, log)?;
        server.wait(limit, &ready)?;
        Ok(server)
    }

    fn spawn(mut command: Command, port: u16, log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("create {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        let mut server = Self { child, leash: None, port, log: log.to_owned() };
        server.leash = Some(Leash::on(server.child.id()).context("start a leash")?);
        Ok(server)
    }

    fn wait(&mut self, limit: Duration, ready: impl Fn(u16) -> bool) -> Result<()> {
        let started = Instant::now();
        while !ready(self.port) {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended before it was ready ({status}):\n{}", tail(&self.log, LINES));
            }
            if started.elapsed() > limit {
                bail!("not ready within {limit:?}:\n{}", tail(&self.log, LINES));
            }
            thread::sleep(if started.elapsed().as_secs() == 0 { EAGER } else { POLL });
        }
        Ok(())
    }

    /// The port that it listens on, at 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as a system that shuts down does, and waits up to `limit` until it has.
    ///
    /// # Errors
    /// If it does not end in time; it is killed then.
    pub fn terminate(mut self, limit: Duration) -> Result<ExitStatus> {
        signal(self.pid(), Signal::SIGTERM)?;
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!(
                    "did not end within {limit:?} of being asked to:\n{}",
                    tail(&self.log, LINES)
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Whether it has ended by itself, and how.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// All that it has logged.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn log(&self) -> Result<String> {
        let text = fs::read(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.leash = None;
        // Their data is thrown away with them: there is nothing that a gentle stop would save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that the caller has started.
///
/// # Errors
/// If it is gone.
pub fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?);
    kill(pid, signal).with_context(|| format!("send {signal} to process {pid}"))
}

/// A port of loopback that nobody listened on a moment ago.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("look for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// The last lines of a log, so many.
pub(crate) fn tail(log: &Path, last: usize) -> String {
    const WIDTH: usize = 300;
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().map(|line| line.chars().take(WIDTH).collect());
    let lines: Vec<String> = lines.collect();
    lines[lines.len().saturating_sub(last)..].join("\n")
}
