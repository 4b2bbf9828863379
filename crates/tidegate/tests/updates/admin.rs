//! The admin server: what it tells, what it does, and whom it trusts.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::client::{Client, get};
use crate::harness::{DEADLINE, Place, Tidegate, eventually, free_address};
use crate::origin::Origin;

/// The binary in front of an origin, with an admin server.
pub(crate) struct Rig {
    pub(crate) process: Tidegate,
    origin: Origin,
    pub(crate) web: SocketAddr,
    pub(crate) admin: SocketAddr,
}

fn text(origin: &Origin, web: SocketAddr, admin: &str, more: &str) -> String {
    format!(
        r#"
[admin]
{admin}

[servers.web]
protocol = "http"
listen = ["{web}"]

[[servers.web.routes]]
prefix = "/"
name = "everything"
upstream = "app"

[upstreams.app]
endpoints = ["{}"]
{more}
"#,
        origin.address
    )
}

impl Rig {
    fn start() -> Self {
        Self::with("", "")
    }

    /// With more keys in `[admin]`, and more sections.
    pub(crate) fn with(keys: &str, more: &str) -> Self {
        let origin = Origin::start("origin");
        let (web, admin) = (free_address(), free_address());
        let admin_section = format!("listen = \"{admin}\"\n{keys}");
        let process = Tidegate::start(&text(&origin, web, &admin_section, more));
        Self {
            process,
            origin,
            web,
            admin,
        }
    }

