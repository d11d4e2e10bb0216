//! A leash: what a test started dies with the test, however the test ends.

use std::{
    io,
    process::{Child, Command, Stdio},
};

/// A small process that waits for this one to end and then kills the process on the leash.
///
/// `Drop` is not enough: a test that is killed, or aborts, drops nothing. The leash reads from a pipe
/// whose other end only this process holds; the system closes it in every case.
#[derive(Debug)]
pub(crate) struct Leash(Child);

impl Leash {
    /// Puts the process `pid` on a leash.
    pub(crate) fn on(pid: u32) -> io::Result<Self> {
        Command::new("sh")
            // Whoever stops a whole group of processes, as a terminal does, means the others.
            .args(["-c", "trap '' HUP INT TERM; read -r _; kill -9 \"$1\"", "leash"])
            .arg(pid.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // Killed rather than let go: by the time that it acts, the pid may be someone else's.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_is_on_the_leash_dies_when_its_holder_does() {
        let mut server = Command::new("sleep").arg("600").spawn().unwrap();
        let mut leash = Leash::on(server.id()).unwrap();

        // What the system does when the holder ends, however it ends.
        drop(leash.0.stdin.take());

        let deadline = Instant::now() + Duration::from_secs(20);
        while server.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "still running");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn taken_off_the_leash_it_lives() {
        let mut server = Command::new("sleep").arg("600").spawn().unwrap();
        drop(Leash::on(server.id()).unwrap());
        assert!(server.try_wait().unwrap().is_none(), "died without a reason");
        server.kill().unwrap();
        server.wait().unwrap();
    }
}
