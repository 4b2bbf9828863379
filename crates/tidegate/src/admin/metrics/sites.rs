//! Figures of the deployment: sites, routes, upstreams, connections.

use std::collections::HashMap;
use std::fmt;

use prometheus_client::encoding::NoLabelSet;
use prometheus_client::metrics::MetricType;
use tidegate_gateway::meter::{BUCKETS_MS, RouteFigures};
use tidegate_orchestrator::Phase;
use tidegate_runtime::clock;
use tidegate_runtime::limit::Limit;
use tidegate_runtime::listener::ListenerCounters;

use super::Page;
use crate::process::control::Report;

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

pub(super) fn write(report: &Report, page: &mut Page<'_>) -> fmt::Result {
    requests(report, page)?;
    upstreams(report, page)?;
    proxies(report, page)?;
    connections(report, page)?;
    listeners(report, page)?;
    let panics: Vec<(String, u64)> = report
        .status
        .workers
        .iter()
        .map(|worker| (worker.worker.to_string(), worker.panics))
        .collect();
    page.counters(
        "tidegate_connection_panics",
        "Connections that ended in a panic, by worker",
        panics
            .iter()
            .map(|(worker, count)| ([("worker", worker.as_str())], *count)),
    )?;
    limits(report, page)?;
    let (done, rejected) = report.reloads;
    page.counters(
        "tidegate_reloads",
        "Reloads by outcome",
        [
            ([("outcome", "done")], done),
            ([("outcome", "rejected")], rejected),
        ],
    )?;
    let (written, dropped) = report.log_lines.unwrap_or_default();
    page.counters(
        "tidegate_access_log_lines",
        "Lines of the access log by what became of them",
        [
            ([("outcome", "written")], written),
            ([("outcome", "dropped")], dropped),
        ],
    )
}

/// Also those that no answer tells of: a connection that idled for too long, a client that
/// did not read.
fn limits(report: &Report, page: &mut Page<'_>) -> fmt::Result {
    let workers = &report.status.workers;
    let lines = Limit::ALL.iter().map(|&limit| {
        let hits = workers.iter().map(|worker| worker.limits.of(limit)).sum();
        ([("limit", limit.name())], hits)
    });
    page.counters("tidegate_limit_hits", "How often each limit bit", lines)?;
    let answers: Vec<(String, bool)> = workers
        .iter()
        .map(|worker| (worker.worker.to_string(), worker.answered))
        .collect();
    page.gauges(
        "tidegate_worker_answers",
        "Whether a worker answers; one that is stuck does not",
        answers.iter().map(|(worker, answers)| {
            let value = f64::from(u8::from(*answers));
            ([("worker", worker.as_str())], value)
        }),
    )
}

fn requests(report: &Report, page: &mut Page<'_>) -> fmt::Result {
    let routes = report.meters.routes();
    let lines = routes.iter().flat_map(|((site, route), figures)| {
        let classes = CLASSES.iter().zip(figures.classes);
        classes
            .filter(|(_, count)| *count > 0)
            .map(move |(class, count)| {
                let labels = [("site", &**site), ("route", &**route), ("class", *class)];
                (labels, count)
            })
    });
    page.counters(
        "tidegate_requests",
        "Requests answered, by site, route and class of status",
        lines,
    )?;
    let help = "From the end of a request's head to the beginning of its response";
    let name = "tidegate_request_duration_seconds";
    let mut family = page.family(name, help, MetricType::Histogram)?;
    for ((site, route), figures) in &routes {
        let labels = [("site", &**site), ("route", &**route)];
        let mut line = family.encode_family(&labels)?;
        let (buckets, count) = buckets(figures);
        let sum = seconds(figures.sum_ms);
        let none: Option<&HashMap<usize, _>> = None;
        line.encode_histogram::<NoLabelSet>(sum, count, &buckets, none)?;
    }
    Ok(())
}

/// Upper bounds in seconds, each with its own requests, and all requests.
fn buckets(figures: &RouteFigures) -> (Vec<(f64, u64)>, u64) {
    let bounds = BUCKETS_MS.iter().map(|bound| seconds(*bound));
    let buckets = bounds.chain([f64::INFINITY]).zip(figures.buckets).collect();
    (buckets, figures.buckets.iter().sum())
}

pub(super) fn seconds(milliseconds: u64) -> f64 {
    std::time::Duration::from_millis(milliseconds).as_secs_f64()
}

