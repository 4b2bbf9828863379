//! CPU time per request, in interleaved rounds: what drifts over time drifts for everybody.

use super::{Bench, Report};
use crate::load::wrk::Order;
use crate::load::{Outcome, handshake};
use crate::measure::CpuTime;
use crate::peers::{Peer, Proxy};
use crate::table::Table;
use crate::workload::{Scheme, Style, Throughput};
use anyhow::{Context, Result};
use serde_json::json;
use std::fs;
use std::time::Duration;

const WARM_UP_SECONDS: u64 = 1;
const POST_SCRIPT: &str = "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", 10240)\n";

/// One round of one proxy.
#[derive(Debug, Clone, Copy)]
struct Round {
    per_second: f64,
    /// CPU microseconds for each request.
    cpu_us: f64,
    /// Share of its core the proxy has used.
    busy: f64,
    p50: Duration,
    p99: Duration,
}

struct Contestant<'a> {
    peer: Peer<'a>,
    rounds: Vec<Round>,
}

pub(super) fn table(rounds: u32, seconds: u64) -> Table {
    let title = format!("Throughput: {rounds} rounds of {seconds} s, median unless said otherwise");
    Table::new(
        title,
        &[
            "workload",
            "proxy",
            "requests/s",
            "CPU us/request",
            "min",
            "ratio to nginx",
            "core busy",
            "p50",
            "p99",
        ],
    )
}

pub(super) fn run(
    bench: &Bench<'_>,
    name: &str,
    load: Throughput,
    report: &mut Report,
) -> Result<()> {
    let mut contestants = Vec::new();
    for &proxy in &bench.proxies {
        let peer = Peer::start(proxy, &bench.site)?;
        // Fills upstream pools and caches.
        let tickets_before = bench.connector.tickets();
        let outcome = apply(bench, &peer, load, WARM_UP_SECONDS)?;
        let tickets = bench.connector.tickets() - tickets_before;
        if load.style == Style::Handshake {
            let each = tickets as f64 / outcome.requests.max(1) as f64;
            eprintln!("  {proxy:<8}  sends {each:.1} session tickets a connection");
        }
        complain(report, name, proxy, &outcome);
        contestants.push(Contestant {
            peer,
            rounds: Vec::new(),
        });
    }
    for number in 0..bench.effort.rounds {
        // A B C, C B A, A B C: the order favours nobody.
        let mut order: Vec<&mut Contestant<'_>> = contestants.iter_mut().collect();
        if number % 2 == 1 {
            order.reverse();
        }
        for contestant in order {
            let before = CpuTime::of(contestant.peer.pid())?;
            let outcome = apply(bench, &contestant.peer, load, bench.effort.seconds)?;
            let spent = CpuTime::of(contestant.peer.pid())? - &before;
            complain(report, name, contestant.peer.proxy, &outcome);
            let round = judge(&outcome, spent);
            eprintln!(
                "  {:<8}  {:>8.0}/s  {:>7.2} us",
                contestant.peer.proxy, round.per_second, round.cpu_us
            );
            contestant.rounds.push(round);
        }
    }
    tabulate(name, &contestants, report)
}

fn apply(bench: &Bench<'_>, peer: &Peer<'_>, load: Throughput, seconds: u64) -> Result<Outcome> {
    let (scheme, port) = match load.scheme {
        Scheme::Http => ("http", peer.http),
        Scheme::Https => ("https", peer.https),
    };
    let script = bench.wrk.directory.join("post.lua");
    let (headers, script): (&[&str], _) = match load.style {
        Style::Handshake => {
            let duration = Duration::from_secs(seconds);
            return handshake::run(
                &bench.connector,
                port,
                load.path,
                load.connections,
                duration,
            );
        }
        Style::KeepAlive => (&[], None),
        Style::Close => (&["Connection: close"], None),
        Style::Post => {
            fs::write(&script, POST_SCRIPT)?;
            (&[], Some(script.as_path()))
        }
    };
    bench.wrk.run(&Order {
        url: format!("{scheme}://127.0.0.1:{port}{}", load.path),
        connections: load.connections,
        headers,
        script,
        seconds,
    })
}

