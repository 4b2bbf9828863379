//! What a proxy has used, read from /proc: CPU time and memory of a process and all it has started.

use anyhow::{Context, Result, bail, ensure};
use rustix::param::clock_ticks_per_second;
use rustix::process::Pid;
use std::collections::HashMap;
use std::fs;
use std::ops::Sub;
use std::time::Duration;

/// CPU time up to one moment. Subtract an earlier one to get what a stretch of work has cost.
#[derive(Debug, Clone)]
pub(crate) struct CpuTime {
    /// Nanoseconds of each living thread, by thread id: exact.
    threads: HashMap<u32, u64>,
    /// Time by process id, ended threads included: in clock ticks, so only good to 10 ms.
    processes: HashMap<u32, Duration>,
}

impl CpuTime {
    /// Of `root` and its descendants.
    pub(crate) fn of(root: Pid) -> Result<Self> {
        let mut threads = HashMap::new();
        let mut processes = HashMap::new();
        for process in tree(root)? {
            processes.insert(process, process_time(process)?);
            for thread in numbered(&format!("/proc/{process}/task"))? {
                let path = format!("/proc/{process}/task/{thread}/schedstat");
                // A thread may end between listing and reading; the process time still has it.
                let Ok(text) = fs::read_to_string(&path) else {
                    continue;
                };
                let spent = text.split_whitespace().next().context("empty schedstat")?;
                threads.insert(thread, spent.parse()?);
            }
        }
        Ok(Self { threads, processes })
    }
}

impl Sub<&Self> for CpuTime {
    type Output = Duration;

    fn sub(self, earlier: &Self) -> Duration {
        if earlier
            .threads
            .keys()
            .any(|thread| !self.threads.contains_key(thread))
        {
            let sum = |time: &Self| time.processes.values().sum::<Duration>();
            return sum(&self).saturating_sub(sum(earlier));
        }
        let sum = |time: &Self| time.threads.values().sum::<u64>();
        Duration::from_nanos(sum(&self).saturating_sub(sum(earlier)))
    }
}

/// CPU time of `root` and its descendants in user and in kernel mode, in clock ticks: where
/// time goes, not how much it is.
pub(crate) fn user_and_kernel(root: Pid) -> Result<(Duration, Duration)> {
    let mut sums = (Duration::ZERO, Duration::ZERO);
    for process in tree(root)? {
        let (user, kernel) = process_times(process)?;
        sums.0 += user;
        sums.1 += kernel;
    }
    Ok(sums)
}

fn process_time(process: u32) -> Result<Duration> {
    let (user, kernel) = process_times(process)?;
    Ok(user + kernel)
}

fn process_times(process: u32) -> Result<(Duration, Duration)> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything; counting starts behind it.
    let (_, fields) = text.rsplit_once(')').context("malformed stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let [user, system] = fields.get(11..13).context("short stat")? else {
        bail!("short stat")
    };
    let tick = Duration::from_secs(1) / u32::try_from(clock_ticks_per_second())?;
    let time = |ticks: &str| anyhow::Ok(tick * ticks.parse()?);
    Ok((time(user)?, time(system)?))
}

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Every page a process has mapped; pages that processes share are counted in each.
    pub(crate) resident: u64,
    /// Shared pages divided among those that share them.
    pub(crate) proportional: u64,
}

impl Memory {
    /// Of `root` and its descendants.
    pub(crate) fn of(root: Pid) -> Result<Self> {
        let mut sum = Self::default();
        for process in tree(root)? {
            // A process that is ending has no memory left to read.
            let path = format!("/proc/{process}/smaps_rollup");
            let Ok(text) = fs::read_to_string(path) else {
                continue;
            };
            sum.resident += kilobytes(&text, "Rss:")? * 1024;
            sum.proportional += kilobytes(&text, "Pss:")? * 1024;
        }
        ensure!(
            sum.resident > 0,
            "process {} is gone",
            root.as_raw_nonzero()
        );
        Ok(sum)
    }
}

fn kilobytes(rollup: &str, key: &str) -> Result<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix(key));
    let value = line.with_context(|| format!("no {key} in smaps_rollup"))?;
    Ok(value.trim().trim_end_matches(" kB").parse()?)
}

/// How many processes `root` and its descendants are.
pub(crate) fn process_count(root: Pid) -> Result<usize> {
    Ok(tree(root)?.len())
}

/// An error if any thread of `root` or its descendants may run on another core than `core`.
pub(crate) fn check_pinned(root: Pid, core: usize) -> Result<()> {
    for process in tree(root)? {
        for thread in numbered(&format!("/proc/{process}/task"))? {
            let text = fs::read_to_string(format!("/proc/{process}/task/{thread}/status"))?;
            let allowed = text
                .lines()
                .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            let allowed = allowed.context("no Cpus_allowed_list")?.trim();
            ensure!(
                allowed == core.to_string(),
                "thread {thread} of process {process} may run on cores {allowed}, not only {core}"
            );
        }
    }
    Ok(())
}

/// `root` and its descendants, oldest first.
fn tree(root: Pid) -> Result<Vec<u32>> {
    let mut found = vec![u32::try_from(root.as_raw_nonzero().get())?];
    let mut next = 0;
    while let Some(&process) = found.get(next) {
        next += 1;
        for thread in numbered(&format!("/proc/{process}/task")).unwrap_or_default() {
            let path = format!("/proc/{process}/task/{thread}/children");
            let children = fs::read_to_string(path).unwrap_or_default();
            for child in children.split_whitespace() {
                found.push(child.parse()?);
            }
        }
    }
    Ok(found)
}

fn numbered(directory: &str) -> Result<Vec<u32>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {directory}"))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn own() -> Pid {
        rustix::process::getpid()
    }

    #[test]
    fn busy_work_is_counted_and_idling_is_not() {
        let before = CpuTime::of(own()).unwrap();
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(50) {
            std::hint::black_box(0);
        }
        let spent = CpuTime::of(own()).unwrap() - &before;
        assert!(spent >= Duration::from_millis(10), "{spent:?}");
    }

    #[test]
    fn ended_threads_fall_back_to_process_time() {
        let earlier = CpuTime {
            threads: HashMap::from([(1, 5), (2, 7)]),
            processes: HashMap::from([(1, Duration::from_millis(10))]),
        };
        let later = CpuTime {
            threads: HashMap::from([(1, 6)]),
            processes: HashMap::from([(1, Duration::from_millis(40))]),
        };
        assert_eq!(later - &earlier, Duration::from_millis(30));
    }

    #[test]
    fn touched_memory_is_resident() {
        let before = Memory::of(own()).unwrap();
        let held = std::hint::black_box(vec![1u8; 32 << 20]);
        let after = Memory::of(own()).unwrap();
        assert!(after.resident >= before.resident + (16 << 20));
        assert!(after.proportional > before.proportional);
        drop(held);
    }
}