fn upstreams(report: &Report, page: &mut Page<'_>) -> fmt::Result {
    let upstreams = report.meters.upstreams();
    let requests = upstreams.iter().flat_map(|((site, upstream), figures)| {
        let labels = |connection| {
            [
                ("site", &**site),
                ("upstream", &**upstream),
                ("connection", connection),
            ]
        };
        [
            (labels("reused"), figures.reused),
            (labels("new"), figures.connected),
        ]
    });
    page.counters(
        "tidegate_upstream_requests",
        "Requests sent on, by whether the connection was kept from before",
        requests,
    )?;
    let failures = upstreams.iter().map(|((site, upstream), figures)| {
        let labels = [("site", &**site), ("upstream", &**upstream)];
        (labels, figures.failed)
    });
    page.counters(
        "tidegate_upstream_connect_failures",
        "Connections to upstreams that did not come about",
        failures,
    )?;
    let ejections = upstreams.iter().map(|((site, upstream), figures)| {
        let labels = [("site", &**site), ("upstream", &**upstream)];
        (labels, figures.ejected)
    });
    page.counters(
        "tidegate_upstream_ejections",
        "Times an endpoint kept failing and was left alone for a while, by one worker",
        ejections,
    )?;
    let ejected = report.meters.ejected(clock::now());
    let ejected = ejected
        .iter()
        .map(|(((site, upstream), endpoint), workers)| {
            let labels = [
                ("site", &**site),
                ("upstream", &**upstream),
                ("endpoint", &**endpoint),
            ];
            (
                labels,
                f64::from(u32::try_from(*workers).unwrap_or(u32::MAX)),
            )
        });
    page.gauges(
        "tidegate_endpoint_ejected",
        "How many workers leave an endpoint alone now, of those that were ever ejected",
        ejected,
    )?;
    let health = report.health.all();
    let health = health.iter().map(|(endpoint, is_healthy)| {
        let value = if *is_healthy { 1.0 } else { 0.0 };
        ([("endpoint", &**endpoint)], value)
    });
    page.gauges(
        "tidegate_endpoint_healthy",
        "Whether each endpoint that is checked is healthy: 1, or 0",
        health,
    )
}

fn proxies(report: &Report, page: &mut Page<'_>) -> fmt::Result {
    let proxies = report.meters.proxies();
    let connections = proxies.iter();
    page.counters(
        "tidegate_tcp_connections",
        "Connections that were passed on by a TCP proxy and have ended",
        connections.map(|(site, figures)| ([("site", &**site)], figures.connections)),
    )?;
    let bytes = proxies.iter().flat_map(|(site, figures)| {
        let labels = |direction| [("site", &**site), ("direction", direction)];
        [
            (labels("forth"), figures.forth_bytes),
            (labels("back"), figures.back_bytes),
        ]
    });
    page.counters(
        "tidegate_tcp_bytes",
        "Bytes of those connections, to endpoints (forth) and from them (back)",
        bytes,
    )
}

fn connections(report: &Report, page: &mut Page<'_>) -> fmt::Result {
    let sites = &report.status.sites;
    let generations = sites.iter().filter_map(|(site, status)| {
        // Generations are far from where a float loses count.
        let generation = u32::try_from(status.generation?.0).unwrap_or(u32::MAX);
        Some(([("site", site.as_str())], f64::from(generation)))
    });
    page.gauges(
        "tidegate_site_generation",
        "The generation each site serves",
        generations,
    )?;
    let counts = sites.iter().map(|(site, status)| {
        let of = |phase: fn(Phase) -> bool| {
            let counts = status.connections.iter();
            let open: usize = counts.filter(|it| phase(it.phase)).map(|it| it.open).sum();
            f64::from(u32::try_from(open).unwrap_or(u32::MAX))
        };
        let leaving = of(|phase| phase == Phase::Draining);
        let serving = of(|phase| phase != Phase::Draining);
        (site.as_str(), serving, leaving)
    });
    let lines = counts.flat_map(|(site, serving, leaving)| {
        [
            ([("site", site), ("phase", "serving")], serving),
            ([("site", site), ("phase", "draining")], leaving),
        ]
    });
    page.gauges(
        "tidegate_connections",
        "Open connections, by site and by whether their generation is leaving",
        lines,
    )
}

/// A family of counters of listeners, and where its figures are.
type ListenerFamily = (&'static str, &'static str, fn(&ListenerCounters) -> u64);

const LISTENER_FAMILIES: [ListenerFamily; 5] = [
    (
        "tidegate_accepted_connections",
        "Connections accepted",
        |it| it.accepted,
    ),
    (
        "tidegate_refused_connections",
        "Connections closed at once because the site had all it may have",
        |it| it.refused_over_limit,
    ),
    (
        "tidegate_accept_errors",
        "Failed attempts to accept a connection",
        |it| it.accept_errors,
    ),
    (
        "tidegate_accept_pauses",
        "Pauses because the machine had no room for a connection",
        |it| it.backoffs,
    ),
    (
        "tidegate_handed_over_connections",
        "Connections given to a less loaded worker",
        |it| it.handed_over,
    ),
];

fn listeners(report: &Report, page: &mut Page<'_>) -> fmt::Result {
    let mut listeners = Vec::new();
    for (site, status) in &report.status.sites {
        for (address, workers) in &status.listeners {
            listeners.push((site.as_str(), address.to_string(), workers));
        }
    }
    for (name, help, figure) in LISTENER_FAMILIES {
        let lines = listeners.iter().map(|(site, address, workers)| {
            let sum = workers.iter().map(figure).sum();
            ([("site", *site), ("address", address.as_str())], sum)
        });
        page.counters(name, help, lines)?;
    }
    Ok(())
}
