//! How the process ends: in order, at its deadline, or at once.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::admin::ask;
use crate::client::{Client, get, tcp};
use crate::harness::{Place, Tidegate, eventually, free_address, thread};
use crate::origin::Origin;
use crate::tls::{PAIR, Trusting, write_pair};

/// Long before any drain deadline of these tests that is not to be met.
const PROMPTLY: Duration = Duration::from_secs(5);

fn server(name: &str, listen: SocketAddr, keys: &str) -> String {
    format!(
        r#"
[servers.{name}]
protocol = "http"
listen = ["{listen}"]
{keys}
[[servers.{name}.routes]]
prefix = "/"
upstream = "app"
"#
    )
}

fn upstream(origin: &Origin) -> String {
    format!("[upstreams.app]\nendpoints = [\"{}\"]\n", origin.address)
}

struct Started {
    process: Tidegate,
    listen: SocketAddr,
    origin: Origin,
}

fn start(drain: &str) -> Started {
    let (origin, listen) = (Origin::start("origin"), free_address());
    let keys = format!("drain = \"{drain}\"");
    let text = server("web", listen, &keys) + &upstream(&origin);
    Started {
        process: Tidegate::start(&text),
        listen,
        origin,
    }
}

impl Started {
    /// Connections that wait for a response.
    fn busy(&self, count: usize) -> Vec<Client> {
        let mut busy = Vec::new();
        for _ in 0..count {
            let mut client = Client::connect(self.listen);
            client.send("/slow", "").unwrap();
            busy.push(client);
        }
        self.origin.await_requests(count);
        busy
    }

    fn signal_and_await_refusal(&self, signal: Signal) {
        self.process.signal(signal);
        self.process.next("stopping: no new connections, draining");
        eventually("new connections are refused", || {
            TcpStream::connect(self.listen).is_err().then_some(())
        });
    }
}

fn finishes_what_was_begun(signal: Signal) {
    let mut started = start("60s");
    let mut busy = started.busy(3);
    started.signal_and_await_refusal(signal);
    assert!(started.process.runs(), "it waits for its responses");
    for _ in &busy {
        started.origin.release();
    }
    for client in &mut busy {
        let reply = client.reply().unwrap();
        assert_eq!(
            (reply.status, &*reply.body, reply.closes),
            (200, "origin", true)
        );
        assert!(client.ends());
    }
    let begun = Instant::now();
    assert_eq!(started.process.ended().code(), Some(0));
    assert!(begun.elapsed() < PROMPTLY, "{:?}", begun.elapsed());
    assert_eq!(started.process.next("stopped")["dropped"], 0);
}

#[test]
fn sigterm_finishes_what_was_begun_and_takes_nothing_new() {
    finishes_what_was_begun(Signal::TERM);
}

#[test]
fn sigint_does_the_same() {
    finishes_what_was_begun(Signal::INT);
}

/// Asks until it is told to leave, the connection ends, or nobody listens any more.
fn ask_until_the_end(listen: SocketAddr) -> Result<u64, String> {
    let mut served = 0;
    while let Ok(mut client) = Client::try_connect(listen) {
        for turn in 0.. {
            match client.try_get("/", "") {
                Ok(reply) if reply.status != 200 => return Err(format!("{reply:?}")),
                Ok(reply) => {
                    served += 1;
                    if reply.closes {
                        break;
                    }
                }
                // Nothing of an answer, in order: the connection idled, and its end crossed
                // the request. That is for the client to try again.
                Err(error) if turn > 0 && error.kind() == ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(format!("request {turn} of a connection: {error}")),
            }
        }
    }
    Ok(served)
}

