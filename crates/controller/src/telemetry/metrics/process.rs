//! What the process itself uses, under the names that every Prometheus client has for it. Read when it is asked for.

use std::fmt;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Linux tells CPU time to programs in hundredths of a second, whatever the kernel ticks at (`USER_HZ`).
const TICKS: f64 = 100.0;

/// CPU, memory and files of this process, where `/proc` tells them.
#[derive(Debug)]
pub(super) struct Process {
    started: f64,
}

impl Process {
    pub(super) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: now.as_secs_f64() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().and_then(cpu_seconds) {
            let name = "process_cpu_seconds";
            let help = "CPU time of the process, user and system.";
            let value = ConstCounter::new(seconds);
            value.encode(encoder.encode_descriptor(name, help, None, value.metric_type())?)?;
        }
        let memory = fs::read_to_string("/proc/self/status").ok().and_then(resident_bytes);
        let files =
            fs::read_dir("/proc/self/fd").ok().and_then(|files| i64::try_from(files.count()).ok());
        let gauges = [
            ("process_resident_memory_bytes", "Memory of the process that is in RAM.", memory),
            ("process_open_fds", "Files and connections that the process has open.", files),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value.map(ConstGauge::new) {
                value.encode(encoder.encode_descriptor(
                    name,
                    help,
                    None,
                    value.metric_type(),
                )?)?;
            }
        }
        let started = ConstGauge::new(self.started);
        let help = "When the process started, in seconds since 1970.";
        let name = "process_start_time_seconds";
        started.encode(encoder.encode_descriptor(name, help, None, started.metric_type())?)
    }
}

/// User and system time in `/proc/self/stat`: fields 14 and 15 of proc_pid_stat(5).
fn cpu_seconds(stat: String) -> Option<f64> {
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_ascii_whitespace().skip(11).take(2);
    let user: f64 = ticks.next()?.parse().ok()?;
    let system: f64 = ticks.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

/// `VmRSS` in `/proc/self/status`.
fn resident_bytes(status: String) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_any_program_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu_seconds(stat.to_owned()), Some(3.0));
        assert_eq!(cpu_seconds("7 (a) S 1".to_owned()), None);
        assert_eq!(cpu_seconds(String::new()), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident_bytes("Name:\ta\nVmRSS:\t    1000 kB\n".to_owned()), Some(1_024_000));
        assert_eq!(resident_bytes("VmRSS:\t1 MB\n".to_owned()), None);
        assert_eq!(resident_bytes(String::new()), None);
    }
}
