//! The Thrift proxy beside our own HTTP/1.1 proxy: CPU time for each call beside that for each
//! request with bodies of the same size, in interleaved rounds of one run.

mod load;
mod peers;
mod speech;

use crate::cores::{self, Cores};
use crate::interrupt;
use crate::peers::Proxy;
use crate::requirements::Requirements;
use crate::rounds::{self, Round, median};
use crate::table::Table;
use anyhow::{Context, Result, bail};
use load::Traffic;
use peers::Peer;
use speech::Speech;
use std::path::PathBuf;
use std::time::Duration;

/// Measures the Thrift proxy beside the HTTP proxy.
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

/// A name, how many bytes a call has beside its envelope, and how many its answer.
const WORKLOADS: [(&str, usize, usize); 3] = [
    ("thrift-get-1k", 16, 1 << 10),
    ("thrift-echo-1k", 1 << 10, 1 << 10),
    ("thrift-get-64k", 16, 64 << 10),
];

/// What a call may cost at most, in requests.
const WANTED: f64 = 1.3;

const CONNECTIONS: u32 = 64;
const WARM_UP: Duration = Duration::from_secs(1);

/// Runs what `arguments` ask for, and prints a table.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let requirements = Requirements::gather(&[Proxy::Tidegate], arguments.tidegate.as_deref())?;
    let tidegate = requirements.programs.tidegate.context("no tidegate")?;
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
        format!("Thrift: {rounds} rounds of {seconds} s, medians"),
        &[
            "workload",
            "speech",
            "calls/s",
            "CPU us/call",
            "ratio to http",
            "wanted",
            "core busy",
        ],
    );
    let wanted = |name: &str| {
        arguments.filters.is_empty() || arguments.filters.iter().any(|it| name.contains(&**it))
    };
    for (name, asked, answered) in WORKLOADS.into_iter().filter(|(name, ..)| wanted(name)) {
        eprintln!("{name}");
        let mut results = Vec::new();
        for speech in Speech::ALL {
            let traffic = Traffic::new(speech, asked, answered, CONNECTIONS)?;
            let endpoint = load::endpoint(&traffic)?;
            let peer = Peer::start(
                speech,
                &tidegate,
                directory.path(),
                endpoint.port,
                cores.proxy,
            )?;
            load::run(peer.port, &traffic, WARM_UP)?;
            results.push((peer, traffic, Vec::new()));
        }
        for number in 0..rounds {
            let mut order: Vec<_> = results.iter_mut().collect();
            if number % 2 == 1 {
                order.reverse();
            }
            for (peer, traffic, rounds) in order {
                rounds.push(round(peer, traffic, Duration::from_secs(seconds))?);
            }
        }
        tabulate(name, &results, &mut table)?;
    }
    if table.is_empty() {
        bail!("no such workload; there are thrift-get-1k, thrift-echo-1k and thrift-get-64k");
    }
    println!("{table}");
    Ok(())
}

fn round(peer: &Peer, traffic: &Traffic, duration: Duration) -> Result<Round> {
    let round = rounds::measure(peer.pid(), || load::run(peer.port, traffic, duration))?;
    let (speech, per_second, cpu_us) = (peer.speech, round.per_second, round.cpu_us);
    eprintln!("  {speech:<16}  {per_second:>8.0}/s  {cpu_us:>8.2} us");
    Ok(round)
}

fn tabulate(name: &str, results: &[(Peer, Traffic, Vec<Round>)], table: &mut Table) -> Result<()> {
    let reference = results
        .iter()
        .find(|(peer, ..)| peer.speech == Speech::Http)
        .and_then(|(.., rounds)| median(rounds, |it| it.cpu_us));
    let reference = reference.context("no rounds of HTTP")?;
    for (peer, _, rounds) in results {
        let of = |what: fn(&Round) -> f64| median(rounds, what).context("no rounds");
        let cpu_us = of(|it| it.cpu_us)?;
        table.row([
            name.to_owned(),
            peer.speech.to_string(),
            format!("{:.0}", of(|it| it.per_second)?),
            format!("{cpu_us:.2}"),
            format!("{:.2}", cpu_us / reference),
            match peer.speech {
                Speech::Http => String::new(),
                _ => format!("{WANTED:.2}"),
            },
            format!("{:.0} %", of(|it| it.busy)? * 100.0),
        ]);
    }
    Ok(())
}
