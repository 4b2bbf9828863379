//! The access log and the metrics of calls.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::harness::{Tidegate, access_log, eventually, free_address};
use crate::peers::{Backend, FRAMED, Peer, call, gateway, nowhere};

fn metrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn calls_are_counted_by_method_and_outcome() {
    let backend = Backend::start();
    let (listen, admin) = (free_address(), free_address());
    let mut text = gateway(listen, &[backend.address], "", "");
    text += &format!("[admin]\nlisten = \"{admin}\"\n");
    let _process = Tidegate::start(&text);
    let mut client = Peer::connect(listen);
    client.ask(&call(FRAMED, "store:get", 1));
    client.ask(&call(FRAMED, "store:get", 2));
    client.ask_in_vain(&call(FRAMED, "hang_up", 3));
    let page = metrics(admin);
    for line in [
        r#"tidegate_thrift_calls_total{site="calls",method="store:get",outcome="reply"} 2"#,
        r#"tidegate_thrift_calls_total{site="calls",method="-",outcome="fault"} 1"#,
        r#"tidegate_thrift_call_duration_seconds_count{site="calls",method="store:get"} 2"#,
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
}

#[test]
fn every_call_leaves_a_line_in_the_access_log() {
    let backend = Backend::start();
    let listen = free_address();
    let place = crate::harness::Place::new();
    let path = place.path("access.log");
    let endpoints = [nowhere(), backend.address];
    let mut text = gateway(listen, &endpoints, "", "balance = \"first\"\nretries = 1");
    text += &format!(
        "[access_log]\nfile = \"{}\"\nflush = \"10ms\"\n",
        path.display()
    );
    let _process = place.start(&text);
    let mut client = Peer::connect(listen);
    client.ask(&call(FRAMED, "store:get", 41));
    client.ask_in_vain(&call(FRAMED, "hang_up", 42));
    let lines = eventually("two lines", || {
        let lines = access_log(&path);
        (lines.len() == 2).then_some(lines)
    });
    let endpoint = backend.address.to_string();
    for (key, value) in [
        ("site", "calls"),
        ("method", "store:get"),
        ("protocol", "framed/binary"),
        ("outcome", "reply"),
        ("route", "*"),
        ("upstream", "app"),
        ("endpoint", &endpoint),
    ] {
        assert_eq!(lines[0][key], value, "{key}");
    }
    for (key, value) in [
        ("sequence_id", 41),
        ("request_bytes", 8),
        ("response_bytes", 8),
        ("retries", 1),
    ] {
        assert_eq!(lines[0][key], value, "{key}");
    }
    assert!(lines[0]["upstream_us"].is_u64());
    assert_eq!(lines[1]["outcome"], "fault");
    assert_eq!(lines[1]["fault"], "upstream_reset");
}
