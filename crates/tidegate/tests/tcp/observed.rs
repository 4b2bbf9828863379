//! The access log of a TCP proxy: a line for each connection, however it ends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use socket2::SockRef;

use crate::harness::{Place, Tidegate, access_log, eventually, free_address};
use crate::peers::{accept, connect, endpoint, nowhere, proxy, read};

/// A proxy with a log, and where that is.
fn start(listen: SocketAddr, endpoints: &[SocketAddr], server: &str) -> (Tidegate, PathBuf) {
    let place = Place::new();
    let path = place.path("access.log");
    let mut text = proxy(listen, endpoints, server, "retries = 0");
    text += &format!(
        "[access_log]\nfile = \"{}\"\nflush = \"10ms\"\n",
        path.display()
    );
    (place.start(&text), path)
}

/// The only line, once it is there.
fn line(path: &Path) -> Value {
    let mut lines = eventually("a line", || {
        let lines = access_log(path);
        (!lines.is_empty()).then_some(lines)
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

/// Both ends of a connection that has passed four bytes on one way, and six the other.
fn joined(listen: SocketAddr, listener: &std::net::TcpListener) -> (TcpStream, TcpStream) {
    let mut client = connect(listen);
    client.write_all(b"ping").unwrap();
    let mut server = accept(listener);
    assert_eq!(read(&mut server, 4), b"ping");
    server.write_all(b"pong!!").unwrap();
    assert_eq!(read(&mut client, 6), b"pong!!");
    (client, server)
}

fn assert_joined(line: &Value, client: &str, endpoint: SocketAddr, end: &str) {
    for (key, value) in [
        ("site", "db"),
        ("peer", client),
        ("protocol", "tcp"),
        ("upstream", "app"),
        ("endpoint", &endpoint.to_string()),
        ("end", end),
    ] {
        assert_eq!(line[key], value, "{key}: {line}");
    }
    assert_eq!(
        (&line["forth_bytes"], &line["back_bytes"]),
        (&4.into(), &6.into())
    );
    assert!(
        line["duration_us"].as_u64() >= line["connect_us"].as_u64(),
        "{line}"
    );
    assert_eq!(line.get("server_name"), None);
}

#[test]
fn a_connection_leaves_a_line_when_both_sides_have_finished() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let (_process, path) = start(listen, &[address], "");
    let (mut client, server) = joined(listen, &listener);
    let peer = client.local_addr().unwrap().to_string();
    // As long as it is open it has none.
    assert!(access_log(&path).is_empty());
    drop(server);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop(client);
    assert_joined(&line(&path), &peer, address, "finished");
}

#[test]
fn the_line_says_who_or_what_cut_a_connection_short() {
    let (listener, address) = endpoint();
    let reset = |stream: TcpStream| {
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(stream);
    };
    for (server, end) in [
        ("", "client_reset"),
        ("", "endpoint_reset"),
        ("timeouts = { idle = \"200ms\" }", "idle_timeout"),
        ("timeouts = { total = \"200ms\" }", "total_timeout"),
    ] {
        let listen = free_address();
        let (_process, path) = start(listen, &[address], server);
        let (client, behind) = joined(listen, &listener);
        let peer = client.local_addr().unwrap().to_string();
        let mut kept = Vec::new();
        match end {
            "client_reset" => {
                kept.push(behind);
                reset(client);
            }
            "endpoint_reset" => {
                kept.push(client);
                reset(behind);
            }
            _ => kept.extend([client, behind]),
        }
        assert_joined(&line(&path), &peer, address, end);
    }
}

#[test]
fn a_connection_that_is_dropped_at_the_end_of_its_drain_time_leaves_a_line() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let (mut process, path) = start(listen, &[address], "drain = \"100ms\"");
    let (client, _behind) = joined(listen, &listener);
    let peer = client.local_addr().unwrap().to_string();
    process.signal(rustix::process::Signal::TERM);
    process.ended();
    assert_joined(&line(&path), &peer, address, "dropped");
}

#[test]
fn a_connection_that_nobody_takes_leaves_a_line() {
    let (listen, dead) = (free_address(), nowhere());
    let (_process, path) = start(listen, &[dead], "");
    assert!(matches!(connect(listen).read(&mut [0]), Ok(0) | Err(_)));
    let line = line(&path);
    assert_eq!(
        (&line["upstream"], &line["end"]),
        (&"app".into(), &"connect_failed".into())
    );
    assert_eq!((line.get("endpoint"), line.get("connect_us")), (None, None));
    assert_eq!(
        (&line["forth_bytes"], &line["back_bytes"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn the_name_that_was_asked_for_is_told_even_if_no_route_is_for_it() {
    let (listen, dead) = (free_address(), nowhere());
    let server = "[[servers.db.routes]]\nserver_name = \"a.example\"\nupstream = \"app\"";
    let place = Place::new();
    let path = place.path("access.log");
    let text = proxy(listen, &[dead], server, "").replacen("upstream = \"app\"\n", "", 1)
        + &format!(
            "[access_log]\nfile = \"{}\"\nflush = \"10ms\"\n",
            path.display()
        );
    let _process = place.start(&text);
    // No certificate is ever shown: nobody takes the connection.
    let chain = crate::tls::write_pair(&Place::new(), "web");
    assert!(crate::tls::offering(connect(listen), &chain, &[]).is_err());
    let line = line(&path);
    assert_eq!(
        (&line["server_name"], &line["end"]),
        (&"localhost".into(), &"no_route".into())
    );
    assert_eq!(line.get("upstream"), None);
}

#[test]
fn a_server_can_keep_out_of_the_log() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let (mut process, path) = start(listen, &[address], "access_log = false");
    let (mut client, behind) = joined(listen, &listener);
    drop(behind);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop(client);
    process.stop();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
}
