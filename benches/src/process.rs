//! What the kernel knows of a process, from `/proc`; and the clocks that benchmarks, unlike stages, may read.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The unit of CPU times in `/proc`: `USER_HZ`, 100 a second on every Linux architecture in use.
const TICK_NS: u64 = 10_000_000;

/// CPU time of a whole process with all its threads, in steps of 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    pub user_ns: u64,
    pub system_ns: u64,
}

impl Cpu {
    pub fn of_self() -> anyhow::Result<Self> {
        Self::of(std::process::id())
    }

    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let text = fs::read_to_string(&path).with_context(|| format!("couldn't read {path}"))?;
        // The name in parentheses may hold blanks. Behind it stand the state, then numbers: the 12th and 13th are times.
        let (_, rest) = text.rsplit_once(')').with_context(|| format!("{path}: no name in parentheses"))?;
        let ticks = |index: usize| -> anyhow::Result<u64> {
            let field = rest.split_whitespace().nth(index).with_context(|| format!("{path}: too few fields"))?;
            Ok(field.parse()?)
        };
        Ok(Self { user_ns: ticks(11)? * TICK_NS, system_ns: ticks(12)? * TICK_NS })
    }

    pub fn total_ns(self) -> u64 {
        self.user_ns + self.system_ns
    }

    pub fn since(self, earlier: Self) -> Self {
        Self { user_ns: self.user_ns - earlier.user_ns, system_ns: self.system_ns - earlier.system_ns }
    }
}

/// Resident memory of a process, now and at its highest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub rss_bytes: u64,
    pub peak_bytes: u64,
}

impl Memory {
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{pid}/status");
        let text = fs::read_to_string(&path).with_context(|| format!("couldn't read {path}"))?;
        let kib = |name: &str| -> anyhow::Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.trim().strip_suffix(" kB"));
            Ok(value.with_context(|| format!("{path}: no {name}"))?.trim().parse()?)
        };
        Ok(Self { rss_bytes: kib("VmRSS:")? * 1024, peak_bytes: kib("VmHWM:")? * 1024 })
    }
}

/// A stopwatch.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[allow(clippy::disallowed_methods)]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Wall time, microseconds since the Unix epoch.
#[allow(clippy::disallowed_methods)]
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Without which a figure is a rumour: on what, from which commit, beside what else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Circumstances {
    pub command: String,
    /// With `-dirty` where files differ from the commit; empty outside of a checkout.
    pub commit: String,
    pub processor: String,
    pub processors: usize,
    pub kernel: String,
    /// Load averages before the run: who else was at work.
    pub load_before: String,
    pub started_unix_secs: i64,
}

impl Circumstances {
    pub fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let git = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
        let arguments: Vec<String> = std::env::args().collect();
        Self {
            command: arguments.join(" "),
            commit: git.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default(),
            processor: model.map(|(_, name)| name.trim().to_owned()).unwrap_or_default(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease"),
            load_before: read("/proc/loadavg"),
            started_unix_secs: now_us() / 1_000_000,
        }
    }

    pub fn print(&self) {
        let Self { command, commit, processor, processors, kernel, load_before, .. } = self;
        println!("command  {command}");
        println!("commit   {commit}");
        println!("machine  {processor}, {processors} processors, Linux {kernel}; load before: {load_before}");
    }
}

/// Minimum, median, maximum.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Spread {
    /// Of nothing, it is all zeros.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let Some((min, max)) = sorted.first().zip(sorted.last()) else {
            return Self { min: 0.0, median: 0.0, max: 0.0 };
        };
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Self { min: *min, median, max: *max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        for (values, expected) in
            [(&[3.0, 1.0, 2.0][..], (1.0, 2.0, 3.0)), (&[4.0, 1.0], (1.0, 2.5, 4.0)), (&[], (0.0, 0.0, 0.0))]
        {
            let Spread { min, median, max } = Spread::of(values);
            assert_eq!((min, median, max), expected, "{values:?}");
        }
    }

    #[test]
    fn the_kernel_tells_of_this_process() {
        let memory = Memory::of(std::process::id()).expect("Linux");
        assert!(memory.rss_bytes > 0 && memory.peak_bytes >= memory.rss_bytes);
        Cpu::of_self().expect("Linux");
    }
}
