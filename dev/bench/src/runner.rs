//! Runs workloads and reports them.

mod idle;
mod reload;
mod throughput;

use crate::load::tls::Connector;
use crate::load::wrk::Wrk;
use crate::peers::{Proxy, Site};
use crate::table::Table;
use crate::workload::{Kind, Workload};
use anyhow::{Result, bail};
use serde_json::{Value, json};

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Rounds of each proxy in a throughput workload.
    pub(crate) rounds: u32,
    /// Seconds of each round.
    pub(crate) seconds: u64,
    /// Seconds of the reload workload.
    pub(crate) reload_seconds: u64,
}

/// What every workload needs.
pub(crate) struct Bench<'a> {
    pub(crate) site: Site<'a>,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) effort: Effort,
    pub(crate) wrk: Wrk,
    pub(crate) connector: Connector,
}

/// All results so far.
#[derive(Debug)]
pub(crate) struct Report {
    throughput: Table,
    idle: Table,
    reload: Table,
    json: Vec<Value>,
    /// What must not have happened.
    complaints: Vec<String>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(
        site: Site<'a>,
        proxies: Vec<Proxy>,
        effort: Effort,
        wrk: Wrk,
    ) -> Result<Self> {
        let connector = Connector::new(site.certificate)?;
        wrk.write_tls_settings()?;
        Ok(Self {
            site,
            proxies,
            effort,
            wrk,
            connector,
        })
    }

    /// Runs one workload with every proxy.
    pub(crate) fn run(&self, workload: &Workload, report: &mut Report) -> Result<()> {
        eprintln!("{}: {}", workload.name, workload.about);
        match workload.kind {
            Kind::Throughput(load) => throughput::run(self, workload.name, load, report),
            Kind::Idle {
                scheme,
                connections,
            } => idle::run(self, workload.name, scheme, connections, report),
            Kind::Reload => reload::run(self, workload.name, report),
        }
    }
}

impl Report {
    pub(crate) fn new(effort: Effort) -> Self {
        let Effort {
            rounds,
            seconds,
            reload_seconds,
        } = effort;
        Self {
            throughput: throughput::table(rounds, seconds),
            idle: idle::table(),
            reload: reload::table(reload_seconds),
            json: Vec::new(),
            complaints: Vec::new(),
        }
    }

    fn complain(&mut self, complaint: String) {
        eprintln!("  ! {complaint}");
        self.complaints.push(complaint);
    }

    /// Everything as JSON.
    pub(crate) fn json(&self) -> Value {
        json!({ "results": self.json, "complaints": self.complaints })
    }

    /// Prints all tables that have rows; an error if anything went wrong that must not.
    pub(crate) fn finish(&self) -> Result<()> {
        for table in [&self.throughput, &self.idle, &self.reload] {
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
