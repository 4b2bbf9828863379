//! Addresses that come, go and change hands.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use crate::client::{Client, get, try_get};
use crate::harness::{Place, Tidegate, free_address, thread};

const UPDATES: usize = 20;

/// A server that says its name.
fn server(name: &str, listen: &[&str]) -> String {
    format!(
        r#"
[servers.{name}]
protocol = "http"
listen = {listen:?}
[[servers.{name}.routes]]
prefix = "/"
respond = {{ status = 200, body = "{name}" }}
"#
    )
}

fn at(name: &str, address: SocketAddr) -> String {
    server(name, &[&address.to_string()])
}

fn is_refused(address: SocketAddr) -> bool {
    match TcpStream::connect(address) {
        Ok(_) => false,
        Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
    }
}

fn ask_unix(path: &Path) -> io::Result<String> {
    let mut client = Client::over(UnixStream::connect(path)?);
    Ok(client.try_get("/", "connection: close\r\n")?.body)
}

#[test]
fn addresses_are_added_and_removed() {
    let (first, second, third) = (free_address(), free_address(), free_address());
    let both = server("web", &[&first.to_string(), &second.to_string()]);
    let process = Tidegate::start(&at("web", first));
    assert!(is_refused(second));

    process.update(&both);
    assert_eq!(process.listening_at("web"), first);
    assert_eq!(
        (&*get(first, "/").body, &*get(second, "/").body),
        ("web", "web")
    );

    process.update(&(both + &at("other", third)));
    assert_eq!(get(third, "/").body, "other");

    process.update(&at("web", second));
    assert_eq!(get(second, "/").body, "web");
    assert!(is_refused(first), "the address was taken away");
    assert!(is_refused(third), "the server was taken away");
    let gone = process.next("no longer listening");
    assert_eq!(gone["address"], third.to_string());
}

#[test]
fn a_changed_address_leaves_those_connected_in_peace() {
    let (old, new) = (free_address(), free_address());
    let process = Tidegate::start(&at("web", old));
    let mut client = Client::connect(old);
    assert!(!client.get("/").closes);
    process.update(&at("web", new));
    assert!(is_refused(old));
    let reply = client.get("/");
    assert!(reply.status == 200 && reply.closes, "{reply:?}");
    assert_eq!(get(new, "/").body, "web");
}

#[test]
fn an_address_widened_to_all_hosts_stays() {
    let narrow = free_address();
    let wide = format!("0.0.0.0:{}", narrow.port());
    let process = Tidegate::start(&at("web", narrow));
    process.update(&server("web", &[&wide]));
    assert_eq!(get(narrow, "/").body, "web");
    assert_eq!(get(([127, 0, 0, 1], narrow.port()).into(), "/").body, "web");
    process.update(&at("web", narrow));
    assert_eq!(get(narrow, "/").body, "web");
}

#[test]
fn addresses_change_hands_and_nobody_is_refused() {
    let (left, right) = (free_address(), free_address());
    let pairs = [
        at("one", left) + &at("two", right),
        at("two", left) + &at("one", right),
        // A server that was not there takes the address of one that goes.
        at("three", left) + &at("one", right),
    ];
    let process = Tidegate::start(&pairs[0]);
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let connecting = thread("connecting", move || {
        let mut served = 0_usize;
        while !seen.load(Ordering::Relaxed) {
            for address in [left, right] {
                let reply = try_get(address, "/").unwrap();
                assert_eq!(reply.status, 200);
                served += 1;
            }
        }
        served
    });
    for turn in 1..=UPDATES {
        let pair = &pairs[turn % pairs.len()];
        process.update(pair);
        let expected = ["one", "two", "three"][turn % pairs.len()];
        assert_eq!(get(left, "/").body, expected);
    }
    over.store(true, Ordering::Relaxed);
    let served = connecting.join().unwrap();
    assert!(served > UPDATES, "{served} requests prove nothing");
}

#[test]
fn a_stale_socket_file_is_replaced_and_removed_in_the_end() {
    let place = Place::new();
    let path = place.path("web.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "nobody listens, and the file is there");
    let mut process = place.start(&server("web", &["unix:web.sock"]));
    assert_eq!(ask_unix(&path).unwrap(), "web");
    process.stop();
    assert!(!path.exists(), "the file went with the server");
}

#[test]
fn a_socket_in_use_is_refused_and_so_is_a_file() {
    let listen = free_address().to_string();
    let process = Tidegate::start(&server("web", &[&listen]));
    let path = process.place.path("taken.sock");
    let theirs = UnixListener::bind(&path).unwrap();
    let error = process.update_refused(&server("web", &[&listen, "unix:taken.sock"]));
    assert!(
        error.contains("taken.sock") && error.contains("in use"),
        "{error}"
    );
    drop(theirs);
    assert!(path.exists(), "it was not ours to remove");
    std::fs::remove_file(&path).unwrap();

    std::fs::write(&path, "precious").unwrap();
    let text = server("web", &[&listen, "unix:taken.sock"]) + "# again\n";
    let error = process.update_refused(&text);
    assert!(error.contains("no socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(get(process.listening(), "/").body, "web");
}

#[test]
fn a_port_in_use_rejects_the_whole_update() {
    let (first, second) = (free_address(), free_address());
    let process = Tidegate::start(&at("web", first));
    let mut client = Client::connect(first);
    assert!(!client.get("/").closes);
    let theirs = TcpListener::bind(free_address()).unwrap();
    let taken = theirs.local_addr().unwrap();
    let text = server("web", &[&first.to_string(), &taken.to_string()]) + &at("more", second);

    let error = process.update_refused(&text);
    assert!(error.contains(&taken.to_string()), "{error}");
    assert!(error.contains("defined at 2:1"), "{error}");
    assert!(is_refused(second), "nothing of the update took effect");
    let reply = client.get("/");
    assert!(!reply.closes, "nobody was asked to leave");
    assert_eq!(get(first, "/").body, "web");

    // The same file, once the port is free.
    drop(theirs);
    process.signal(Signal::HUP);
    process.next("reloaded");
    assert_eq!(
        (&*get(taken, "/").body, &*get(second, "/").body),
        ("web", "more")
    );
}
