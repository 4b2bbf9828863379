//! The proxies side by side: each gets the same ports, origin and certificate, one worker, one core.

mod haproxy;
mod nginx;
mod tidegate;

use crate::certificate::Certificate;
use crate::measure;
use crate::process::{Program, Running, free_port};
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Proxy {
    /// Ours.
    Tidegate,
    /// What ratios are to.
    Nginx,
    /// The other usual choice.
    Haproxy,
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Tidegate => "tidegate",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        })
    }
}

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    /// Always there: it is the origin as well.
    pub(crate) nginx: PathBuf,
    /// If haproxy takes part.
    pub(crate) haproxy: Option<PathBuf>,
    /// If tidegate takes part.
    pub(crate) tidegate: Option<PathBuf>,
}

/// What all proxies of a run have in common.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) directory: &'a Path,
    pub(crate) certificate: &'a Certificate,
    pub(crate) origin: u16,
    pub(crate) core: usize,
}

/// What a configuration is written from.
#[derive(Debug, Clone, Copy)]
struct Blueprint<'a> {
    directory: &'a Path,
    certificate: &'a Certificate,
    origin: u16,
    http: u16,
    https: u16,
    /// Answered at `GENERATION_PATH`, so that one can see which configuration is in force.
    generation: u32,
}

/// Every configuration answers here with its generation number, without asking the origin.
pub(crate) const GENERATION_PATH: &str = "/generation";

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Peer<'a> {
    pub(crate) proxy: Proxy,
    /// Cleartext port on the loopback address.
    pub(crate) http: u16,
    /// TLS port on the loopback address.
    pub(crate) https: u16,
    site: &'a Site<'a>,
    directory: PathBuf,
    process: Running,
}

impl<'a> Peer<'a> {
    /// Starts `proxy` and waits until it listens.
    pub(crate) fn start(proxy: Proxy, site: &'a Site<'a>) -> Result<Self> {
        let directory = site.directory.join(proxy.to_string());
        fs::create_dir_all(&directory)?;
        let (http, https) = (free_port()?, free_port()?);
        let blueprint = Blueprint {
            directory: &directory,
            certificate: site.certificate,
            origin: site.origin,
            http,
            https,
            generation: 0,
        };
        let configuration = directory.join(file_name(proxy));
        fs::write(&configuration, text(proxy, blueprint))?;
        let program = program(proxy, site.programs, &directory, &configuration)?;
        let process = Running::start(&proxy.to_string(), program, site.core, &directory)?;
        let mut peer = Self {
            proxy,
            http,
            https,
            site,
            directory,
            process,
        };
        peer.process.wait_until_listening(http)?;
        peer.process.wait_until_listening(https)?;
        measure::check_pinned(peer.pid(), site.core)
            .with_context(|| format!("{proxy} does not stay on its core"))?;
        Ok(peer)
    }

    /// The first of its processes.
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Writes a configuration that differs in its generation and tells the proxy to take it.
    pub(crate) fn reload(&self, generation: u32) -> Result<()> {
        let blueprint = Blueprint {
            directory: &self.directory,
            certificate: self.site.certificate,
            origin: self.site.origin,
            http: self.http,
            https: self.https,
            generation,
        };
        // In one step, so that nobody ever reads half a file.
        let next = self.directory.join("next.configuration");
        fs::write(&next, text(self.proxy, blueprint))?;
        fs::rename(&next, self.directory.join(file_name(self.proxy)))?;
        self.process.signal(match self.proxy {
            // What `nginx -s reload` sends.
            Proxy::Tidegate | Proxy::Nginx => Signal::HUP,
            Proxy::Haproxy => Signal::USR2,
        })
    }
}

fn file_name(proxy: Proxy) -> &'static str {
    match proxy {
        Proxy::Tidegate => "tidegate.toml",
        Proxy::Nginx => "nginx.conf",
        Proxy::Haproxy => "haproxy.cfg",
    }
}

fn text(proxy: Proxy, blueprint: Blueprint<'_>) -> String {
    match proxy {
        Proxy::Tidegate => tidegate::text(blueprint),
        Proxy::Nginx => nginx::text(blueprint),
        Proxy::Haproxy => haproxy::text(blueprint),
    }
}

fn program(
    proxy: Proxy,
    programs: &Programs,
    directory: &Path,
    configuration: &Path,
) -> Result<Program> {
    Ok(match proxy {
        Proxy::Tidegate => {
            let path = programs
                .tidegate
                .as_ref()
                .context("tidegate was not looked for")?;
            tidegate::program(path, configuration)
        }
        Proxy::Nginx => nginx::program(&programs.nginx, directory, configuration),
        Proxy::Haproxy => {
            let path = programs
                .haproxy
                .as_ref()
                .context("haproxy was not looked for")?;
            haproxy::program(path, configuration)
        }
    })
}