fn complain(report: &mut Report, name: &str, proxy: Proxy, outcome: &Outcome) {
    if outcome.failures.total() > 0 {
        report.complain(format!("{name}: {proxy}: {}", outcome.failures));
    } else if outcome.requests == 0 {
        report.complain(format!("{name}: {proxy} answered nothing"));
    }
}

fn judge(outcome: &Outcome, spent: Duration) -> Round {
    let seconds = outcome.elapsed.as_secs_f64();
    let requests = outcome.requests.max(1) as f64;
    Round {
        per_second: outcome.requests as f64 / seconds,
        cpu_us: spent.as_secs_f64() * 1e6 / requests,
        busy: spent.as_secs_f64() / seconds,
        p50: outcome.p50,
        p99: outcome.p99,
    }
}

fn tabulate(name: &str, contestants: &[Contestant<'_>], report: &mut Report) -> Result<()> {
    let cpu = |contestant: &Contestant<'_>| median(&contestant.rounds, |round| round.cpu_us);
    let nginx = contestants
        .iter()
        .find(|contestant| contestant.peer.proxy == Proxy::Nginx);
    let nginx = nginx.and_then(cpu);
    for contestant in contestants {
        let proxy = contestant.peer.proxy;
        let of = |what: fn(&Round) -> f64| median(&contestant.rounds, what).context("no rounds");
        let cpu_us = of(|round| round.cpu_us)?;
        let cpu_us_min = contestant
            .rounds
            .iter()
            .map(|round| round.cpu_us)
            .fold(f64::MAX, f64::min);
        let per_second = of(|round| round.per_second)?;
        let busy = of(|round| round.busy)?;
        let p50_ms = of(|round| round.p50.as_secs_f64() * 1e3)?;
        let p99_ms = of(|round| round.p99.as_secs_f64() * 1e3)?;
        let ratio = nginx.map(|nginx| cpu_us / nginx);
        report.throughput.row([
            name.to_owned(),
            proxy.to_string(),
            format!("{per_second:.0}"),
            format!("{cpu_us:.2}"),
            format!("{cpu_us_min:.2}"),
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
            format!("{:.0} %", busy * 100.0),
            format!("{p50_ms:.2} ms"),
            format!("{p99_ms:.2} ms"),
        ]);
        let rounds: Vec<f64> = contestant.rounds.iter().map(|round| round.cpu_us).collect();
        report.json.push(json!({
            "workload": name, "proxy": proxy.to_string(), "requests_per_second": per_second,
            "cpu_us_per_request": cpu_us, "cpu_us_per_request_min": cpu_us_min,
            "cpu_us_per_request_rounds": rounds, "ratio_to_nginx": ratio, "core_busy": busy,
            "p50_ms": p50_ms, "p99_ms": p99_ms,
        }));
    }
    Ok(())
}

/// The middle one; of an even number, the mean of the two in the middle.
fn median(rounds: &[Round], what: impl Fn(&Round) -> f64) -> Option<f64> {
    let mut values: Vec<f64> = rounds.iter().map(what).collect();
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    match (values.get(upper.wrapping_sub(1)), values.get(upper)) {
        (_, Some(middle)) if values.len() % 2 == 1 => Some(*middle),
        (Some(below), Some(above)) => Some(f64::midpoint(*below, *above)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_one_outlier() {
        let round = |cpu_us: u64| {
            let outcome = Outcome {
                requests: 1000,
                failures: crate::load::Failures::default(),
                elapsed: Duration::from_secs(1),
                p50: Duration::ZERO,
                p99: Duration::ZERO,
            };
            judge(&outcome, Duration::from_nanos(cpu_us * 1000 * 1000))
        };
        let rounds = [round(10), round(90), round(12)];
        assert_eq!(median(&rounds, |round| round.cpu_us), Some(12.0));
        assert_eq!(median(&rounds[..2], |round| round.cpu_us), Some(50.0));
        assert_eq!(median(&rounds[..1], |round| round.cpu_us), Some(10.0));
        assert_eq!(median(&[], |round| round.cpu_us), None);
    }
}
