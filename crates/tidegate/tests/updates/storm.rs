//! The promise itself: the file changes five times a second, and no request fails.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{Client, get, try_get};
use crate::harness::{Tidegate, access_log, eventually, free_address, message, thread};
use crate::origin::Origin;

/// How long it blows.
const STORM: Duration = Duration::from_secs(11);
/// How often the file changes.
const PACE: Duration = Duration::from_millis(200);
/// How long the load pauses between two requests, so that tests beside this one get on.
const BREATH: Duration = Duration::from_millis(1);
const KEEP_ALIVE_CLIENTS: usize = 6;
const NEW_CONNECTION_CLIENTS: usize = 2;
/// The most memory may grow once the process is warm. A generation that stayed would cost
/// its chain, its routes and its buffers, fifty times.
const GROWTH_KIB_MAX: u64 = 8 * 1024;

/// What one client saw.
#[derive(Default)]
struct Seen {
    requests: u64,
    connections: u64,
    asked_to_leave: u64,
    failures: Vec<String>,
}

struct Load {
    address: SocketAddr,
    over: AtomicBool,
    requests: AtomicU64,
}

impl Load {
    fn judge(&self, seen: &mut Seen, outcome: io::Result<crate::client::Reply>) -> bool {
        match outcome {
            Ok(reply) if reply.status == 200 && reply.body == "origin" => {
                seen.requests += 1;
                self.requests.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(BREATH);
                return reply.closes;
            }
            Ok(reply) => seen.failures.push(format!("{reply:?}")),
            Err(error) => seen.failures.push(error.to_string()),
        }
        true
    }

    /// Keeps its connection for as long as it may.
    fn keep_alive(&self) -> Seen {
        let mut seen = Seen::default();
        while !self.over.load(Ordering::Relaxed) {
            seen.connections += 1;
            let mut client = match Client::try_connect(self.address) {
                Ok(client) => client,
                Err(error) => {
                    seen.failures.push(format!("connecting: {error}"));
                    continue;
                }
            };
            while !self.over.load(Ordering::Relaxed) {
                let outcome = client.try_get("/", "");
                if self.judge(&mut seen, outcome) {
                    seen.asked_to_leave += 1;
                    break;
                }
            }
        }
        seen
    }

    /// Takes a new connection for each request.
    fn anew(&self) -> Seen {
        let mut seen = Seen::default();
        while !self.over.load(Ordering::Relaxed) {
            seen.connections += 1;
            self.judge(&mut seen, try_get(self.address, "/"));
        }
        seen
    }
}

fn start_load(address: SocketAddr) -> (Arc<Load>, Vec<std::thread::JoinHandle<Seen>>) {
    let load = Arc::new(Load {
        address,
        over: AtomicBool::new(false),
        requests: AtomicU64::new(0),
    });
    let mut clients = Vec::new();
    for _ in 0..KEEP_ALIVE_CLIENTS {
        let load = load.clone();
        clients.push(thread("keep-alive", move || load.keep_alive()));
    }
    for _ in 0..NEW_CONNECTION_CLIENTS {
        let load = load.clone();
        clients.push(thread("new connections", move || load.anew()));
    }
    (load, clients)
}

/// The file of one turn: limits change, routes come and go, and so does a whole server.
fn text(listen: SocketAddr, origin: &Origin, turn: usize) -> String {
    let mut text = format!(
        r#"
[runtime]
workers = 2
pin = false
[access_log]
file = "access.log"
[servers.web]
protocol = "http"
listen = ["{listen}"]
timeouts = {{ idle = "{idle}s" }}
[[servers.web.routes]]
path = "/turn"
respond = {{ status = 200, body = "{turn}" }}
[[servers.web.routes]]
prefix = "/"
upstream = "app"
[upstreams.app]
balance = "{balance}"
endpoints = ["{origin}"]
"#,
        idle = 60 + turn % 10,
        balance = ["round_robin", "least_requests", "random"][turn % 3],
        origin = origin.address,
    );
    for route in 0..turn % 4 {
        write!(
            text,
            "[[servers.web.routes]]\npath = \"/extra/{route}\"\nrespond = {{ status = 204 }}\n"
        )
        .unwrap();
    }
    if turn % 5 == 4 {
        text.push_str("[servers.extra]\nprotocol = \"http\"\nlisten = \"unix:extra.sock\"\n");
    }
    text
}

