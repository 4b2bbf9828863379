//! Programs the bench starts: each pinned to one core, alone in its process group, with its output
//! in a file, and stopped by its pid when its guard is dropped - after an error and Ctrl-C too.

use crate::interrupt;
use anyhow::{Context, Result, bail};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

const START_TIMEOUT: Duration = Duration::from_secs(10);
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const LOG_TAIL_LINES: usize = 20;

/// A program and its arguments.
#[derive(Debug)]
pub(crate) struct Program {
    path: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Program {
    /// `path` without arguments.
    pub(crate) fn new(path: impl Into<OsString>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets one environment variable.
    pub(crate) fn env(mut self, key: impl Into<OsString>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((key.into(), value.as_ref().to_owned()));
        self
    }
}

/// A started program.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `program` on `core`; its output goes to `directory/NAME.log`.
    ///
    /// `setpriv` makes the kernel end it if the bench is killed outright, `taskset` pins it; both
    /// replace themselves with the program, so the pid is the program's.
    pub(crate) fn start(
        name: &str,
        program: Program,
        core: usize,
        directory: &Path,
    ) -> Result<Self> {
        Self::start_on(name, program, &[core], directory)
    }

    /// The same on several cores.
    pub(crate) fn start_on(
        name: &str,
        program: Program,
        cores: &[usize],
        directory: &Path,
    ) -> Result<Self> {
        let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
        let log = directory.join(format!("{name}.log"));
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "taskset", "-c", &cores.join(",")])
            .arg(&program.path)
            .args(&program.arguments)
            .envs(program.environment)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// The process id; of the first process if it starts others.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it has written so far.
    pub(crate) fn output(&self) -> Result<String> {
        fs::read_to_string(&self.log).with_context(|| format!("cannot read {}", self.log.display()))
    }

    /// Sends `signal` to the first process.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid(), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits until something accepts connections on `port` of the loopback address.
    pub(crate) fn wait_until_listening(&mut self, port: u16) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(address).is_err() {
            interrupt::check()?;
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "{} ended at once ({status}):\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{} does not listen on port {port}:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Waits until it ends by itself with success, at most `timeout`.
    pub(crate) fn wait_for_success(mut self, timeout: Duration) -> Result<String> {
        let deadline = Instant::now() + timeout;
        loop {
            interrupt::check()?;
            match self.child.try_wait()? {
                Some(status) if status.success() => return self.output(),
                Some(status) => bail!("{} failed ({status}):\n{}", self.name, self.log_tail()),
                None if Instant::now() > deadline => bail!("{} did not end in time", self.name),
                None => thread::sleep(POLL_INTERVAL),
            }
        }
    }

    fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// Asks it to end, then ends it, and with it what it has started and left behind.
    fn stop(&mut self) -> io::Result<()> {
        let pid = self.pid();
        let deadline = Instant::now() + STOP_TIMEOUT;
        kill_process(pid, Signal::TERM)?;
        // While its end has not been collected, nobody else can get its pid or its group.
        let uncollected = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        while waitid(WaitId::Pid(pid), uncollected)?.is_none() && Instant::now() < deadline {
            thread::sleep(POLL_INTERVAL);
        }
        kill_process_group(pid, Signal::KILL)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let stopped = match self.child.try_wait() {
            Ok(Some(_)) => Ok(()),
            Ok(None) => self.stop(),
            Err(error) => Err(error),
        };
        if let Err(error) = stopped {
            eprintln!("cannot stop {}: {error}", self.name);
        }
    }
}

/// A port that is free now. Somebody else may take it before it is used; then starting fails.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
