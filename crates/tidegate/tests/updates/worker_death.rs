//! A worker dies of a panic while others are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::admin::Rig;
use crate::client::{Client, try_get};
use crate::harness::{eventually, thread};

const KEPT: usize = 32;
const CLIENTS: usize = 3;
/// The longest a core may be without its site.
const OUTAGE_MAX: Duration = Duration::from_secs(1);

fn open_on(status: &Value, worker: u64) -> usize {
    let generations = status["sites"]["web"]["generations"].as_array().unwrap();
    let mine = generations.iter().filter(|it| it["worker"] == worker);
    let open: u64 = mine.map(|it| it["connections"].as_u64().unwrap()).sum();
    usize::try_from(open).unwrap()
}

fn restarts(rig: &Rig) -> f64 {
    let name = "tidegate_service_restarts_total{service=\"worker-1\"}";
    rig.metrics().get(name).copied().unwrap_or(0.0)
}

#[test]
fn per_core_panic_under_load_costs_the_others_nothing() {
    let rig = Rig::with("drills = true\n", "[runtime]\nworkers = 2\npin = false\n");
    let web = rig.web;
    let mut kept: Vec<Client> = (0..KEPT).map(|_| Client::connect(web)).collect();
    for client in &mut kept {
        assert_eq!(client.get("/").status, 200);
    }
    let status = rig.ask("GET", "/status", "").json();
    let (first, second) = (open_on(&status, 0), open_on(&status, 1));
    assert_eq!(first + second, KEPT, "{status}");
    assert!(first > 0 && second > 0, "the kernel spreads connections");

    let over = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let over = Arc::clone(&over);
            thread("anew", move || {
                let (mut served, mut failed) = (0, 0);
                while !over.load(Ordering::Relaxed) {
                    match try_get(web, "/") {
                        Ok(reply) if reply.status == 200 => served += 1,
                        Ok(_) | Err(_) => failed += 1,
                    }
                }
                (served, failed)
            })
        })
        .collect();

    let died = Instant::now();
    let reply = rig.ask("POST", "/drill?worker=1", "");
    assert_eq!(reply.status, 202, "{}", reply.body);
    rig.process.next("a worker died and is started again");
    eventually("the worker is back", || {
        let status = rig.ask("GET", "/status", "").json();
        let serves = status["workers"][1]["answered"] == true;
        (serves && restarts(&rig) == 1.0).then_some(())
    });
    let outage = died.elapsed();
    assert!(outage < OUTAGE_MAX, "{outage:?}");

    let alive = kept.iter_mut().map(|client| client.try_get("/", ""));
    let alive = alive.filter(|it| it.as_ref().is_ok_and(|reply| reply.status == 200));
    assert_eq!(
        alive.count(),
        first,
        "who was on the other worker, and nobody else"
    );
    // The core serves again: connections come to it.
    let _more: Vec<Client> = (0..KEPT)
        .map(|_| {
            let mut client = Client::connect(web);
            assert_eq!(client.get("/").status, 200);
            client
        })
        .collect();
    let status = rig.ask("GET", "/status", "").json();
    assert!(open_on(&status, 1) > 0, "{status}");

    over.store(true, Ordering::Relaxed);
    for client in load {
        let (served, failed) = client.join().unwrap();
        assert!(served > 0);
        // Only what was being served by the worker that died.
        assert!(failed <= 1, "{failed} of {served} failed");
    }
}

#[test]
fn drills_are_refused_unless_allowed() {
    let rig = Rig::with("", "");
    assert_eq!(rig.ask("POST", "/drill?worker=0", "").status, 403);
    let rig = Rig::with("drills = true\n", "");
    assert_eq!(rig.ask("POST", "/drill", "").status, 400);
    assert_eq!(rig.ask("POST", "/drill?worker=4711", "").status, 409);
}
