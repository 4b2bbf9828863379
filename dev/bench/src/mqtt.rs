//! tidegate, mosquitto and rumqttd as MQTT brokers, each alone on one core, in interleaved
//! rounds, with a load that accounts for every message.

mod brokers;
mod client;
mod flow;
mod ledger;
mod load;
mod memory;
mod message_rounds;
mod programs;
mod report;
mod round;
mod swarm;
mod workload;

use crate::cores::{self, Cores};
use crate::filler::Filler;
use crate::interrupt;
use anyhow::{Context, Result};
use brokers::{Broker, Needs, Peer, Site};
use report::{Report, Results};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use workload::{Kind, Workload};

/// Measures the MQTT broker beside mosquitto and rumqttd.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Workloads to run, by name or part of a name; all if none is given.
    filters: Vec<String>,
    /// Prints the workloads and ends.
    #[arg(long)]
    list: bool,
    /// Which brokers take part.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "tidegate,mosquitto,rumqttd"
    )]
    brokers: Vec<Broker>,
    /// A tidegate to measure instead of building this one.
    #[arg(long, value_name = "PATH")]
    tidegate: Option<PathBuf>,
    /// A rumqttd to measure instead of building one.
    #[arg(long, value_name = "PATH")]
    rumqttd: Option<PathBuf>,
    /// Rounds of each broker.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each round.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Also writes the results here as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs what `arguments` ask for and prints the results.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        for workload in workload::ALL {
            println!("{:<14} {}", workload.name, workload.about);
        }
        return Ok(());
    }
    let workloads = workload::select(&arguments.filters)?;
    let found = programs::gather(
        &arguments.brokers,
        arguments.tidegate.as_deref(),
        arguments.rumqttd.as_deref(),
    )?;

    let cores = Cores::choose()?;
    cores::raise_open_files();
    interrupt::watch()?;
    cores.enter_load()?;

    let directory = tempfile::Builder::new()
        .prefix("tidegate-bench-")
        .tempdir()?;
    let site = Site {
        programs: &found.programs,
        directory: directory.path(),
        cores,
    };
    let mut report = Report::new(arguments.rounds, arguments.seconds);
    for workload in &workloads {
        let mut brokers = found.brokers.clone();
        brokers.retain(|&broker| workload.is_for(broker));
        measure(workload, &brokers, &site, arguments, &mut report)
            .with_context(|| format!("{} failed", workload.name))?;
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    report.finish()
}

fn measure(
    workload: &Workload,
    brokers: &[Broker],
    site: &Site<'_>,
    arguments: &Arguments,
    report: &mut Report,
) -> Result<()> {
    eprintln!("{}: {}", workload.name, workload.about);
    match workload.kind {
        Kind::Idle { .. } | Kind::Slow { .. } => {
            for &broker in brokers {
                let growth = match workload.kind {
                    Kind::Slow { subscribers, flow } => {
                        memory::slow(broker, site, subscribers, flow)
                    }
                    Kind::Idle { connections } => memory::idle(broker, site, connections),
                    _ => continue,
                };
                let growth = growth.with_context(|| format!("with {broker}"))?;
                report.add_growth(workload, broker, growth);
            }
        }
        Kind::Workers(flow) => {
            if brokers.contains(&Broker::Tidegate) {
                let start = |workers| {
                    let needs = Needs {
                        workers,
                        ..Needs::default()
                    };
                    Peer::start(Broker::Tidegate, site, needs)
                };
                let peers = vec![start(1)?, start(2)?];
                // One worker leaves half of the load's core idle, two leave none of it.
                let _filler = Filler::start(site.cores, site.directory)?;
                let results = interleave(peers, Kind::Closed(flow), arguments)?;
                report.add_workers(workload, &results[0], &results[1]);
            }
        }
        kind => {
            let start = |&broker: &Broker| Peer::start(broker, site, Needs::default());
            let peers = brokers.iter().map(start).collect::<Result<_>>()?;
            report.add(workload, &interleave(peers, kind, arguments)?);
        }
    }
    Ok(())
}

/// Rounds of each peer in turn, as A B C, C B A, A B C: the order favours nobody.
fn interleave(peers: Vec<Peer>, kind: Kind, arguments: &Arguments) -> Result<Vec<Results>> {
    let period = Duration::from_secs(arguments.seconds);
    let with_results = |peer: Peer| {
        let (broker, rounds) = (peer.broker, Vec::new());
        (peer, Results { broker, rounds })
    };
    let mut contestants: Vec<_> = peers.into_iter().map(with_results).collect();
    for number in 0..arguments.rounds {
        let mut order: Vec<&mut (Peer, Results)> = contestants.iter_mut().collect();
        if number % 2 == 1 {
            order.reverse();
        }
        for (peer, results) in order {
            let round = message_rounds::run(peer, kind, period, number)
                .with_context(|| format!("with {}", peer.broker))?;
            eprintln!(
                "  {:<9}  {:>8.0}/s  {:>7.2} us  faults: {}",
                peer.broker, round.per_second, round.cpu_us, round.faults
            );
            results.rounds.push(round);
        }
    }
    Ok(contestants
        .into_iter()
        .map(|(_, results)| results)
        .collect())
}
