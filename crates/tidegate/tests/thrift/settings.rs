//! Mistakes in the settings of a Thrift server.

use std::path::Path;

use crate::harness::agreement;
use tidegate::settings::{Protocol, parse};
use tidegate_gateway::thrift::{HeaderMatch, NameMatch};

const UPSTREAM: &str = "[upstreams.app]\nendpoints = [\"127.0.0.1:9\"]\n";

fn errors(server: &str) -> Vec<String> {
    let text = format!(
        "[servers.calls]\nprotocol = \"thrift\"\nlisten = \"127.0.0.1:0\"\n{server}\n{UPSTREAM}"
    );
    agreement::check(&text, Path::new(""));
    match parse(&text, "test.toml", Path::new("")) {
        Ok(_) => Vec::new(),
        Err(report) => report
            .errors
            .iter()
            .map(|error| format!("{}: {}", error.key, error.message))
            .collect(),
    }
}

#[test]
fn every_mistake_is_located() {
    for (server, expected) in [
        ("", "servers.calls: one of `upstream`, `routes` is missing"),
        (
            "upstream = \"ap\"",
            "servers.calls.upstream: the upstream \"ap\" is not defined",
        ),
        (
            "upstream = \"app\"\nupstream_transport = \"http\"",
            "servers.calls.upstream_transport: ",
        ),
        (
            "upstream = \"app\"\nlimits = { depth = 0 }",
            "servers.calls.limits.depth: ",
        ),
        ("upstream = \"app\"\nhttp2 = true", "servers.calls.http2: "),
        ("routes = []", "servers.calls.routes: "),
        (
            "[[servers.calls.routes]]\nupstream = \"app\"\nservice = \"a:b\"",
            "servers.calls.routes[0].service: ",
        ),
        (
            "[[servers.calls.routes]]\nupstream = \"app\"\nmethod = \"a\"\nmethod_prefix = \"a\"",
            "servers.calls.routes[0].method",
        ),
        (
            "[[servers.calls.routes]]\nupstream = \"app\"\nheaders = { 70000 = \"a\" }",
            "servers.calls.routes[0].headers.70000: ",
        ),
        (
            "[[servers.calls.routes]]\nmethod_prefix = \"get\"\nupstream = \"app\"\n\
             [[servers.calls.routes]]\nservice = \"s\"\nmethod = \"getAll\"\nupstream = \"app\"",
            "servers.calls.routes[1]: this route is never taken",
        ),
    ] {
        let errors = errors(server);
        assert!(
            matches!(&errors[..], [error] if error.starts_with(expected)),
            "{server}: {errors:?}"
        );
    }
}

#[test]
fn routes_say_which_calls_they_are_for() {
    let text = format!(
        "[servers.calls]\nprotocol = \"thrift\"\nlisten = \"127.0.0.1:0\"\n\
         [[servers.calls.routes]]\nservice = \"Store\"\nmethod = \"get\"\n\
         headers = {{ 10 = \"x\", env = \"y\" }}\nupstream = \"app\"\n\
         [[servers.calls.routes]]\nmethod_prefix = \"get\"\nupstream = \"app\"\n{UPSTREAM}"
    );
    agreement::check(&text, Path::new(""));
    let settings = parse(&text, "test.toml", Path::new("")).unwrap();
    let Protocol::Thrift(thrift) = &settings.servers["calls"].protocol else {
        panic!("it speaks Thrift");
    };
    let names: Vec<String> = thrift.routes.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["Store:get", "get*"]);
    let calls = &thrift.routes[0].calls;
    assert_eq!(calls.method, NameMatch::Exactly("get".into()));
    let numbered = HeaderMatch::Numbered {
        key: 10,
        value: "x".into(),
    };
    assert!(calls.headers.contains(&numbered), "{calls:?}");
}