    pub(crate) fn text(&self, more: &str) -> String {
        let admin = format!("listen = \"{}\"", self.admin);
        text(&self.origin, self.web, &admin, more)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, fields: &str) -> Reply {
        ask(self.admin, method, path, fields)
    }

    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let reply = self.ask("GET", "/metrics", "");
        assert_eq!(reply.status, 200);
        samples(&reply.body)
    }

    pub(crate) fn tidegate(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(arguments)
            .args(["--admin", &self.admin.to_string()])
            .output()
            .unwrap()
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, fields: &str) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    Reply {
        status: head[9..12].parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// The samples of an OpenMetrics page, by name and labels. Panics over a page that is none:
/// samples before their type, counters without `_total`, histograms that do not add up.
pub(crate) fn samples(page: &str) -> BTreeMap<String, f64> {
    let mut kinds = BTreeMap::new();
    let mut samples = BTreeMap::new();
    let mut family = String::new();
    let body = page.strip_suffix("# EOF\n").expect("the page has an end");
    for line in body.lines() {
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (what, name) = (words.next().unwrap(), words.next().unwrap());
            if what == "TYPE" {
                family = name.to_owned();
                let before = kinds.insert(family.clone(), words.next().unwrap().to_owned());
                assert!(before.is_none(), "{name} has two types");
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let bare = name.split('{').next().unwrap();
        let suffix = bare
            .strip_prefix(&family)
            .unwrap_or_else(|| panic!("{line}"));
        let allowed: &[&str] = match kinds[&family].as_str() {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_count", "_sum"],
            _ => &[""],
        };
        assert!(allowed.contains(&suffix), "{line}");
        let before = samples.insert(name.to_owned(), value);
        assert!(before.is_none(), "{name} stands there twice");
    }
    for (name, count) in samples.iter().filter(|(name, _)| name.contains("_count{")) {
        let last = name.replace("_count{", "_bucket{le=\"+Inf\",");
        let other = name
            .replace("_count{", "_bucket{")
            .replace('}', ",le=\"+Inf\"}");
        let infinite = samples.get(&last).or_else(|| samples.get(&other));
        assert_eq!(infinite, Some(count), "{name}");
    }
    samples
}

/// The sum of a family's samples whose labels contain all of `labels`.
fn sum(samples: &BTreeMap<String, f64>, family: &str, labels: &[&str]) -> f64 {
    let of_family = |name: &str| name.split('{').next() == Some(family);
    let found = samples
        .iter()
        .filter(|(name, _)| of_family(name) && labels.iter().all(|label| name.contains(label)));
    found.map(|(_, value)| value).sum()
}

#[test]
fn every_door_answers_and_no_other_does() {
    let rig = Rig::start();
    assert_eq!(rig.ask("GET", "/healthz", "").status, 200);
    assert_eq!(rig.ask("GET", "/readyz", "").body, "ready\n");
    let status = rig.ask("GET", "/status", "").json();
    assert_eq!(status["sites"]["web"]["listen"][0], rig.web.to_string());
    assert_eq!(status["sites"]["web"]["generation"], 1);
    let services = status["services"].as_array().unwrap();
    let state_of = |name: &str| {
        let service = services.iter().find(|it| it["name"] == *name);
        service.unwrap_or_else(|| panic!("{name} is not in {services:?}"))["state"].clone()
    };
    for name in ["admin", "worker-0", "deployment", "config-watch", "dns-0"] {
        assert_eq!(state_of(name), "ready", "{name}");
    }
    assert!(rig.ask("GET", "/config", "").body.contains("everything"));
    let missing = rig.ask("GET", "/nothing", "");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("/readyz"));
    let wrong = rig.ask("GET", "/reload", "");
    assert_eq!(wrong.status, 405);
    assert!(wrong.head.contains("allow: post"));
    let wrong = rig.ask("POST", "/metrics", "");
    assert!(wrong.head.contains("allow: get, head"));
}

#[test]
fn a_token_keeps_everybody_else_out() {
    let rig = Rig::with("token = \"0123456789abcdef\"", "");
    assert_eq!(rig.ask("GET", "/healthz", "").status, 200);
    for wrong in ["", "Authorization: Bearer 0123456789abcdee\r\n"] {
        let refused = rig.ask("POST", "/drain", wrong);
        assert_eq!(refused.status, 401);
        assert!(refused.head.contains("www-authenticate: bearer"));
    }
    let right = "Authorization: Bearer 0123456789abcdef\r\n";
    assert_eq!(rig.ask("GET", "/status", right).status, 200);
    let shown = rig.ask("GET", "/config", right).body;
    assert!(!shown.contains("0123456789"), "{shown}");
}

#[test]
fn a_reload_by_post_tells_its_outcome() {
    let rig = Rig::start();
    let unchanged = rig.ask("POST", "/reload", "").json();
    assert_eq!(unchanged["generation"], Value::Null);
    // Renamed into place only when the reload is to be about it: the watch sees it too.
    std::fs::write(rig.process.place.config(), "[servers.web]\nprotocol = 5\n").unwrap();
    let refused = rig.ask("POST", "/reload", "");
    assert_eq!(refused.status, 422);
    let mistakes = refused.json()["mistakes"].as_array().unwrap().len();
    assert!(mistakes >= 2, "{}", refused.body);
    assert_eq!(get(rig.web, "/").status, 200);
    rig.process
        .place
        .write(&rig.text("[dns]\nrefresh = \"9s\"\n"));
    let done = eventually("the reload", || {
        let done = rig.ask("POST", "/reload", "");
        (done.status == 200).then(|| done.json())
    });
    assert_eq!(done["outcome"], "reloaded");
    let reloads = &rig.ask("GET", "/status", "").json()["reloads"];
    assert!(reloads["rejected"].as_u64().unwrap() >= 1, "{reloads}");
}

#[test]
fn metrics_count_each_request_once_over_updates_too() {
    let rig = Rig::start();
    let mut client = Client::connect(rig.web);
    for _ in 0..25 {
        assert_eq!(client.get("/").status, 200);
    }
    let answered = |samples: &BTreeMap<String, f64>| {
        let labels = ["site=\"web\"", "route=\"everything\"", "class=\"2xx\""];
        sum(samples, "tidegate_requests_total", &labels)
    };
    let before = rig.metrics();
    assert_eq!(answered(&before), 25.0);
    let durations = sum(
        &before,
        "tidegate_request_duration_seconds_count",
        &["everything"],
    );
    assert_eq!(durations, 25.0);
    let upstream = ["upstream=\"app\"", "connection=\"new\""];
    let made = sum(&before, "tidegate_upstream_requests_total", &upstream);
    let kept = ["upstream=\"app\"", "connection=\"reused\""];
    let reused = sum(&before, "tidegate_upstream_requests_total", &kept);
    assert_eq!(
        (made + reused, made),
        (25.0, rig.origin.connections() as f64)
    );
    rig.process
        .update(&rig.text("[[servers.web.routes]]\npath = \"/x\"\nrespond = {}\n"));
    for _ in 0..5 {
        assert_eq!(get(rig.web, "/").status, 200);
    }
    let after = rig.metrics();
    assert_eq!(answered(&after), 30.0);
    for (name, value) in before.iter().filter(|(name, _)| name.contains("_total")) {
        assert!(
            after.get(name).is_some_and(|later| later >= value),
            "{name}"
        );
    }
    // What bites is counted: a request that is none, and one for a host that is not there.
    let bad = ask(rig.web, "GET", "/", "Content-Length: x\r\n");
    assert_eq!(bad.status, 400);
    assert_eq!(sum(&rig.metrics(), "tidegate_faults_total", &[]), 1.0);
}

#[test]
fn a_page_in_a_browser_commands_nothing() {
    let rig = Rig::start();
    let posted = rig.ask("POST", "/drain", "Origin: https://evil.example\r\n");
    assert_eq!(posted.status, 403);
    assert_eq!(rig.ask("GET", "/readyz", "").status, 200);
}

#[test]
fn every_limit_that_bites_is_counted_by_its_name() {
    let (origin, web, admin) = (Origin::start("origin"), free_address(), free_address());
    let keys = "protocol = \"http\"\ntimeouts = { header = \"100ms\", idle = \"100ms\" }\n\
                limits = { connections = 4, request_line_bytes = 100, header_bytes = 200, \
                header_count = 3, body_bytes = 10, requests_per_connection = 2 }";
    let section = format!("listen = \"{admin}\"");
    let text = text(&origin, web, &section, "").replace("protocol = \"http\"", keys);
    let _process = Tidegate::start(&text);
    let refused = |request: &str, status: u16| {
        let mut client = Client::connect(web);
        client.stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(client.head().unwrap().0, status);
    };
    let long = "x".repeat(250);
    refused(&format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"), 414);
    refused(
        &format!("GET / HTTP/1.1\r\nhost: a\r\nb: {long}\r\n\r\n"),
        431,
    );
    refused(
        "GET / HTTP/1.1\r\nhost: a\r\nb: 1\r\nc: 1\r\nd: 1\r\n\r\n",
        431,
    );
    refused(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n",
        413,
    );
    refused("GET / HTTP/1.1\r\nhost:", 408);
    let mut client = Client::connect(web);
    assert_eq!(client.get("/").status, 200);
    assert!(client.get("/").closes, "it was the last one");
    let mut idle = Client::connect(web);
    assert_eq!(idle.get("/").status, 200);
    assert!(idle.ends());
    let hits = |limit: &str| {
        let label = format!("limit=\"{limit}\"");
        let page = samples(&ask(admin, "GET", "/metrics", "").body);
        sum(&page, "tidegate_limit_hits_total", &[&label])
    };
    for limit in [
        "request_line_bytes",
        "header_bytes",
        "header_count",
        "body_bytes",
        "header_timeout",
        "requests_per_connection",
        "idle_timeout",
    ] {
        assert_eq!(hits(limit), 1.0, "{limit}");
    }
    assert_eq!(hits("connections"), 0.0);
    let crowd: Vec<Client> = (0..5).map(|_| Client::connect(web)).collect();
    eventually("the limit on connections", || {
        (hits("connections") > 0.0).then_some(())
    });
    drop(crowd);
}

#[test]
fn a_stop_is_announced_before_anything_closes() {
    let mut rig = Rig::with("", "[runtime]\nlame_duck = \"1s\"\n");
    let mut kept = Client::connect(rig.web);
    assert_eq!(kept.get("/").status, 200);
    rig.process.signal(Signal::TERM);
    eventually("readiness to go", || {
        (rig.ask("GET", "/readyz", "").status == 503).then_some(())
    });
    // Unready, and still serving whoever has not heard of it.
    assert_eq!(get(rig.web, "/").status, 200);
    assert_eq!(kept.get("/").status, 200);
    assert_eq!(rig.ask("GET", "/healthz", "").status, 200);
    assert_eq!(rig.process.ended().code(), Some(0));
}

#[test]
fn everything_that_runs_in_the_background_is_a_service() {
    let log = "[access_log]\nfile = \"access.log\"\n[runtime]\nworkers = 2\n";
    let rig = Rig::with("", log);
    let status = rig.ask("GET", "/status", "").json();
    let services = status["services"].as_array().unwrap().iter();
    let ready: Vec<&str> = services
        .filter(|it| it["state"] == "ready")
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    for wanted in [
        "admin",
        "worker-0",
        "worker-1",
        "deployment",
        "dns-0",
        "access-log-1",
        "config-watch",
    ] {
        assert!(ready.contains(&wanted), "{wanted} is not in {ready:?}");
    }
    // Another file has another writer, and the one before goes.
    rig.process
        .update(&rig.text("[access_log]\nfile = \"other.log\"\n[runtime]\nworkers = 2\n"));
    eventually("the writer of the other file", || {
        let told = rig.ask("GET", "/status", "").body;
        (told.contains("access-log-2") && !told.contains("access-log-1")).then_some(())
    });
}

#[test]
fn operators_have_verbs_for_it() {
    let mut rig = Rig::start();
    let status = rig.tidegate(&["status"]);
    assert!(status.status.success());
    let told = String::from_utf8(status.stdout).unwrap();
    assert!(
        told.contains("web") && told.contains(&rig.web.to_string()),
        "{told}"
    );
    let services = rig.tidegate(&["services", "--json"]);
    let value: Value = serde_json::from_slice(&services.stdout).unwrap();
    assert!(value["services"].is_array());
    let reload = rig.tidegate(&["reload"]);
    assert_eq!(reload.stdout, b"nothing has changed\n");
    let log = rig.tidegate(&["log", "debug"]);
    assert_eq!(log.stdout, b"debug\n");
    get(rig.web, "/");
    let config = rig.process.place.config();
    let named = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["status", "--config"])
        .arg(config)
        .output()
        .unwrap();
    assert!(named.status.success());
    assert!(rig.tidegate(&["drain"]).status.success());
    assert_eq!(rig.process.ended().code(), Some(0));
    let nobody = rig.tidegate(&["status"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("cannot connect"));
}

#[test]
fn programs_run_beside_the_servers_and_change_with_the_file() {
    let command = |word: &str| {
        format!(
            "[commands.echo]\nprogram = \"sh\"\n\
             arguments = [\"-c\", \"echo {word}; exec sleep 600\"]\n"
        )
    };
    let mut rig = Rig::with("", &command("first"));
    let line = |event: &Value, word: &str| event["command"] == "echo" && event["line"] == *word;
    rig.process
        .next_that("its first line", |event| line(event, "first"));
    rig.process.place.write(&rig.text(&command("second")));
    rig.process
        .next_that("its second line", |event| line(event, "second"));
    let services = rig.ask("GET", "/status", "").json();
    let services = services["services"].as_array().unwrap();
    let programs = services.iter().filter(|it| it["name"] == "command-echo");
    assert_eq!(programs.count(), 1);
    rig.process.signal(Signal::TERM);
    assert_eq!(rig.process.ended().code(), Some(0));
}

#[test]
fn systemd_hears_of_start_reload_and_stop() {
    let place = Place::new();
    let origin = Origin::start("origin");
    let (web, admin) = (free_address(), free_address());
    let socket = place.path("notify.sock");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(DEADLINE)).unwrap();
    place.write(&text(&origin, web, &format!("listen = \"{admin}\""), ""));
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["run", "--log", "warn", "--config"])
        .arg(place.config())
        .env("NOTIFY_SOCKET", &socket)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let hear = || {
        let mut buffer = [0; 512];
        let count = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    assert_eq!(hear(), "READY=1\n");
    assert_eq!(ask(admin, "POST", "/reload", "").status, 200);
    let reloading = hear();
    let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
    assert!(
        micros.is_some_and(|it| it.trim().parse::<u64>().is_ok()),
        "{reloading}"
    );
    assert_eq!(hear(), "READY=1\n");
    assert_eq!(ask(admin, "POST", "/drain", "").status, 202);
    assert_eq!(hear(), "STOPPING=1\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_socket_that_systemd_holds_outlives_the_process() {
    let (place, origin) = (Place::new(), Origin::start("origin"));
    let admin = format!("listen = \"{}\"", free_address());
    let settings = text(&origin, free_address(), &admin, "");
    let listen = settings.split("listen = [\"").nth(1).unwrap();
    let listen = listen.split('"').next().unwrap();
    place.write(&settings.replace(listen, "systemd:web"));
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    // What systemd does: the socket as descriptor 3, and whom it is for.
    let script = "exec 3<&0 0</dev/null; \
                  LISTEN_FDS=1 LISTEN_FDNAMES=web LISTEN_PID=$$ exec \"$0\" \"$@\"";
    let start = || {
        Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_tidegate")])
            .args(["run", "--log", "warn", "--config"])
            .arg(place.config())
            .stdin(OwnedFd::from(socket.try_clone().unwrap()))
            .spawn()
            .unwrap()
    };
    let mut first = start();
    assert_eq!(get(address, "/").status, 200);
    let pid = rustix::process::Pid::from_child(&first);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert!(first.wait().unwrap().success());
    // Nobody is there now, and yet this request waits in the socket's queue.
    let mut early = Client::connect(address);
    early.send("/", "").unwrap();
    let mut second = start();
    assert_eq!(early.reply().unwrap().status, 200);
    second.kill().unwrap();
    second.wait().unwrap();
}
