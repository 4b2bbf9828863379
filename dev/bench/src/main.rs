//! Side-by-side benchmarks: tidegate, nginx and haproxy in front of the same origin, each alone on
//! one core, in interleaved rounds. What it measures and what it does not is in README.md here.

#![forbid(unsafe_code)]

mod certificate;
mod cores;
mod filler;
mod interrupt;
mod load;
mod measure;
mod mqtt;
mod origin;
mod peers;
mod process;
mod requirements;
mod rounds;
mod runner;
mod table;
mod tcp;
mod thrift;
mod traffic;
mod workload;

use anyhow::{Context, Result};
use certificate::Certificate;
use clap::Parser;
use cores::Cores;
use load::wrk::Wrk;
use origin::Origin;
use peers::{Proxy, Site};
use requirements::Requirements;
use runner::{Bench, Effort, Report};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures tidegate beside nginx and haproxy on this machine.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    protocol: Option<Protocol>,
    /// Workloads to run, by name or part of a name; all if none is given.
    filters: Vec<String>,
    /// The same as a plain filter.
    #[arg(long, value_name = "NAME")]
    workload: Vec<String>,
    /// Prints the workloads and ends.
    #[arg(long)]
    list: bool,
    /// Which proxies take part.
    #[arg(long, value_delimiter = ',', default_value = "tidegate,nginx,haproxy")]
    proxies: Vec<Proxy>,
    /// A tidegate to measure instead of building this one.
    #[arg(long, value_name = "PATH")]
    tidegate: Option<PathBuf>,
    /// Rounds of each proxy in a throughput workload.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each round.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Seconds of the reload workload.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    reload_seconds: u64,
    /// Two rounds of one second, five seconds of reloads: to see that it works, not to compare.
    #[arg(long, conflicts_with_all = ["rounds", "seconds", "reload_seconds"])]
    quick: bool,
    /// Also writes the results here as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What else can be measured.
#[derive(Debug, clap::Subcommand)]
enum Protocol {
    /// The MQTT broker beside mosquitto and rumqttd.
    Mqtt(mqtt::Arguments),
    /// The TCP proxy beside HAProxy in TCP mode.
    Tcp(tcp::Arguments),
    /// The Thrift proxy beside our own HTTP/1.1 proxy.
    Thrift(thrift::Arguments),
    /// Keeps a core busy until it is ended.
    #[command(name = filler::COMMAND, hide = true)]
    Fill,
}

impl Arguments {
    fn effort(&self) -> Effort {
        if self.quick {
            return Effort {
                rounds: 2,
                seconds: 1,
                reload_seconds: 5,
            };
        }
        let Self {
            rounds,
            seconds,
            reload_seconds,
            ..
        } = *self;
        Effort {
            rounds,
            seconds,
            reload_seconds,
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Some(Protocol::Mqtt(arguments)) = &arguments.protocol {
        return mqtt::run(arguments);
    }
    if let Some(Protocol::Tcp(arguments)) = &arguments.protocol {
        return tcp::run(arguments);
    }
    if let Some(Protocol::Thrift(arguments)) = &arguments.protocol {
        return thrift::run(arguments);
    }
    if let Some(Protocol::Fill) = &arguments.protocol {
        filler::fill();
    }
    if arguments.list {
        for workload in workload::ALL {
            println!("{:<18} {}", workload.name, workload.about);
        }
        return Ok(());
    }
    let filters = [arguments.filters.clone(), arguments.workload.clone()].concat();
    let workloads = workload::select(&filters)?;
    let requirements = Requirements::gather(&arguments.proxies, arguments.tidegate.as_deref())?;

    let cores = Cores::choose()?;
    cores::raise_open_files();
    interrupt::watch()?;
    cores.enter_load()?;

    let directory = tempfile::Builder::new()
        .prefix("tidegate-bench-")
        .tempdir()?;
    let certificate = Certificate::make(directory.path())?;
    let origin = Origin::start(&requirements.programs.nginx, directory.path(), cores.load)?;
    let site = Site {
        programs: &requirements.programs,
        directory: directory.path(),
        certificate: &certificate,
        origin: origin.port,
        core: cores.proxy,
    };
    let wrk = Wrk {
        path: requirements.wrk.clone(),
        directory: directory.path().to_owned(),
        core: cores.load,
    };
    let effort = arguments.effort();
    let mut report = Report::new(effort);
    let bench = Bench::new(site, arguments.proxies.clone(), effort, wrk)?;
    for workload in &workloads {
        bench
            .run(workload, &mut report)
            .with_context(|| format!("{} failed", workload.name))?;
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    report.finish()
}
