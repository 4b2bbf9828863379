//! What the process does, as JSON.

use std::time::Instant;

use serde_json::{Value, json};
use tidegate_orchestrator::{Phase, Status};
use tidegate_runtime::clock;
use tidegate_supervisor as supervisor;

use super::metrics::Brokers;
use crate::process::control::Report;

/// All of it. Without a report the deployment is not up yet, or not any more.
pub(super) fn status(
    report: Option<&Report>,
    figures: &Brokers,
    services: &[supervisor::Status],
    started: Instant,
) -> Value {
    let uptime = clock::precise().duration_since(started);
    json!({
        "build": { "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id() },
        "uptime_seconds": uptime.as_secs(),
        "workers": report.map(|it| workers(&it.status)),
        "sites": report.map(|it| sites(&it.status)),
        "upstreams": report.map(upstreams),
        "brokers": report.map(|_| brokers(figures)),
        "reloads": report.map(|it| json!({ "done": it.reloads.0, "rejected": it.reloads.1 })),
        "access_log": report.and_then(|it| it.log_lines).map(|(written, dropped)| {
            json!({ "written": written, "dropped": dropped })
        }),
        "services": services.iter().map(service).collect::<Vec<_>>(),
    })
}

fn service(status: &supervisor::Status) -> Value {
    json!({
        "name": &*status.name,
        "state": status.state.to_string(),
        "restarts": status.attempts.saturating_sub(1),
        "note": status.note.as_deref(),
        "last_error": status.last_error.as_deref(),
    })
}

fn workers(status: &Status) -> Vec<Value> {
    let workers = status.workers.iter();
    workers
        .map(|worker| {
            json!({
                "worker": worker.worker.0,
                "answered": worker.answered,
                "panics": worker.panics,
            })
        })
        .collect()
}

fn sites(status: &Status) -> Value {
    let sites = status.sites.iter().map(|(name, site)| {
        let generations = site.connections.iter().map(|count| {
            json!({
                "worker": count.worker.0,
                "generation": count.generation.0,
                "phase": match count.phase {
                    Phase::Draining => "draining",
                    _ => "serving",
                },
                "connections": count.open,
            })
        });
        let addresses = site.addresses.iter().map(ToString::to_string);
        let value = json!({
            "generation": site.generation.map(|it| it.0),
            "listen": addresses.collect::<Vec<_>>(),
            "connections": site.open(),
            "generations": generations.collect::<Vec<_>>(),
        });
        (name.as_str().to_owned(), value)
    });
    Value::Object(sites.collect())
}

fn brokers(brokers: &Brokers) -> Value {
    let brokers = brokers.iter().map(|(name, figures)| {
        let workers = figures.cores.iter().map(|core| {
            json!({
                "worker": core.core,
                "connections": core.connections,
                "sessions": core.sessions,
                "subscriptions": core.subscriptions,
                "queued": core.queued,
            })
        });
        let value = json!({
            "connections": figures.sum(|it| it.connections),
            "sessions": figures.sum(|it| it.sessions),
            "subscriptions": figures.sum(|it| it.subscriptions),
            "queued": figures.sum(|it| it.queued),
            "retained": figures.retained().0,
            "workers": workers.collect::<Vec<_>>(),
        });
        (name.clone(), value)
    });
    Value::Object(brokers.collect())
}

fn upstreams(report: &Report) -> Value {
    let down: Vec<Box<str>> = report
        .health
        .all()
        .into_iter()
        .filter(|(_, is_healthy)| !is_healthy)
        .map(|(endpoint, _)| endpoint)
        .collect();
    let upstreams = report.settings.upstreams.iter().map(|(name, upstream)| {
        let endpoints = upstream.endpoints.iter().map(|it| it.address.to_string());
        let endpoints: Vec<String> = endpoints.collect();
        let unhealthy: Option<Vec<&String>> = upstream.health.is_some().then(|| {
            let is_down = |it: &&String| down.iter().any(|down| **down == ***it);
            endpoints.iter().filter(is_down).collect()
        });
        let value = json!({ "endpoints": endpoints, "unhealthy": unhealthy });
        (name.clone(), value)
    });
    Value::Object(upstreams.collect())
}
