//! Clients, all on the load core, and what they report.

pub(crate) mod client;
pub(crate) mod handshake;
pub(crate) mod idle;
pub(crate) mod keepalive;
pub(crate) mod tls;
pub(crate) mod wrk;

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// Requests that did not end well, by what went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failures(BTreeMap<String, u64>);

impl Failures {
    /// Counts one.
    pub(crate) fn count(&mut self, what: impl fmt::Display) {
        self.add(what, 1);
    }

    /// Counts `times`.
    pub(crate) fn add(&mut self, what: impl fmt::Display, times: u64) {
        if times > 0 {
            *self.0.entry(what.to_string()).or_default() += times;
        }
    }

    /// Counts all of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            self.add(what, *times);
        }
    }

    /// How many there were.
    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self
            .0
            .iter()
            .map(|(what, times)| format!("{times} {what}"))
            .collect();
        formatter.write_str(&all.join(", "))
    }
}

/// How long requests took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    /// Notes one request; microseconds beyond an hour and more are cut off.
    pub(crate) fn record(&mut self, took: Duration) {
        self.0
            .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds all of `other`.
    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many were noted.
    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// The time that `percent` of requests, 0 to 100, did not exceed; zero if there were none.
    pub(crate) fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        let rank = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        Duration::from_micros(self.0.get(rank).copied().unwrap_or(0).into())
    }
}

/// What one stretch of load has seen.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Answered with 2xx.
    pub(crate) requests: u64,
    /// Everything else.
    pub(crate) failures: Failures,
    pub(crate) elapsed: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// A runtime for the bench's own clients, on the thread that calls.
pub(crate) fn runtime() -> Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .context("cannot build a runtime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let mut latencies = Latencies::default();
        for micros in (1..=200).rev() {
            latencies.record(Duration::from_micros(micros));
        }
        assert_eq!(latencies.percentile(50), Duration::from_micros(100));
        assert_eq!(latencies.percentile(99), Duration::from_micros(198));
        assert_eq!(latencies.percentile(100), Duration::from_micros(200));
        assert_eq!(Latencies::default().percentile(99), Duration::ZERO);
    }
}
