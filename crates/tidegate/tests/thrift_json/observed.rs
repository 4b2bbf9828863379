//! The access log and the metrics of requests that are calls.

use std::net::SocketAddr;

use crate::harness::{access_log, eventually, free_address};
use crate::http::{post, request};
use crate::service::{Service, gateway, place};

fn metrics(address: SocketAddr) -> String {
    request(address, "GET /metrics", "", "").body
}

#[test]
fn a_request_that_is_a_call_is_logged_and_counted_as_both() {
    let service = Service::start();
    let admin = free_address();
    let place = place();
    let path = place.path("access.log");
    let text = format!(
        "{}[access_log]\nfile = \"{}\"\nflush = \"10ms\"\n[admin]\nlisten = \"{admin}\"\n",
        gateway(&[service.address], "name = \"users\"", ""),
        path.display()
    );
    let process = place.start(&text);
    let web = process.listening();
    assert_eq!(post(web, "/users/sum", r#"{"result": 5}"#).status, 200);
    assert_eq!(post(web, "/users/hang_up", "{}").status, 502);
    assert_eq!(post(web, "/users/sum", "[]").status, 400);
    assert_eq!(post(web, "/users/refuse", r#"{"kind": 6}"#).status, 502);
    let lines = eventually("four lines", || {
        let lines = access_log(&path);
        (lines.len() == 4).then_some(lines)
    });
    let endpoint = service.address.to_string();
    for (key, value) in [
        ("route", "users"),
        ("call", "sum"),
        ("upstream", "app"),
        ("endpoint", &endpoint),
    ] {
        assert_eq!(lines[0][key], value, "{key}");
    }
    assert!(lines[0]["upstream_us"].is_u64());
    assert_eq!(lines[1]["fault"], "upstream_reset");
    assert_eq!(
        (&lines[2]["call"], &lines[2]["upstream"]),
        (&"sum".into(), &serde_json::Value::Null)
    );
    let page = metrics(admin);
    for line in [
        r#"tidegate_thrift_calls_total{site="web",method="sum",outcome="reply"} 1"#,
        r#"tidegate_thrift_calls_total{site="web",method="-",outcome="fault"} 1"#,
        r#"tidegate_thrift_calls_total{site="web",method="-",outcome="exception"} 1"#,
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    let requests = page.lines().filter(|line| line.contains("route=\"users\""));
    assert!(requests.count() > 0, "{page}");
    // What is gone with an update, its figures are too.
    process.update(
        &text
            .replace(
                "[servers.web.routes.thrift]",
                "respond = {}\n[commands.unused]\nprogram = \"true\"\n#",
            )
            .replace("upstream = \"app\"\nidl", "#")
            .replace("service = \"Users\"", ""),
    );
    assert!(!metrics(admin).contains("tidegate_thrift_calls_total{"));
}
