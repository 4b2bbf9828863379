//! Which core carries what: the proxy has one to itself, load and origin share the other.

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

const OPEN_FILES_WANTED: u64 = 65_536;

/// Core numbers as the kernel counts them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    /// Runs the proxy under test and nothing else of ours.
    pub(crate) proxy: usize,
    /// Runs the clients and the origin.
    pub(crate) load: usize,
}

impl Cores {
    /// The first two cores this process may use.
    pub(crate) fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("cannot read the allowed cores")?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        match (cores.next(), cores.next()) {
            (Some(proxy), Some(load)) => Ok(Self { proxy, load }),
            _ => bail!("needs two cores: one for the proxy, one for load and origin"),
        }
    }

    /// Moves this thread, and what it starts from now on, to the load core.
    pub(crate) fn enter_load(self) -> Result<()> {
        let mut set = CpuSet::new();
        set.set(self.load);
        sched_setaffinity(None, &set).context("cannot pin the load")
    }
}

/// Raises the limit on open files, for 10,000 connections on either side; children inherit it.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let wanted = Rlimit {
        current: Some(OPEN_FILES_WANTED),
        maximum: Some(hard.max(OPEN_FILES_WANTED)),
    };
    if setrlimit(Resource::Nofile, wanted).is_err() {
        // Only root may exceed the hard limit; what there is may still be enough.
        let all = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, all) {
            eprintln!("cannot raise the limit on open files: {error}");
        }
    }
}
