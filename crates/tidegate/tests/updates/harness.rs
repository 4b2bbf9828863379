//! The real binary as a child process: its file, its log, its end.

#[path = "../agreement/check.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
pub(crate) mod agreement;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;
use tempfile::TempDir;

use crate::log::Log;
pub(crate) use crate::log::message;

/// The longest anything that must happen may take: a ceiling, never waited for in vain.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `condition` gives something.
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < DEADLINE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Runs `work` as a thread.
pub(crate) fn thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .unwrap()
}

/// A directory with a configuration file, before the process is started.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("tidegate.toml")
    }

    /// As editors write: a new file takes the old one's name.
    pub(crate) fn write(&self, text: &str) {
        agreement::check(text, self.directory.path());
        let new = self.path("tidegate.toml.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.config()).unwrap();
    }

    pub(crate) fn write_in_place(&self, text: &str) {
        agreement::check(text, self.directory.path());
        std::fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn start(self, text: &str) -> Tidegate {
        self.write(text);
        let path = self.config();
        let arguments = ["run", "--config", path.to_str().unwrap()];
        let process = Tidegate::spawn(self, &arguments);
        process.listening();
        process
    }
}

/// The running binary; killed when dropped.
pub(crate) struct Tidegate {
    pub(crate) place: Place,
    child: Child,
    log: Arc<Log>,
    /// How far the log was read by [`Tidegate::next`].
    read: Mutex<usize>,
}

impl Tidegate {
    /// Starts it with a file that says `text`, and waits until it listens.
    pub(crate) fn start(text: &str) -> Self {
        Place::new().start(text)
    }

    /// Starts it with a file that says `text` as a process that lives on when a file may
    /// not grow, see [`limit_files`](Self::limit_files).
    pub(crate) fn start_with_limits(text: &str) -> Self {
        let place = Place::new();
        place.write(text);
        let path = place.config();
        let ignoring = "trap '' XFSZ; exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", ignoring, "sh", env!("CARGO_BIN_EXE_tidegate")]);
        let process = Self::run(place, command, &["run", "--config", path.to_str().unwrap()]);
        process.listening();
        process
    }

    /// From now on writing to a file beyond this size fails.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(Pid::from_raw(self.pid()), Resource::Fsize, limit).unwrap();
    }

    /// Starts it with these arguments.
    pub(crate) fn spawn(place: Place, arguments: &[&str]) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_tidegate"));
        Self::spawn_program(program, place, arguments)
    }

    /// Starts a program that may become another.
    pub(crate) fn spawn_program(program: &Path, place: Place, arguments: &[&str]) -> Self {
        Self::run(place, Command::new(program), arguments)
    }

    fn run(place: Place, mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command
            .args(arguments)
            .args(["--log", "info", "--log-format", "json"])
            .env("TMPDIR", place.directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        log.follow(child.stderr.take().unwrap());
        Self {
            place,
            child,
            log,
            read: Mutex::new(0),
        }
    }

    /// The next event with this message, leaving out what comes before it.
    pub(crate) fn next(&self, wanted: &str) -> Value {
        self.next_that(wanted, |event| message(event) == wanted)
    }

    /// The next event, or line of plain text, that `is_it`.
    pub(crate) fn next_that(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let mut read = self.read.lock().unwrap();
        let Some((at, event)) = self.log.wait(*read, is_it) else {
            panic!("the log does not say `{what}`:\n{}", self.log_text());
        };
        *read = at + 1;
        event
    }

    pub(crate) fn log_text(&self) -> String {
        self.log.text()
    }

    /// Everything that was logged with this message so far.
    pub(crate) fn logged(&self, wanted: &str) -> Vec<Value> {
        self.log.all(wanted)
    }

    /// Where the first server listens, once it does.
    pub(crate) fn listening(&self) -> SocketAddr {
        self.listening_as(None)
    }

    /// Where `site` was last said to listen, once it does.
    pub(crate) fn listening_at(&self, site: &str) -> SocketAddr {
        self.listening_as(Some(site))
    }

    fn listening_as(&self, site: Option<&str>) -> SocketAddr {
        let is_it = |event: &Value| {
            message(event) == "listening" && site.is_none_or(|site| event["site"] == *site)
        };
        let Some((_, event)) = self.log.wait(0, is_it) else {
            panic!("it does not listen:\n{}", self.log_text());
        };
        // A Unix socket has no address that a test would ask for.
        let address = event["address"].as_str().unwrap();
        address.parse().unwrap_or_else(|_| ([0; 4], 0).into())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Writes the file, has it read, and waits until it is in force; its generation.
    pub(crate) fn update(&self, text: &str) -> u64 {
        self.place.write(text);
        self.signal(Signal::HUP);
        // By the signal or by the watch on the file, whichever was first.
        let event = self.next_that("reloaded", |event| {
            let said = message(event);
            assert!(!said.starts_with("reload rejected"), "{event}");
            said == "reloaded"
        });
        event["generation"].as_str().unwrap().parse().unwrap()
    }

    /// Writes the file, has it read, and waits until it is refused; why.
    pub(crate) fn update_refused(&self, text: &str) -> String {
        self.place.write(text);
        self.signal(Signal::HUP);
        let event = self.next_that("reload rejected", |event| {
            assert_ne!(message(event), "reloaded", "{event}");
            // The watch on the file may have been first; its refusal is not waited for.
            message(event).starts_with("reload rejected") && event["cause"] == "SIGHUP"
        });
        event["error"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the end of the process", || child.try_wait().unwrap())
    }

    /// All of its log, once it has ended.
    pub(crate) fn rest_of_log(&self) -> String {
        let ended = self.log.wait(usize::MAX, |_| false);
        assert!(ended.is_none());
        self.log_text()
    }

    /// Whether it runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends SIGTERM and waits for its end, which must be in order.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "{}", self.log_text());
    }

    fn proc(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.pid().to_string()).join(name)
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        std::fs::read_dir(self.proc("task")).unwrap().count()
    }

    /// Its resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.unwrap().split_whitespace().nth(1).unwrap();
        number.parse().unwrap()
    }
}

impl Drop for Tidegate {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the log of the process:\n{}", self.log_text());
        }
    }
}

/// An address nobody else uses: the whole of 127.0.0.0/8 is loopback, and each caller gets
/// a host of its own in it, out of the way of the ports the kernel gives to clients.
pub(crate) fn free_address() -> SocketAddr {
    static TAKEN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
    let mut taken = TAKEN.lock().unwrap();
    let count = u32::try_from(taken.len()).unwrap();
    let host = 0x7f01_0001 + (std::process::id() % 0x7f00) * 0x80 + count % 0x80;
    taken.insert(count);
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::from_bits(host), 0)).unwrap();
    listener.local_addr().unwrap()
}

/// The lines of an access log.
pub(crate) fn access_log(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    text.lines().map(parse).collect()
}
