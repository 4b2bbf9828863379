//! Figures of Thrift calls, by method.

use std::collections::HashMap;
use std::fmt;

use prometheus_client::encoding::NoLabelSet;
use prometheus_client::metrics::MetricType;
use tidegate_gateway::meter::{BUCKETS_MS, CallOutcome};

use super::Page;
use super::sites::seconds;
use crate::process::control::Report;

pub(super) fn write(report: &Report, page: &mut Page<'_>) -> fmt::Result {
    let calls = report.meters.calls();
    let lines = calls.iter().flat_map(|((site, method), figures)| {
        let outcomes = CallOutcome::ALL.iter().zip(figures.outcomes);
        outcomes
            .filter(|(_, count)| *count > 0)
            .map(move |(outcome, count)| {
                let labels = [
                    ("site", &**site),
                    ("method", &**method),
                    ("outcome", outcome.name()),
                ];
                (labels, count)
            })
    });
    page.counters(
        "tidegate_thrift_calls",
        "Thrift calls, by site, method and what became of them; \"-\" are all methods that no upstream replied to",
        lines,
    )?;
    let help = "From the whole of a call to the whole of its answer";
    let name = "tidegate_thrift_call_duration_seconds";
    let mut family = page.family(name, help, MetricType::Histogram)?;
    for ((site, method), figures) in &calls {
        let labels = [("site", &**site), ("method", &**method)];
        let mut line = family.encode_family(&labels)?;
        let bounds = BUCKETS_MS.iter().map(|bound| seconds(*bound));
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(figures.buckets).collect();
        let count = figures.buckets.iter().sum();
        let none: Option<&HashMap<usize, _>> = None;
        line.encode_histogram::<NoLabelSet>(seconds(figures.sum_ms), count, &buckets, none)?;
    }
    Ok(())
}
