//! One stretch of load on one proxy, and the middle of several.

use crate::measure::CpuTime;
use anyhow::Result;
use rustix::process::Pid;
use std::time::Duration;

/// What one round has shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) cpu_us: f64,
    pub(crate) busy: f64,
}

/// Measures the process while `load` runs, which gives how often it did its thing, and for how
/// long.
pub(crate) fn measure(pid: Pid, load: impl FnOnce() -> Result<(u64, Duration)>) -> Result<Round> {
    let before = CpuTime::of(pid)?;
    let (count, elapsed) = load()?;
    let spent = CpuTime::of(pid)? - &before;
    anyhow::ensure!(count > 0, "nothing was passed on");
    Ok(Round {
        per_second: count as f64 / elapsed.as_secs_f64(),
        cpu_us: spent.as_secs_f64() * 1e6 / count as f64,
        busy: spent.as_secs_f64() / elapsed.as_secs_f64(),
    })
}

/// The middle one, or the lower of the two in the middle.
pub(crate) fn median(rounds: &[Round], what: impl Fn(&Round) -> f64) -> Option<f64> {
    let mut values: Vec<f64> = rounds.iter().map(what).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}
