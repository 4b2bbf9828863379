//! The binary under test, running.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::Value;
use tempfile::TempDir;

use super::DEADLINE;
use super::peer::Peer;

/// How the binary is started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Launch {
    /// The most descriptors it may have open.
    pub(crate) descriptors_max: Option<u32>,
}

/// A running gateway, killed when dropped.
pub(crate) struct Gateway {
    child: Child,
    following: Option<JoinHandle<()>>,
    log: Arc<Log>,
    directory: Arc<TempDir>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Lines>,
    news: Condvar,
}

#[derive(Default)]
struct Lines {
    all: Vec<Value>,
    ended: bool,
}

/// Settings of a server `web` with one worker whose only route leads to upstream
/// `app`. `more` follows the keys of the upstream, and may begin other sections.
pub(crate) fn proxy_to(endpoints: &[&str], more: &str) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(|it| format!("{it:?}")).collect();
    let endpoints = endpoints.join(", ");
    format!(
        r#"
[runtime]
workers = 1
pin = false

[servers.web]
protocol = "http"
listen = ["127.0.0.1:0"]

[[servers.web.routes]]
prefix = "/"
upstream = "app"

[upstreams.app]
endpoints = [{endpoints}]
{more}
"#
    )
}

impl Gateway {
    /// Starts it with `settings`, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(settings: &str) -> Self {
        let directory = Arc::new(TempDir::new().unwrap());
        Self::launch(settings, directory, Launch::default())
    }

    /// Starts it with a file of settings in `directory`, where its sockets and
    /// certificates may be.
    #[track_caller]
    pub(crate) fn launch(settings: &str, directory: Arc<TempDir>, launch: Launch) -> Self {
        let file = directory.path().join("gateway.toml");
        std::fs::write(&file, settings).unwrap();
        crate::agreement::check(settings, directory.path());
        let mut command = command(launch);
        command
            .args(["run", "--log-format", "json", "--config"])
            .arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let reader = log.clone();
        let following = thread::Builder::new().name("log".to_owned());
        let following = following.spawn(move || reader.follow(stderr)).unwrap();
        let gateway = Self {
            child,
            following: Some(following),
            log,
            directory,
        };
        let listeners = settings
            .lines()
            .filter(|line| line.trim_start().starts_with("listen ="))
            .map(|line| line.matches('"').count() / 2)
            .sum::<usize>();
        gateway.wait_for_log("it listens", |lines| {
            let listening = lines.iter().filter(|line| line["message"] == "listening");
            listening.count() == listeners
        });
        gateway
    }

    /// Waits until its log, line by line, is as wanted.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, what: &str, holds: impl Fn(&[Value]) -> bool) {
        let lines = self.log.lines.lock().unwrap();
        let unmet = |lines: &mut Lines| !lines.ended && !holds(&lines.all);
        let (lines, _) = self
            .log
            .news
            .wait_timeout_while(lines, DEADLINE, unmet)
            .unwrap();
        assert!(holds(&lines.all), "never logged: {what}: {:#?}", lines.all);
    }

    /// The addresses site `site` listens at, in the order of the settings.
    pub(crate) fn addresses(&self, site: &str) -> Vec<String> {
        let lines = self.log.lines.lock().unwrap();
        let listening = lines
            .all
            .iter()
            .filter(|line| line["message"] == "listening");
        listening
            .filter(|line| line["site"] == site)
            .map(|line| line["address"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The TCP address of site `web`.
    pub(crate) fn address(&self) -> SocketAddr {
        let addresses = self.addresses("web");
        addresses.iter().find_map(|it| it.parse().ok()).unwrap()
    }

    /// A new connection to site `web`.
    #[track_caller]
    pub(crate) fn connect(&self) -> Peer {
        Peer::connect(self.address())
    }

    /// Its files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file among its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// What `/proc` says of the process under `name`.
    pub(crate) fn proc(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    /// Whether any connection to an origin's `port` is open on both sides.
    pub(crate) fn is_connected(&self, port: u16) -> bool {
        const ESTABLISHED: &str = "01";
        let wanted = format!(":{port:04X}");
        self.proc("net/tcp").lines().skip(1).any(|line| {
            let mut words = line.split_whitespace().skip(2);
            words.next().is_some_and(|remote| remote.ends_with(&wanted))
                && words.next() == Some(ESTABLISHED)
        })
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().unwrap() * 1024
    }
}

/// A shell that lowers its limit and becomes the binary, or the binary.
fn command(launch: Launch) -> Command {
    let binary = env!("CARGO_BIN_EXE_tidegate");
    let Some(descriptors_max) = launch.descriptors_max else {
        return Command::new(binary);
    };
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n {descriptors_max} && exec \"$0\" \"$@\"");
    shell.args(["-c", &script, binary]);
    shell
}

impl Log {
    fn follow(&self, lines: impl BufRead) {
        for line in lines.lines().map_while(Result::ok) {
            // What is not JSON is a panic's message, or a report of bad settings.
            let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            self.lines.lock().unwrap().all.push(line);
            self.news.notify_all();
        }
        self.lines.lock().unwrap().ended = true;
        self.news.notify_all();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let followed = self.following.take().map(JoinHandle::join);
        assert!(followed.is_some_and(|it| it.is_ok()) || thread::panicking());
        let lines = self.log.lines.lock().unwrap();
        let panicked = lines
            .all
            .iter()
            .any(|line| line.to_string().contains("panic"));
        assert!(
            !panicked || thread::panicking(),
            "it panicked: {:#?}",
            lines.all
        );
    }
}
