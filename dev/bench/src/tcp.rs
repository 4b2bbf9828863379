//! The TCP proxy beside HAProxy in TCP mode: CPU time for each exchange of 1 KiB, and for each
//! MiB of a stream, in interleaved rounds.

mod load;
mod peers;

use crate::cores::{self, Cores};
use crate::interrupt;
use crate::peers::Proxy;
use crate::requirements::Requirements;
use crate::rounds::{self, Round, median};
use crate::table::Table;
use anyhow::{Context, Result, bail};
use load::Traffic;
use peers::{Contestant, Peer};
use std::path::PathBuf;
use std::time::Duration;

/// Measures the TCP proxy beside HAProxy in TCP mode.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Workloads to run, by name or part of a name; all if none is given.
    filters: Vec<String>,
    /// A tidegate to measure instead of building this one.
    #[arg(long, value_name = "PATH")]
    tidegate: Option<PathBuf>,
    /// Rounds of each proxy.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each round.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

const WORKLOADS: [(&str, Traffic); 2] = [
    (
        "tcp-echo-1k",
        Traffic {
            connections: 64,
            request_bytes: 1 << 10,
            response_bytes: 1 << 10,
        },
    ),
    (
        "tcp-stream-1m",
        Traffic {
            connections: 16,
            request_bytes: 1,
            response_bytes: 1 << 20,
        },
    ),
];

const WARM_UP: Duration = Duration::from_secs(1);

/// Runs what `arguments` ask for, and prints a table.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let proxies = [Proxy::Tidegate, Proxy::Haproxy];
    let requirements = Requirements::gather(&proxies, arguments.tidegate.as_deref())?;
    let cores = Cores::choose()?;
    cores::raise_open_files();
    interrupt::watch()?;
    cores.enter_load()?;
    let directory = tempfile::Builder::new()
        .prefix("tidegate-bench-")
        .tempdir()?;
    let Arguments {
        rounds, seconds, ..
    } = *arguments;
    let mut table = Table::new(
        format!("TCP: {rounds} rounds of {seconds} s, medians"),
        &[
            "workload",
            "proxy",
            "exchanges/s",
            "CPU us/exchange",
            "ratio to haproxy",
            "core busy",
        ],
    );
    let wanted = |name: &str| {
        arguments.filters.is_empty() || arguments.filters.iter().any(|it| name.contains(&**it))
    };
    for (name, traffic) in WORKLOADS.into_iter().filter(|(name, _)| wanted(name)) {
        eprintln!("{name}");
        let endpoint = load::endpoint(traffic)?;
        let mut results = Vec::new();
        for contestant in Contestant::ALL {
            let programs = &requirements.programs;
            let peer = Peer::start(
                contestant,
                programs,
                directory.path(),
                endpoint.port,
                cores.proxy,
            )?;
            load::run(peer.port, traffic, WARM_UP)?;
            results.push((peer, Vec::new()));
        }
        for number in 0..rounds {
            let mut order: Vec<_> = results.iter_mut().collect();
            if number % 2 == 1 {
                order.reverse();
            }
            for (peer, rounds) in order {
                rounds.push(round(peer, traffic, Duration::from_secs(seconds))?);
            }
        }
        tabulate(name, &results, &mut table)?;
    }
    if table.is_empty() {
        bail!("no such workload; there are tcp-echo-1k and tcp-stream-1m");
    }
    println!("{table}");
    Ok(())
}

fn round(peer: &Peer, traffic: Traffic, duration: Duration) -> Result<Round> {
    let round = rounds::measure(peer.pid(), || load::run(peer.port, traffic, duration))?;
    let contestant = peer.contestant;
    let (per_second, cpu_us) = (round.per_second, round.cpu_us);
    eprintln!("  {contestant:<15}  {per_second:>8.0}/s  {cpu_us:>8.2} us");
    Ok(round)
}

fn tabulate(name: &str, results: &[(Peer, Vec<Round>)], table: &mut Table) -> Result<()> {
    let reference = results
        .iter()
        .find(|(peer, _)| peer.contestant == Contestant::Haproxy)
        .and_then(|(_, rounds)| median(rounds, |it| it.cpu_us));
    let reference = reference.context("no rounds of haproxy")?;
    for (peer, rounds) in results {
        let of = |what: fn(&Round) -> f64| median(rounds, what).context("no rounds");
        let cpu_us = of(|it| it.cpu_us)?;
        table.row([
            name.to_owned(),
            peer.contestant.to_string(),
            format!("{:.0}", of(|it| it.per_second)?),
            format!("{cpu_us:.2}"),
            format!("{:.2}", cpu_us / reference),
            format!("{:.0} %", of(|it| it.busy)? * 100.0),
        ]);
    }
    Ok(())
}
