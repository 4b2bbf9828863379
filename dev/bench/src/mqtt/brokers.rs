//! The brokers side by side: each with the core to itself, with limits that the load does not
//! reach, without logs or files.

mod mosquitto;
mod rumqttd;
mod tidegate;

use crate::cores::Cores;
use crate::measure;
use crate::process::{Program, Running, free_port};
use anyhow::{Context, Result};
use rustix::process::Pid;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Broker {
    /// Ours.
    Tidegate,
    /// What ratios are to.
    Mosquitto,
    /// What reads and writes many packets at a time.
    Rumqttd,
}

impl fmt::Display for Broker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Tidegate => "tidegate",
            Self::Mosquitto => "mosquitto",
            Self::Rumqttd => "rumqttd",
        })
    }
}

/// Where the programs are; of those that take part.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) tidegate: Option<PathBuf>,
    pub(crate) mosquitto: Option<PathBuf>,
    pub(crate) rumqttd: Option<PathBuf>,
}

/// What brokers are started with.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) directory: &'a Path,
    pub(crate) cores: Cores,
}

/// What a workload needs of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// Cores that the broker may use, and workers if it has such; at most two.
    pub(crate) workers: usize,
    /// Bytes that may wait for one client.
    pub(crate) queue_bytes: usize,
}

impl Default for Needs {
    fn default() -> Self {
        Self {
            workers: 1,
            queue_bytes: 256 << 20,
        }
    }
}

/// A running broker.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) broker: Broker,
    /// On the loopback address.
    pub(crate) port: u16,
    process: Running,
}

impl Peer {
    /// Starts `broker` and waits until it listens.
    pub(crate) fn start(broker: Broker, site: &Site<'_>, needs: Needs) -> Result<Self> {
        let directory = site.directory.join(format!("{broker}-{}", needs.workers));
        fs::create_dir_all(&directory)?;
        let port = free_port()?;
        let configuration = directory.join("configuration.toml");
        let (path, text) = match broker {
            Broker::Tidegate => (&site.programs.tidegate, tidegate::text(port, needs)),
            Broker::Mosquitto => (&site.programs.mosquitto, mosquitto::text(port, needs)),
            Broker::Rumqttd => (&site.programs.rumqttd, rumqttd::text(port)),
        };
        fs::write(&configuration, text)?;
        let path = path.as_deref().context("not looked for")?;
        let program = Program::new(path);
        let program = match broker {
            Broker::Tidegate => program.arg("run").arg("--config"),
            Broker::Mosquitto => program.arg("-c"),
            Broker::Rumqttd => program.arg("--config"),
        };
        let program = program.arg(&configuration);
        let Cores { proxy, load } = site.cores;
        // A second worker has to share its core with the load.
        let cores = [proxy, load];
        let cores = &cores[..needs.workers.min(cores.len())];
        let process = Running::start_on(&broker.to_string(), program, cores, &directory)?;
        let mut peer = Self {
            broker,
            port,
            process,
        };
        peer.process.wait_until_listening(port)?;
        if needs.workers == 1 {
            measure::check_pinned(peer.pid(), proxy)
                .with_context(|| format!("{broker} does not stay on its core"))?;
        }
        Ok(peer)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }
}