/// Descriptors that are neither listeners nor workers' own: connections. Those to the
/// origin are kept on purpose and not counted.
fn descriptors(process: &Tidegate, origin: &Origin) -> usize {
    process.descriptors() - origin.open()
}

#[test]
fn a_storm_of_updates_fails_no_request() {
    let origin = Origin::start("origin");
    let listen = free_address();
    let mut process = Tidegate::start(&text(listen, &origin, 0));
    let (quiet_descriptors, quiet_threads) = (descriptors(&process, &origin), process.threads());
    let (load, clients) = start_load(listen);

    let begun = Instant::now();
    let mut turn = 0;
    let mut warm_kib = None;
    while begun.elapsed() < STORM {
        turn += 1;
        let text = text(listen, &origin, turn);
        match turn % 2 {
            0 => process.place.write(&text),
            _ => process.place.write_in_place(&text),
        }
        // The others are left to the watch on the file.
        if turn % 4 < 2 {
            process.signal(Signal::HUP);
        }
        std::thread::sleep(PACE);
        if warm_kib.is_none() && begun.elapsed() > Duration::from_secs(1) {
            warm_kib = Some(process.resident_kib());
        }
    }
    let last = turn.to_string();
    eventually("the last file in force", || {
        (get(listen, "/turn").body == last).then_some(())
    });
    let end_kib = process.resident_kib();
    load.over.store(true, Ordering::Relaxed);
    let seen: Vec<Seen> = clients.into_iter().map(|it| it.join().unwrap()).collect();

    let total = |count: fn(&Seen) -> u64| seen.iter().map(count).sum::<u64>();
    let (requests, connections) = (total(|it| it.requests), total(|it| it.connections));
    let failures: Vec<&String> = seen.iter().flat_map(|it| &it.failures).collect();
    let reloads = process.logged("reloaded").len();
    let warm_kib = warm_kib.unwrap();
    println!(
        "{turn} files, {reloads} reloads, {requests} requests on {connections} connections, {} \
         asked to leave, {} failures, {warm_kib} KiB warm, {end_kib} KiB at the end, {} \
         connections to the origin",
        total(|it| it.asked_to_leave),
        failures.len(),
        origin.connections(),
    );
    assert!(
        failures.is_empty(),
        "{} failed: {failures:?}",
        failures.len()
    );
    assert!(
        turn >= 40 && reloads * 10 >= turn * 9,
        "{reloads} of {turn}"
    );
    assert!(requests > 1000, "{requests} requests prove nothing");
    assert!(
        end_kib <= warm_kib + GROWTH_KIB_MAX,
        "{warm_kib} KiB have become {end_kib}"
    );
    let dropped = process.logged("connections dropped at the drain deadline");
    assert!(dropped.is_empty(), "{dropped:?}");
    eventually("the end of all old generations", || {
        let quiet = descriptors(&process, &origin) <= quiet_descriptors;
        (quiet && process.threads() <= quiet_threads).then_some(())
    });

    let last = process.logged("reloaded");
    let generation = last.last().unwrap()["generation"].as_str().unwrap();
    let generation: u64 = generation.parse().unwrap();
    process.stop();
    let lines = access_log(&process.place.path("access.log"));
    let served = lines.iter().filter(|line| line["path"] == "/").count();
    assert_eq!(served as u64, requests, "every request is in the log, once");
    let newest = lines
        .iter()
        .map(|line| line["generation"].as_u64().unwrap());
    assert_eq!(newest.max(), Some(generation));
    assert_eq!(message(&process.next("stopped")), "stopped");
}
