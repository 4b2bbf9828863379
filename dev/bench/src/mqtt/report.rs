//! All results of a run: a table for people, JSON for programs, and what must not have happened.

use super::brokers::Broker;
use super::ledger::Faults;
use super::memory::Growth;
use super::round::{Round, median, paired_ratio};
use super::workload::{Wanted, Workload};
use crate::table::Table;
use anyhow::{Result, bail};
use serde_json::{Value, json};

/// Results so far.
#[derive(Debug)]
pub(crate) struct Report {
    cpu: Table,
    memory: Table,
    workers: Table,
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
            memory: Table::new(
                "Growth of resident memory",
                &[
                    "workload",
                    "broker",
                    "KiB",
                    "bytes each",
                    "wanted",
                    "others served a second",
                ],
            ),
            workers: Table::new(
                "Two workers and one, in interleaved rounds: twice the messages a CPU second \
                 brings with two, by those it brings with one",
                &[
                    "workload",
                    "broker",
                    "one: CPU us",
                    "two: CPU us",
                    "gain",
                    "wanted",
                    "faults",
                ],
            ),
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
                .fold(Faults::default(), |sum, it| sum.and(it.faults));
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

    /// Adds a row of the memory table.
    pub(crate) fn add_growth(&mut self, workload: &Workload, broker: Broker, growth: Growth) {
        let Growth { bytes, each, .. } = growth;
        let most = match workload.wanted {
            Wanted::BytesEach(most) => Some((most, each, format!("{most} each"))),
            Wanted::Bound => growth
                .bound
                .map(|bound| (bound, bytes, format!("{} KiB", bound >> 10))),
            _ => None,
        };
        if let Some((most, measured, _)) = &most
            && measured > most
            && broker == Broker::Tidegate
        {
            self.complain(format!(
                "{}: {measured} bytes, at most {most}",
                workload.name
            ));
        }
        self.memory.row([
            workload.name.to_owned(),
            broker.to_string(),
            (bytes >> 10).to_string(),
            each.to_string(),
            most.map(|(_, _, text)| text).unwrap_or_default(),
            growth
                .served_per_second
                .map_or_else(|| "-".to_owned(), |served| format!("{served:.0}")),
        ]);
        self.json.push(json!({
            "workload": workload.name, "broker": broker.to_string(), "bytes": bytes,
            "bytes_each": each, "bytes_max": growth.bound,
            "served_per_second": growth.served_per_second,
        }));
    }

    /// Adds a row for one worker beside two.
    pub(crate) fn add_workers(&mut self, workload: &Workload, one: &Results, two: &Results) {
        let cpu = |results: &Results| median(results.rounds.iter().map(|it| it.cpu_us));
        let gain = paired_ratio(&one.rounds, &two.rounds, |it| it.cpu_us).map(|it| it * 2.0);
        let rounds = one.rounds.iter().chain(&two.rounds);
        let faults = rounds.fold(Faults::default(), |sum, it| sum.and(it.faults));
        let number = |value: Option<f64>| format!("{:.2}", value.unwrap_or(f64::NAN));
        let wanted = match workload.wanted {
            Wanted::Gain(least) => format!("{least:.2}"),
            _ => String::new(),
        };
        self.workers.row([
            workload.name.to_owned(),
            one.broker.to_string(),
            number(cpu(one)),
            number(cpu(two)),
            number(gain),
            wanted,
            faults.to_string(),
        ]);
        self.json.push(json!({
            "workload": workload.name, "broker": one.broker.to_string(), "cpu_us_one": cpu(one),
            "cpu_us_two": cpu(two), "gain": gain, "faults": faults.to_string(),
        }));
        if !faults.is_empty() {
            self.complain(format!("{}: {faults}", workload.name));
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
        for table in [&self.cpu, &self.memory, &self.workers] {
            if !table.is_empty() {
                println!("{table}");
            }
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
