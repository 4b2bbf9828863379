//! tidegate as a proxy of each kind: one worker, no log, else its defaults.

use super::speech::Speech;
use crate::measure;
use crate::process::{Program, Running, free_port};
use anyhow::Result;
use rustix::process::Pid;
use std::fs;
use std::path::Path;

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) speech: Speech,
    /// Where it listens, on the loopback address.
    pub(crate) port: u16,
    process: Running,
}

impl Peer {
    /// Starts one in front of `endpoint` and waits until it listens.
    pub(crate) fn start(
        speech: Speech,
        tidegate: &Path,
        directory: &Path,
        endpoint: u16,
        core: usize,
    ) -> Result<Self> {
        let port = free_port()?;
        let name = format!("thrift-{port}-{endpoint}");
        let configuration = directory.join(format!("{name}.toml"));
        fs::write(&configuration, text(speech, port, endpoint))?;
        let program = Program::new(tidegate).arg("run").arg("--config");
        let mut process = Running::start(&name, program.arg(&configuration), core, directory)?;
        process.wait_until_listening(port)?;
        measure::check_pinned(process.pid(), core)?;
        Ok(Self {
            speech,
            port,
            process,
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }
}

fn text(speech: Speech, port: u16, endpoint: u16) -> String {
    let server = match speech {
        Speech::Http => {
            "protocol = \"http\"
forwarded = { x_forwarded = false }
routes = [{ path = \"/{*rest}\", upstream = \"endpoint\" }]"
        }
        _ => "protocol = \"thrift\"\nupstream = \"endpoint\"",
    };
    format!(
        "[runtime]
workers = 1

[servers.proxy]
listen = [\"127.0.0.1:{port}\"]
backlog = 4096
access_log = false
{server}

[upstreams.endpoint]
endpoints = [\"127.0.0.1:{endpoint}\"]
pool = {{ idle = 1024, requests = 1000000000 }}
"
    )
}
