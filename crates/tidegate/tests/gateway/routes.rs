//! Routes: where requests go, and what is answered on the spot. And the access log
//! that tells of it.

use serde_json::Value;

use crate::harness::{Gateway, Origin, get, ok, wait_until};

fn settings(origin: &Origin) -> String {
    format!(
        r#"
[runtime]
workers = 1
pin = false

[access_log]
file = "access.jsonl"
flush = "20ms"

[servers.web]
protocol = "http"
listen = ["127.0.0.1:0"]

[[servers.web.routes]]
path = "/hello"
name = "greeting"
respond = {{ status = 418, body = "short", headers = {{ x-a = ["1", "2"] }}, content_type = "text/x" }}

[[servers.web.routes]]
path = "/old/{{*rest}}"
redirect = {{ to = "/new/{{rest}}", status = 301 }}

[[servers.web.routes]]
path = "/secure/{{page}}"
redirect = {{ to = "https://{{host}}/{{page}}", status = 308, query = "drop" }}

[[servers.web.routes]]
prefix = "/api"
host = "api.example.com"
upstream = "app"
rewrite = {{ strip_prefix = "/api" }}
request_headers = {{ set = {{ x-set = "s" }}, remove = ["x-gone"] }}
response_headers = {{ add = {{ x-added = "a" }}, remove = ["server"] }}

[[servers.web.routes]]
path = "/users/{{id}}/{{*rest}}"
upstream = "app"
rewrite = {{ path = "/v2/{{rest}}/of/{{id}}" }}

[upstreams.app]
endpoints = ["{}"]
retries = 0
"#,
        origin.address()
    )
}

#[test]
fn requests_are_answered_on_the_spot() {
    let origin = Origin::named("origin");
    let gateway = Gateway::start(&settings(&origin));
    let mut client = gateway.connect();
    let reply = client.ask(get("/hello"));
    assert_eq!((reply.status(), reply.text().as_str()), (418, "short"));
    assert_eq!(reply.head.all("x-a"), ["1", "2"]);
    assert_eq!(reply.field("content-type"), Some("text/x"));
    let head = client.ask(get("/hello").replacen("GET", "HEAD", 1));
    assert_eq!(head.field("content-length"), Some("5"));
    let reply = client.ask(get("/old/a/b?c=d"));
    assert_eq!(
        (reply.status(), reply.field("location")),
        (301, Some("/new/a/b?c=d"))
    );
    let reply = client.ask(get("/secure/p?c=d"));
    assert_eq!(
        (reply.status(), reply.field("location")),
        (308, Some("https://example.com/p"))
    );
    assert_eq!(client.ask(get("/nowhere")).status(), 404);
    // A body nobody wants is not taken for the next request.
    let post = "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\n";
    client.send([post, "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    assert_eq!(client.reply().status(), 418);
    assert_eq!(client.ask(get("/hello")).status(), 418);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn requests_are_changed_as_their_route_says() {
    let origin = Origin::answering(|request| {
        let answer = ok(request.path());
        answer.replacen("\r\n", "\r\nServer: x\r\n", 1)
    });
    let gateway = Gateway::start(&settings(&origin));
    let mut client = gateway.connect();
    let api = get("/api/x?y").replace("example.com", "api.example.com");
    let reply = client.ask(api.replace("\r\n\r\n", "\r\nX-Gone: g\r\nX-Set: c\r\n\r\n"));
    assert_eq!(reply.text(), "/x?y");
    assert_eq!(
        (reply.field("x-added"), reply.field("server")),
        (Some("a"), None)
    );
    let request = origin.requests().remove(0);
    assert_eq!(
        (request.field("x-set"), request.field("x-gone")),
        (Some("s"), None)
    );
    // Not for this host.
    assert_eq!(client.ask(get("/api/x?y")).status(), 404);
    assert_eq!(client.ask(get("/users/7/a/b?c")).text(), "/v2/a/b/of/7?c");
}

#[test]
fn the_access_log_tells_what_happened() {
    let origin = Origin::start(|visit| {
        while let Some(request) = visit.request() {
            if request.path().starts_with("/v2/cut") {
                return visit.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            }
            visit.send(ok("answer"));
        }
    });
    let gateway = Gateway::start(&settings(&origin));
    let mut client = gateway.connect();
    let fields =
        "Host: a\r\nUser-Agent: \"quoted\"\\ \u{e4}\r\nReferer: http://r/\r\nContent-Length: 4\r\n";
    let reply = client.ask(format!("POST /users/1/x\"y?z HTTP/1.1\r\n{fields}\r\nbody"));
    assert_eq!(reply.status(), 200);
    client.ask(get("/hello"));
    client.ask(get("/nowhere"));
    client.send(get("/users/2/cut"));
    client.rest();
    let file = gateway.file("access.jsonl");
    let text = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until("four lines are written", || text().lines().count() >= 4);
    let lines: Vec<Value> = text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let first = &lines[0];
    for (key, value) in [
        ("site", "web"),
        ("method", "POST"),
        ("host", "a"),
        ("path", "/users/1/x\"y?z"),
        ("protocol", "HTTP/1.1"),
        ("route", "/users/{id}/{*rest}"),
        ("upstream", "app"),
        ("endpoint", origin.address()),
        ("user_agent", "\"quoted\"\\ \u{e4}"),
        ("referer", "http://r/"),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    for (key, value) in [
        ("status", 200),
        ("request_bytes", 4),
        ("response_bytes", 6),
        ("retries", 0),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert!(first["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(first["duration_us"].as_u64().unwrap() >= first["upstream_us"].as_u64().unwrap());
    assert!(first["time"].as_str().unwrap().ends_with('Z'));
    assert!(first["generation"].as_u64().unwrap() > 0);
    assert!(first.get("fault").is_none());
    let told = |line: &Value, key: &str| line[key].clone();
    assert_eq!(
        (told(&lines[1], "route"), told(&lines[1], "status")),
        ("greeting".into(), 418.into())
    );
    assert!(lines[1].get("upstream").is_none());
    assert_eq!(
        (told(&lines[2], "status"), lines[2].get("route")),
        (404.into(), None)
    );
    assert_eq!(
        (told(&lines[3], "status"), told(&lines[3], "fault")),
        (200.into(), "upstream_reset".into())
    );
    assert_eq!(told(&lines[3], "response_bytes"), 4);
}
