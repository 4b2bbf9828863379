//! All results of a run: a table for people, JSON for programs, and what must not have happened.

use super::brokers::Broker;
use super::round::{Round, median, paired_ratio};
use super::workload::{Wanted, Workload};
use crate::table::Table;
use anyhow::{Result, bail};
use serde_json::{Value, json};

/// Results so far.
#[derive(Debug)]
pub(crate) struct Report {
    cpu: Table,
    json: Vec<Value>,
    complaints: Vec<String>,
}

/// A broker and what was measured of it.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) broker: Broker,
    pub(crate) rounds: Vec<Round>,
}

impl Report {
    /// Without results.
    pub(crate) fn new(rounds: u32, seconds: u64) -> Self {
        let title = format!(
            "Medians of {rounds} interleaved rounds of {seconds} s; CPU microseconds of the broker \
             for each message delivered (stored, offline; connection, accept)"
        );
        let columns = [
            "workload",
            "broker",
            "per second",
            "CPU us",
            "user us",
            "kernel us",
            "core busy",
            "ratio",
            "wanted",
            "p50 us",
            "p99 us",
            "faults",
        ];
        Self {
            cpu: Table::new(title, &columns),
            json: Vec::new(),
            complaints: Vec::new(),
        }
    }

    /// Adds a workload's rows.
    pub(crate) fn add(&mut self, workload: &Workload, results: &[Results]) {
        let reference = results.iter().find(|it| it.broker == Broker::Mosquitto);
        for Results { broker, rounds } in results {
            let of = |what: fn(&Round) -> f64| median(rounds.iter().map(what)).unwrap_or(f64::NAN);
            let ratio = |what: fn(&Round) -> f64| paired_ratio(rounds, &reference?.rounds, what);
            let (cpu, user) = (of(|it| it.cpu_us), of(|it| it.user_us));
            let cpu_ratio = ratio(|it| it.cpu_us);
            let latency = |what: fn(&Round) -> f64| {
                let value = of(what);
                if value.is_nan() {
                    "-".to_owned()
                } else {
                    format!("{value:.0}")
                }
            };
            let faults = rounds
                .iter()
                .fold(super::ledger::Faults::default(), |sum, it| {
                    sum.and(it.faults)
                });
            self.cpu.row([
                workload.name.to_owned(),
                broker.to_string(),
                format!("{:.0}", of(|it| it.per_second)),
                format!("{cpu:.2}"),
                format!("{user:.2}"),
                format!("{:.2}", cpu - user),
                format!("{:.0} %", of(|it| it.busy) * 100.0),
                cpu_ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
                wanted(*broker, workload.wanted),
                latency(p50_us),
                latency(p99_us),
                faults.to_string(),
            ]);
            self.json.push(json!({
                "workload": workload.name, "broker": broker.to_string(),
                "per_second": of(|it| it.per_second), "cpu_us": cpu, "user_us": user,
                "core_busy": of(|it| it.busy), "ratio_to_mosquitto": cpu_ratio,
                "cpu_us_rounds": rounds.iter().map(|it| it.cpu_us).collect::<Vec<_>>(),
                "p50_us": of(p50_us), "p99_us": of(p99_us), "faults": faults.to_string(),
            }));
            if *broker == Broker::Tidegate && !faults.is_empty() {
                self.complain(format!("{}: {broker}: {faults}", workload.name));
            }
        }
    }

    /// Something that makes the run fail.
    pub(crate) fn complain(&mut self, complaint: String) {
        eprintln!("  ! {complaint}");
        self.complaints.push(complaint);
    }

    /// Everything as JSON.
    pub(crate) fn json(&self) -> Value {
        json!({ "results": self.json, "complaints": self.complaints })
    }

    /// Prints the tables; an error if anything went wrong that must not.
    pub(crate) fn finish(&self) -> Result<()> {
        if !self.cpu.is_empty() {
            println!("{}", self.cpu);
        }
        if !self.complaints.is_empty() {
            bail!("{}", self.complaints.join("\n"));
        }
        Ok(())
    }
}

fn wanted(broker: Broker, wanted: Wanted) -> String {
    match (broker, wanted) {
        (Broker::Tidegate, Wanted::Share(share)) => format!("{share:.2}"),
        (Broker::Tidegate, Wanted::ShareAndLatency(share)) => format!("{share:.2}, p50"),
        _ => String::new(),
    }
}

fn p50_us(round: &Round) -> f64 {
    round.p50.map_or(f64::NAN, |it| it.as_secs_f64() * 1e6)
}

fn p99_us(round: &Round) -> f64 {
    round.p99.map_or(f64::NAN, |it| it.as_secs_f64() * 1e6)
}
