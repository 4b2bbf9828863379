//! Another process of the program takes over, and nobody is refused.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::admin::ask;
use crate::client::{Client, get, try_get};
use crate::harness::{Place, Tidegate, eventually, free_address, thread};
use crate::origin::Origin;

/// How many requests the load must have made before and after.
const REQUESTS_MIN: u64 = 200;
const CLIENTS: usize = 4;

/// A process that the test did not start itself; ended with it.
pub(crate) struct Successor(pub(crate) i32);

impl Successor {
    fn runs(&self) -> bool {
        // One that has ended, but whose new parent has not looked, is a zombie.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0));
        stat.is_ok_and(|it| {
            it.rsplit_once(") ")
                .is_some_and(|(_, it)| !it.starts_with('Z'))
        })
    }

    fn signal(&self, signal: Signal) {
        // It may have ended already.
        let _ = kill_process(Pid::from_raw(self.0).unwrap(), signal);
    }

    pub(crate) fn stop(&self) {
        self.signal(Signal::TERM);
        eventually("the end of the successor", || (!self.runs()).then_some(()));
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

struct Rig {
    process: Tidegate,
    origin: Origin,
    web: SocketAddr,
    admin: SocketAddr,
}

impl Rig {
    fn start(program: &Path, place: Place, workers: usize) -> Self {
        let origin = Origin::start("origin");
        let (web, admin) = (free_address(), free_address());
        place.write(&text(&origin, web, admin, workers));
        let config = place.config();
        let arguments = ["run", "--config", config.to_str().unwrap()];
        let process = Tidegate::spawn_program(program, place, &arguments);
        process.listening();
        Self {
            process,
            origin,
            web,
            admin,
        }
    }

    fn of_binary(workers: usize) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_tidegate"));
        Self::start(program, Place::new(), workers)
    }

    fn configure(&self, workers: usize) {
        let text = text(&self.origin, self.web, self.admin, workers);
        self.process.place.write(&text);
    }

    fn status(&self) -> Value {
        ask(self.admin, "GET", "/status", "").json()
    }

    /// Upgrades, and waits until the old process has ended in order.
    fn upgrade(&mut self) -> Successor {
        let reply = ask(self.admin, "POST", "/upgrade", "").json();
        assert_eq!(reply["outcome"], "upgraded", "{reply}");
        let pid = i32::try_from(reply["pid"].as_i64().unwrap()).unwrap();
        let successor = Successor(pid);
        assert_ne!(pid, self.process.pid());
        let status = self.process.ended();
        assert_eq!(status.code(), Some(0), "{}", self.process.log_text());
        successor
    }

    fn upgrade_refused(&self) -> String {
        let reply = ask(self.admin, "POST", "/upgrade", "");
        assert_eq!(reply.status, 409, "{}", reply.body);
        let reason = reply.json()["reason"].as_str().unwrap().to_owned();
        assert_eq!(get(self.web, "/").status, 200);
        reason
    }
}

fn text(origin: &Origin, web: SocketAddr, admin: SocketAddr, workers: usize) -> String {
    format!(
        r#"
[runtime]
workers = {workers}
pin = false
upgrade_timeout = "2s"

[admin]
listen = "{admin}"

[servers.web]
protocol = "http"
listen = ["{web}"]
drain = "5s"

[[servers.web.routes]]
prefix = "/"
upstream = "app"

[upstreams.app]
endpoints = ["{}"]
"#,
        origin.address
    )
}

/// Clients of which some take a new connection for every request, and some keep theirs.
struct Load {
    over: Arc<AtomicBool>,
    done: Arc<std::sync::atomic::AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(web: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let done = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let client = |number: usize| {
            let (over, done) = (Arc::clone(&over), Arc::clone(&done));
            thread("client", move || {
                let mut failures = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let outcome = if number.is_multiple_of(2) {
                        anew(web)
                    } else {
                        kept(web, &over, &done)
                    };
                    match outcome {
                        Ok(()) => drop(done.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => failures.push(error),
                    }
                }
                failures
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self {
            over,
            done,
            clients,
        }
    }

    fn await_more(&self) {
        let wanted = self.done.load(Ordering::Relaxed) + REQUESTS_MIN;
        eventually("requests", || {
            (self.done.load(Ordering::Relaxed) >= wanted).then_some(())
        });
    }

    fn failures(self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        let clients = self.clients.into_iter();
        clients.flat_map(|it| it.join().unwrap()).collect()
    }
}

fn anew(web: SocketAddr) -> Result<(), String> {
    let reply = try_get(web, "/").map_err(|error| format!("anew: {error}"))?;
    (reply.status == 200)
        .then_some(())
        .ok_or_else(|| format!("{reply:?}"))
}

fn kept(
    web: SocketAddr,
    over: &AtomicBool,
    done: &std::sync::atomic::AtomicU64,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("kept: {error}");
    let mut client = Client::try_connect(web).map_err(failed)?;
    while !over.load(Ordering::Relaxed) {
        let reply = client.try_get("/", "").map_err(failed)?;
        if reply.status != 200 {
            return Err(format!("{reply:?}"));
        }
        done.fetch_add(1, Ordering::Relaxed);
        if reply.closes {
            break;
        }
    }
    Ok(())
}

#[test]
fn upgrade_zero_refused_every_core() {
    let mut rig = Rig::of_binary(2);
    let load = Load::start(rig.web);
    load.await_more();
    let successor = rig.upgrade();
    load.await_more();
    let workers = rig.status()["workers"].clone();
    let failures = load.failures();
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(workers.as_array().map(Vec::len), Some(2), "{workers}");
    successor.stop();
}

#[test]
fn upgrade_core_count_change() {
    let mut rig = Rig::of_binary(3);
    let load = Load::start(rig.web);
    load.await_more();
    rig.configure(1);
    let fewer = rig.upgrade();
    load.await_more();
    let failures = load.failures();
    assert!(failures.is_empty(), "{failures:?}");
    let status = rig.status();
    assert_eq!(
        status["workers"].as_array().map(Vec::len),
        Some(1),
        "{status}"
    );

    // The heir of the heir: every queue there ever was is served by more workers again.
    let load = Load::start(rig.web);
    rig.configure(4);
    let reply = ask(rig.admin, "POST", "/upgrade", "").json();
    let pid = i32::try_from(reply["pid"].as_i64().expect("a process")).unwrap();
    let more = Successor(pid);
    eventually("the end of the heir", || (!fewer.runs()).then_some(()));
    load.await_more();
    let failures = load.failures();
    assert!(failures.is_empty(), "{failures:?}");
    let status = rig.status();
    assert_eq!(
        status["workers"].as_array().map(Vec::len),
        Some(4),
        "{status}"
    );
    more.stop();
}

#[test]
fn upgrade_child_crash_old_serves() {
    let place = Place::new();
    let program = place.path("tidegate");
    std::fs::copy(env!("CARGO_BIN_EXE_tidegate"), &program).unwrap();
    let mut rig = Rig::start(&program, place, 2);
    // What an operator would do: a new file takes the old one's name.
    let replace = |script: &str| {
        use std::os::unix::fs::PermissionsExt;
        let new = program.with_extension("new");
        std::fs::write(&new, script).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(new, &program).unwrap();
    };
    replace("#!/bin/sh\nexit 7\n");
    let reason = rig.upgrade_refused();
    assert!(reason.contains("exit status: 7"), "{reason}");

    replace("#!/bin/sh\nexec sleep 60\n");
    let reason = rig.upgrade_refused();
    assert!(reason.contains("did not serve within 2s"), "{reason}");

    std::fs::remove_file(&program).unwrap();
    let reason = rig.upgrade_refused();
    assert!(reason.contains("cannot be started"), "{reason}");

    // A file that is wrong is told by the new process, and costs nothing.
    std::fs::copy(env!("CARGO_BIN_EXE_tidegate"), &program).unwrap();
    rig.process.place.write("[servers.web]\nprotocol = 7\n");
    let reason = rig.upgrade_refused();
    assert!(reason.contains("exit status: 2"), "{reason}");

    rig.configure(2);
    let successor = rig.upgrade();
    assert_eq!(get(rig.web, "/").status, 200);
    successor.stop();
}
