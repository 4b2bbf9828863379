//! One measurement of one broker, and the middle of many.

use super::ledger::Faults;
use crate::measure::{CpuTime, user_and_kernel};
use anyhow::Result;
use rustix::process::Pid;
use std::time::{Duration, Instant};

/// What a stretch of work has cost a broker.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Round {
    /// Messages or connections a second.
    pub(crate) per_second: f64,
    /// CPU microseconds each.
    pub(crate) cpu_us: f64,
    /// Those in user mode; by clock ticks, so less exact than the sum.
    pub(crate) user_us: f64,
    /// Share of the core.
    pub(crate) busy: f64,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
    pub(crate) faults: Faults,
}

/// Started before a stretch of work.
#[derive(Debug)]
pub(crate) struct Meter {
    pid: Pid,
    cpu: CpuTime,
    split: (Duration, Duration),
    began: Instant,
}

impl Meter {
    /// Of the process `pid` and what it has started, from now on.
    pub(crate) fn start(pid: Pid) -> Result<Self> {
        Ok(Self {
            pid,
            cpu: CpuTime::of(pid)?,
            split: user_and_kernel(pid)?,
            began: Instant::now(),
        })
    }

    /// What it has cost until now, for `count` of what was done.
    pub(crate) fn stop(&self, count: u64) -> Result<Round> {
        let elapsed = self.began.elapsed().as_secs_f64();
        let spent = (CpuTime::of(self.pid)? - &self.cpu).as_secs_f64();
        let (user, kernel) = user_and_kernel(self.pid)?;
        let user = user.saturating_sub(self.split.0).as_secs_f64();
        let kernel = kernel.saturating_sub(self.split.1).as_secs_f64();
        let count = count.max(1) as f64;
        Ok(Round {
            per_second: count / elapsed,
            cpu_us: spent * 1e6 / count,
            user_us: spent * 1e6 / count * user / (user + kernel).max(f64::MIN_POSITIVE),
            busy: spent / elapsed,
            ..Round::default()
        })
    }
}

/// The middle one; of an even number, the mean of the two in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    match (values.get(upper.wrapping_sub(1)), values.get(upper)) {
        (_, Some(middle)) if values.len() % 2 == 1 => Some(*middle),
        (Some(below), Some(above)) => Some(f64::midpoint(*below, *above)),
        _ => None,
    }
}

/// The middle of `ours` to `theirs`, round by round: what drifts does so for both.
pub(crate) fn paired_ratio(
    ours: &[Round],
    theirs: &[Round],
    what: fn(&Round) -> f64,
) -> Option<f64> {
    median(
        ours.iter()
            .zip(theirs)
            .map(|(our, their)| what(our) / what(their)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_cancels_out_of_a_paired_ratio() {
        let round = |cpu_us: f64| Round {
            cpu_us,
            ..Round::default()
        };
        let ours = [round(1.0), round(2.0), round(4.0)];
        let theirs = [round(2.0), round(4.0), round(8.0)];
        assert_eq!(paired_ratio(&ours, &theirs, |it| it.cpu_us), Some(0.5));
        assert_eq!(paired_ratio(&ours, &[], |it| it.cpu_us), None);
    }
}
