//! Figures of the process and its services.

use std::fmt;
use std::fs;

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use rustix::param::{clock_ticks_per_second, page_size};

use super::{Figures, Page};

impl Figures {
    pub(super) fn process(&self, page: &mut Page<'_>) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        page.gauges("tidegate_build_info", "What runs", [(version, 1.0)])?;
        let uptime = [([], self.uptime_seconds)];
        page.gauges("tidegate_uptime_seconds", "How long it has run", uptime)?;
        let used = Used::now();
        page.gauges(
            "process_resident_memory_bytes",
            "Resident memory",
            [([], used.resident_bytes)],
        )?;
        page.gauges(
            "process_open_fds",
            "Open file descriptors",
            [([], used.descriptors)],
        )?;
        let name = "process_cpu_seconds";
        let help = "Processor time, user and system";
        let family = page.family(name, help, MetricType::Counter)?;
        ConstCounter::new(used.cpu_seconds).encode(family)
    }

    pub(super) fn services(&self, page: &mut Page<'_>) -> fmt::Result {
        let states = self.services.iter().map(|service| {
            let labels = [("service", &*service.name), ("state", service.state.name())];
            (labels, 1.0)
        });
        page.gauges(
            "tidegate_service_state",
            "Where each service of the process stands",
            states,
        )?;
        let restarts = self.services.iter().map(|service| {
            let restarts = u64::from(service.attempts.saturating_sub(1));
            ([("service", &*service.name)], restarts)
        });
        page.counters(
            "tidegate_service_restarts",
            "How often each service was started again; a worker's are its deaths",
            restarts,
        )
    }
}

/// What the process uses, as the kernel counts it. What cannot be read is zero.
#[derive(Default)]
struct Used {
    resident_bytes: f64,
    cpu_seconds: f64,
    descriptors: f64,
}

impl Used {
    fn now() -> Self {
        // proc_pid_stat(5): utime and stime are fields 14 and 15, rss is 24; the name before
        // them may contain anything, but ends at the last parenthesis.
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<f64> = fields
            .split_ascii_whitespace()
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0.0);
        let count = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        let descriptors = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self {
            resident_bytes: field(24) * count(page_size() as u64),
            cpu_seconds: (field(14) + field(15)) / count(clock_ticks_per_second()),
            // Without the one that reads the list.
            descriptors: count(descriptors.saturating_sub(1) as u64),
        }
    }
}
