//! What a process uses, as Linux tells it.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// Ticks of the clock in a second, of every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// What a process has used until now.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Memory that is resident now, in bytes.
    pub resident: u64,
    /// The most that ever was, in bytes.
    pub peak: u64,
    /// Time of processors, of the process and the system for it. It counts in hundredths of a second.
    pub cpu: Duration,
}

impl Usage {
    /// What the process `pid` has used.
    ///
    /// # Errors
    /// If there is no such process, or no Linux.
    pub fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .with_context(|| format!("read what process {pid} uses"))?;
        let kilobytes = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.and_then(|it| it.parse::<u64>().ok()).context(name.to_owned())? * 1024)
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in brackets may hold anything; the state comes after it.
        let (_, rest) = stat.rsplit_once(") ").context("read /proc/PID/stat")?;
        let ticks = rest.split(' ').skip(11).take(2).filter_map(|it| it.parse::<f64>().ok());
        Ok(Self {
            resident: kilobytes("VmRSS:")?,
            peak: kilobytes("VmHWM:")?,
            cpu: Duration::from_secs_f64(ticks.sum::<f64>() / TICKS),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident > 100_000 && usage.peak >= usage.resident, "{usage:?}");
        assert!(Usage::of(u32::MAX).is_err());
    }
}
