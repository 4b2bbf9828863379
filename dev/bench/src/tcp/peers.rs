//! The proxies side by side: one worker, one core, one endpoint behind each.

use crate::measure;
use crate::peers::Programs;
use crate::process::{Program, Running, free_port};
use anyhow::{Context, Result};
use rustix::process::Pid;
use std::fmt;
use std::fs;
use std::path::Path;

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// Ours.
    Tidegate,
    /// What ratios are to.
    Haproxy,
    /// The same, told to move bytes within the kernel where it thinks it pays.
    HaproxySplice,
}

impl Contestant {
    pub(crate) const ALL: [Self; 3] = [Self::Tidegate, Self::Haproxy, Self::HaproxySplice];
}

impl fmt::Display for Contestant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Tidegate => "tidegate",
            Self::Haproxy => "haproxy",
            Self::HaproxySplice => "haproxy-splice",
        })
    }
}

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) contestant: Contestant,
    /// Where it listens, on the loopback address.
    pub(crate) port: u16,
    process: Running,
}

impl Peer {
    /// Starts one in front of `endpoint` and waits until it listens.
    pub(crate) fn start(
        contestant: Contestant,
        programs: &Programs,
        directory: &Path,
        endpoint: u16,
        core: usize,
    ) -> Result<Self> {
        let port = free_port()?;
        let name = format!("{contestant}-{endpoint}");
        let configuration = directory.join(format!("{name}.configuration"));
        let (program, text) = match contestant {
            Contestant::Tidegate => {
                let path = programs.tidegate.as_ref().context("no tidegate")?;
                let program = Program::new(path).arg("run").arg("--config");
                (program.arg(&configuration), tidegate(port, endpoint))
            }
            Contestant::Haproxy | Contestant::HaproxySplice => {
                let path = programs.haproxy.as_ref().context("no haproxy")?;
                let splice = match contestant {
                    Contestant::HaproxySplice => "option splice-auto",
                    _ => "",
                };
                let program = Program::new(path).arg("-db").arg("-f");
                (program.arg(&configuration), haproxy(port, endpoint, splice))
            }
        };
        fs::write(&configuration, text)?;
        let mut process = Running::start(&name, program, core, directory)?;
        process.wait_until_listening(port)?;
        measure::check_pinned(process.pid(), core)?;
        Ok(Self {
            contestant,
            port,
            process,
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }
}

fn tidegate(port: u16, endpoint: u16) -> String {
    format!(
        "[runtime]
workers = 1

[servers.proxy]
protocol = \"tcp\"
listen = [\"127.0.0.1:{port}\"]
upstream = \"endpoint\"
backlog = 4096

[upstreams.endpoint]
endpoints = [\"127.0.0.1:{endpoint}\"]
"
    )
}

fn haproxy(port: u16, endpoint: u16, splice: &str) -> String {
    format!(
        "global
    nbthread 1
    maxconn 30000
    no strict-limits
defaults
    mode tcp
    backlog 4096
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    {splice}
frontend proxy
    bind 127.0.0.1:{port}
    default_backend endpoint
backend endpoint
    server endpoint 127.0.0.1:{endpoint}
"
    )
}