#[test]
fn sigterm_under_load_resets_nobody() {
    const CLIENTS: usize = 6;
    const SLOW: usize = 4;
    let (origin, listen, admin) = (Origin::start("origin"), free_address(), free_address());
    let text = format!("[runtime]\nlame_duck = \"300ms\"\n[admin]\nlisten = \"{admin}\"\n")
        + &server("web", listen, "drain = \"60s\"")
        + &upstream(&origin);
    let mut started = Started {
        process: Tidegate::start(&text),
        listen,
        origin,
    };
    let mut slow = started.busy(SLOW);
    let load: Vec<_> = (0..CLIENTS)
        .map(|_| thread("client", move || ask_until_the_end(listen)))
        .collect();
    started.origin.await_requests(SLOW + 20 * CLIENTS);

    started.process.signal(Signal::TERM);
    eventually("readiness to go", || {
        (ask(admin, "GET", "/readyz", "").status == 503).then_some(())
    });
    assert!(
        TcpStream::connect(listen).is_ok(),
        "unready before it is closed"
    );
    for client in load {
        let served = client.join().unwrap();
        assert!(served.as_ref().is_ok_and(|it| *it >= 20), "{served:?}");
    }
    assert!(TcpStream::connect(listen).is_err());
    assert!(started.process.runs(), "it waits for its responses");
    for _ in &slow {
        started.origin.release();
    }
    for client in &mut slow {
        let reply = client.reply().unwrap();
        assert_eq!((reply.status, &*reply.body), (200, "origin"));
        assert!(client.ends());
    }
    assert_eq!(started.process.ended().code(), Some(0));
    assert_eq!(started.process.next("stopped")["dropped"], 0);
}

#[test]
fn a_program_that_would_not_stop_is_named_and_does_not_delay_the_end() {
    let (origin, listen) = (Origin::start("origin"), free_address());
    let program = "[commands.stubborn]\nprogram = \"sh\"\nstop_timeout = \"300ms\"\n\
         arguments = [\"-c\", \"trap '' TERM; echo up; while :; do sleep 600; done\"]\n";
    let text = server("web", listen, "") + &upstream(&origin) + program;
    let mut process = Tidegate::start(&text);
    process.next_that("its line", |event| event["line"] == "up");
    let begun = Instant::now();
    process.signal(Signal::TERM);
    let named = process.next("did not stop when asked and is killed");
    assert!(
        named["service"]
            .as_str()
            .unwrap()
            .contains("command-stubborn")
    );
    assert_eq!(process.ended().code(), Some(0));
    assert!(begun.elapsed() < PROMPTLY, "{:?}", begun.elapsed());
}

#[test]
fn who_idles_does_not_delay_the_end() {
    let (origin, listen, secure) = (Origin::start("origin"), free_address(), free_address());
    let place = Place::new();
    let tls = Trusting::pem(&write_pair(&place, "web"));
    let text = server("web", listen, "drain = \"60s\"")
        + &server("secure", secure, &format!("drain = \"60s\"\n{PAIR}"))
        + &upstream(&origin);
    let mut process = place.start(&text);

    let mut idle = Client::connect(listen);
    assert_eq!(idle.get("/").status, 200);
    let mut idle_tls = tls.connect(secure).unwrap();
    assert_eq!(idle_tls.get("/").status, 200);
    let mut silent_tls = tls.connect(secure).unwrap();
    let silent = tcp(listen).unwrap();
    let before_handshake = tcp(secure).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(listen).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        let talk = async {
            let request = http::Request::get("http://test/").body(()).unwrap();
            let (response, _) = sender.send_request(request, true).unwrap();
            assert_eq!(response.await.unwrap().status(), 200);
            process.signal(Signal::TERM);
            sender
        };
        // The client stays, and goes only because it is asked to.
        let (ended, _sender) = tokio::join!(connection, talk);
        ended.unwrap();
    });

    let begun = Instant::now();
    assert_eq!(process.ended().code(), Some(0));
    assert!(begun.elapsed() < PROMPTLY, "{:?}", begun.elapsed());
    assert_eq!(process.next("stopped")["dropped"], 0);
    assert!(idle.ends() && Client::over(silent).ends());
    assert!(Client::over(before_handshake).ends());
    assert!(idle_tls.ends(), "with the closing word of TLS");
    assert!(silent_tls.ends(), "with the closing word of TLS");
}

#[test]
fn who_connected_before_the_end_may_still_ask() {
    let mut started = start("60s");
    let mut late = Client::connect(started.listen);
    started.signal_and_await_refusal(Signal::TERM);
    let reply = late.try_get("/", "").unwrap();
    assert_eq!((reply.status, reply.closes), (200, true));
    assert_eq!(started.process.ended().code(), Some(0));
}

