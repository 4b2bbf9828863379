//! The promise itself: the file changes five times a second, and no request fails.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{Client, Reply, get, try_get};
use crate::harness::{Place, Tidegate, access_log, eventually, free_address, message, thread};
use crate::origin::Origin;
use crate::tls::{PAIR, Trusting, write_pair};

/// How often the file changes.
const PACE: Duration = Duration::from_millis(200);
/// How often it does: eleven seconds of it.
const TURNS: usize = 55;
/// On a machine that is busy with other things, changes in a row may be one reload.
const RELOADS_MIN: usize = 20;
/// How long the load pauses between two requests, so that tests beside this one get on.
const BREATH: Duration = Duration::from_millis(1);
const KEEP_ALIVE_CLIENTS: usize = 6;
const TLS_CLIENTS: usize = 2;
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
    plain: SocketAddr,
    secure: SocketAddr,
    tls: Trusting,
    over: AtomicBool,
}

impl Load {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Whether the connection is to be given up.
    fn judge(seen: &mut Seen, outcome: io::Result<Reply>) -> bool {
        match outcome {
            Ok(reply) if reply.status == 200 && reply.body == "origin" => {
                seen.requests += 1;
                std::thread::sleep(BREATH);
                return reply.closes;
            }
            Ok(reply) => seen.failures.push(format!("{reply:?}")),
            Err(error) => seen.failures.push(error.to_string()),
        }
        true
    }

    /// Keeps its connection for as long as it may.
    fn keep_alive<S: Read + Write>(&self, connect: impl Fn() -> io::Result<Client<S>>) -> Seen {
        let mut seen = Seen::default();
        while !self.is_over() {
            seen.connections += 1;
            let mut client = match connect() {
                Ok(client) => client,
                Err(error) => {
                    seen.failures.push(format!("connecting: {error}"));
                    continue;
                }
            };
            while !self.is_over() {
                if Self::judge(&mut seen, client.try_get("/", "")) {
                    seen.asked_to_leave += 1;
                    if !client.ends() {
                        seen.failures.push("not closed in order".to_owned());
                    }
                    break;
                }
            }
        }
        seen
    }

    /// Takes a new connection for each request.
    fn anew(&self) -> Seen {
        let mut seen = Seen::default();
        while !self.is_over() {
            seen.connections += 1;
            Self::judge(&mut seen, try_get(self.plain, "/"));
        }
        seen
    }
}

fn start_load(load: Load) -> (Arc<Load>, Vec<JoinHandle<Seen>>) {
    let load = Arc::new(load);
    let start = |name, count, work: fn(&Load) -> Seen| {
        let start = move |load: &Arc<Load>| {
            let load = load.clone();
            thread(name, move || work(&load))
        };
        let load = &load;
        (0..count).map(move |_| start(load)).collect::<Vec<_>>()
    };
    let mut clients = start("keep-alive", KEEP_ALIVE_CLIENTS, |load| {
        load.keep_alive(|| Client::try_connect(load.plain))
    });
    clients.extend(start("tls", TLS_CLIENTS, |load| {
        load.keep_alive(|| load.tls.connect(load.secure))
    }));
    clients.extend(start("anew", NEW_CONNECTION_CLIENTS, Load::anew));
    (load, clients)
}

/// The file of one turn: limits change, routes come and go, and so does a whole server.
fn text(plain: SocketAddr, secure: SocketAddr, origin: &Origin, turn: usize) -> String {
    let mut text = format!(
        r#"
[runtime]
workers = 2
pin = false
[access_log]
file = "access.log"
[servers.web]
protocol = "http"
listen = ["{plain}"]
timeouts = {{ idle = "{idle}s" }}
[[servers.web.routes]]
path = "/turn"
respond = {{ status = 200, body = "{turn}" }}
[[servers.web.routes]]
prefix = "/"
upstream = "app"
[servers.secure]
protocol = "http"
listen = ["{secure}"]
limits = {{ connections = {connections} }}
{PAIR}
[[servers.secure.routes]]
prefix = "/"
upstream = "app"
[upstreams.app]
balance = "{balance}"
endpoints = ["{origin}"]
"#,
        idle = 60 + turn % 10,
        connections = 1000 + turn,
        balance = ["round_robin", "least_requests", "random"][turn % 3],
        origin = origin.address,
    );
    for route in 0..turn % 4 {
        let path = format!("[[servers.web.routes]]\npath = \"/extra/{route}\"\n");
        text += &(path + "respond = { status = 204 }\n");
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
    let (plain, secure) = (free_address(), free_address());
    let place = Place::new();
    let tls = Trusting::pem(&write_pair(&place, "web"));
    let mut process = place.start(&text(plain, secure, &origin, 0));
    let (quiet_descriptors, quiet_threads) = (descriptors(&process, &origin), process.threads());
    let (load, clients) = start_load(Load {
        plain,
        secure,
        tls,
        over: AtomicBool::new(false),
    });

    let begun = Instant::now();
    let mut turn: usize = 0;
    let mut warm_kib = None;
    while turn < TURNS {
        turn += 1;
        let text = text(plain, secure, &origin, turn);
        match turn % 2 {
            0 => process.place.write(&text),
            _ => process.place.write_in_place(&text),
        }
        // The others are left to the watch on the file.
        if turn % 4 < 2 {
            process.signal(Signal::HUP);
        }
        // A turn that took longer is made up for.
        let next = PACE * u32::try_from(turn).unwrap();
        std::thread::sleep(next.saturating_sub(begun.elapsed()));
        if warm_kib.is_none() && begun.elapsed() > Duration::from_secs(1) {
            warm_kib = Some(process.resident_kib());
        }
    }
    let last = turn.to_string();
    eventually("the last file in force", || {
        (get(plain, "/turn").body == last).then_some(())
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
    assert!(reloads >= RELOADS_MIN, "{reloads} of {turn}");
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

    process.stop();
    process.rest_of_log();
    let last = process.logged("reloaded");
    let generation = last.last().unwrap()["generation"].as_str().unwrap();
    let generation: u64 = generation.parse().unwrap();
    let lines = access_log(&process.place.path("access.log"));
    let served = lines.iter().filter(|line| line["path"] == "/").count();
    assert_eq!(served as u64, requests, "every request is in the log, once");
    let newest = lines
        .iter()
        .map(|line| line["generation"].as_u64().unwrap());
    assert_eq!(newest.max(), Some(generation));
    assert_eq!(message(&process.next("stopped")), "stopped");
}
