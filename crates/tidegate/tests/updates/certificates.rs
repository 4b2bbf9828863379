//! Certificates renewed while connections last.

use std::net::SocketAddr;

use rustix::process::Signal;

use crate::harness::{Place, Tidegate, free_address};
use crate::tls::{PAIR, Trusting, write_pair};

fn text(listen: SocketAddr) -> String {
    format!(
        r#"
[servers.web]
protocol = "http"
listen = ["{listen}"]
{PAIR}
[[servers.web.routes]]
prefix = "/"
respond = {{ status = 200, body = "web" }}
"#
    )
}

struct Started {
    process: Tidegate,
    listen: SocketAddr,
    old_chain: String,
    old: Trusting,
}

fn start() -> Started {
    let place = Place::new();
    let old_chain = write_pair(&place, "web");
    let old = Trusting::pem(&old_chain);
    let listen = free_address();
    Started {
        process: place.start(&text(listen)),
        listen,
        old_chain,
        old,
    }
}

#[test]
fn a_renewed_certificate_is_served_to_new_connections() {
    let Started {
        process,
        listen,
        old_chain,
        old,
    } = start();
    let mut lasting = old.connect(listen).unwrap();
    assert!(!lasting.get("/").closes);

    let new = Trusting::pem(&write_pair(&process.place, "web"));
    assert_eq!(process.next("reloaded")["cause"], "file change");

    assert_eq!(new.connect(listen).unwrap().get("/").body, "web");
    let reply = lasting.get("/");
    assert_eq!((&*reply.body, reply.closes), ("web", true));
    assert!(lasting.ends(), "and it was told so by TLS");
    let stranger = Trusting::pem(&old_chain);
    assert!(
        stranger.connect(listen).is_err(),
        "the old one is not served any more"
    );

    // Nothing has changed since.
    process.signal(Signal::HUP);
    process.next("reloaded: nothing has changed");
}

#[test]
fn a_pair_that_does_not_fit_is_refused_and_the_old_one_served_on() {
    let Started {
        process,
        listen,
        old,
        ..
    } = start();
    let mut lasting = old.connect(listen).unwrap();
    assert!(!lasting.get("/").closes);
    let good_key = std::fs::read(process.place.path("web.key")).unwrap();
    let refused = |what: &str| {
        process.signal(Signal::HUP);
        let event = process.next("reload rejected; serving on");
        let error = event["error"].as_str().unwrap().to_owned();
        assert!(error.contains("servers.web.tls"), "{error}");
        assert!(error.contains(what), "{error}");
        assert_eq!(old.connect(listen).unwrap().get("/").body, "web");
    };

    write_pair(&process.place, "other");
    let other_key = process.place.path("other.key");
    std::fs::copy(other_key, process.place.path("web.key")).unwrap();
    refused("web.key");
    std::fs::write(process.place.path("web.key"), "half a k").unwrap();
    refused("web.key");
    let chain = std::fs::read(process.place.path("web.crt")).unwrap();
    std::fs::write(process.place.path("web.crt"), "").unwrap();
    refused("web.crt");
    assert!(!lasting.get("/").closes, "nobody was asked to leave");

    // As it was: not even a new generation.
    std::fs::write(process.place.path("web.crt"), chain).unwrap();
    std::fs::write(process.place.path("web.key"), good_key).unwrap();
    process.signal(Signal::HUP);
    process.next("reloaded: nothing has changed");
    assert!(!lasting.get("/").closes);
}