#[test]
fn the_deadline_cuts_what_does_not_end() {
    let mut started = start("300ms");
    let mut busy = started.busy(2);
    started.process.signal(Signal::TERM);
    let begun = Instant::now();
    assert_eq!(started.process.ended().code(), Some(0));
    assert!(begun.elapsed() < PROMPTLY, "{:?}", begun.elapsed());
    assert_eq!(started.process.next("stopped")["dropped"], 2);
    for client in &mut busy {
        assert!(client.reply().is_err());
    }
}

#[test]
fn each_server_has_its_own_deadline() {
    let (origin, short, long) = (Origin::start("origin"), free_address(), free_address());
    let text = server("short", short, "drain = \"300ms\"")
        + &server("long", long, "drain = \"60s\"")
        + &upstream(&origin);
    let mut process = Tidegate::start(&text);
    let (mut cut, mut kept) = (Client::connect(short), Client::connect(long));
    cut.send("/slow", "").unwrap();
    kept.send("/slow", "").unwrap();
    origin.await_requests(2);
    process.signal(Signal::TERM);
    assert!(cut.reply().is_err());
    assert!(process.runs());
    origin.release();
    origin.release();
    assert_eq!(kept.reply().unwrap().body, "origin");
    assert_eq!(process.ended().code(), Some(0));
    assert_eq!(process.next("stopped")["dropped"], 1);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM)] {
        let mut started = start("60s");
        let mut busy = started.busy(1);
        started.signal_and_await_refusal(first);
        started.process.signal(second);
        let begun = Instant::now();
        assert_eq!(started.process.ended().code(), Some(3));
        assert!(begun.elapsed() < PROMPTLY, "{:?}", begun.elapsed());
        assert!(busy[0].reply().is_err());
    }
}

#[test]
fn a_signal_during_an_update_stops() {
    let mut started = start("60s");
    assert_eq!(get(started.listen, "/").body, "origin");
    let keys = "timeouts = { idle = \"9s\" }";
    let text = server("web", started.listen, keys) + &upstream(&started.origin);
    started.process.place.write(&text);
    started.process.signal(Signal::HUP);
    started.process.signal(Signal::TERM);
    assert_eq!(started.process.ended().code(), Some(0));
}

/// Runs it with a file that says `text`, up to its end.
fn not_started(place: Place, text: &str) -> (Option<i32>, String) {
    place.write(text);
    let config = place.config();
    let arguments = ["run", "--config", config.to_str().unwrap()];
    let mut process = Tidegate::spawn(place, &arguments);
    let code = process.ended().code();
    let text = process.rest_of_log();
    (code, text)
}

#[test]
fn a_bad_file_is_exit_code_2() {
    let (code, log) = not_started(Place::new(), "[servers.web]\nprotocol = \"http\"\n");
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("servers.web.listen"), "{log}");

    let place = Place::new();
    let absent = place.path("absent.toml");
    let mut process = Tidegate::spawn(place, &["run", "--config", absent.to_str().unwrap()]);
    assert_eq!(process.ended().code(), Some(2));
}

#[test]
fn a_port_in_use_is_exit_code_1() {
    let theirs = TcpListener::bind(free_address()).unwrap();
    let taken = theirs.local_addr().unwrap();
    let text = format!("[servers.web]\nprotocol = \"http\"\nlisten = \"{taken}\"\n");
    let (code, log) = not_started(Place::new(), &text);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains(&taken.to_string()), "{log}");
}

#[test]
fn a_pair_that_does_not_fit_is_exit_code_1() {
    let place = Place::new();
    write_pair(&place, "web");
    write_pair(&place, "other");
    std::fs::copy(place.path("other.key"), place.path("web.key")).unwrap();
    let listen = free_address();
    let text = format!("[servers.web]\nprotocol = \"http\"\nlisten = \"{listen}\"\n{PAIR}\n");
    let (code, log) = not_started(place, &text);
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("servers.web.tls") && log.contains("web.key"),
        "{log}"
    );
}
