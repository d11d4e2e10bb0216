//! Servers: started on a free port of loopback, waited for, stopped by their process.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::leash::Leash;

/// How often a server is asked whether it is ready.
const POLL: Duration = Duration::from_millis(20);
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
            let port = free_port()?;
            let mut server = Self::spawn(command(port)?, port, log)?;
            match server.wait(limit, &ready) {
                Ok(()) => return Ok(server),
                // Between finding the port and the server's use of it, anyone may take it.
                Err(_) if attempt < ATTEMPTS && tail(log).contains("address already in use") => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
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
        let deadline = Instant::now() + limit;
        while !ready(self.port) {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended before it was ready ({status}):\n{}", tail(&self.log));
            }
            if Instant::now() > deadline {
                bail!("not ready within {limit:?}:\n{}", tail(&self.log));
            }
            thread::sleep(POLL);
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

/// A port of loopback that nobody listened on a moment ago.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("look for a free port")?;
    Ok(listener.local_addr()?.port())
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    const LINES: usize = 20;
    const WIDTH: usize = 200;
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().map(|line| line.chars().take(WIDTH).collect());
    let lines: Vec<String> = lines.collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
