//! Behind a proxy that speaks the PROXY protocol, a connection is its client's: in the
//! access log and to the rule of who may come in, with TLS behind the header or not.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::BytesMut;
use tidegate_mqtt::codec::ReasonCode;
use tidegate_runtime::proxy_protocol::{Proxied, ProxyVersion, encode};

use crate::harness::{Place, Tidegate, access_log, eventually, free_address};
use crate::mqtt::{Client, tcp};
use crate::tls::{self, PAIR, write_pair};

const CLIENT: &str = "192.0.2.7:40000";

fn header(version: ProxyVersion, source: &str) -> BytesMut {
    let mut out = BytesMut::new();
    let proxied = Proxied::Tcp {
        source: source.parse().unwrap(),
        destination: "198.51.100.1:443".parse().unwrap(),
    };
    encode(version, &proxied, &mut out);
    out
}

/// A stream that sends something ahead of, and together with, what is written first.
struct Ahead {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Ahead {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return self.stream.write(bytes);
        }
        let together = [&std::mem::take(&mut self.ahead), bytes].concat();
        self.stream.write_all(&together)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn behind(address: SocketAddr, ahead: &[u8]) -> Ahead {
    Ahead {
        stream: tcp(address),
        ahead: ahead.to_vec(),
    }
}

fn web(listen: SocketAddr, trust: &str) -> String {
    format!(
        r#"
[access_log]
file = "access.log"
flush = "10ms"
[servers.web]
protocol = "http"
listen = ["{listen}"]
{PAIR}
proxy_protocol = {{ trust = ["{trust}"], header_timeout = "200ms" }}
[[servers.web.routes]]
prefix = "/"
respond = {{ status = 200, body = "web" }}
"#
    )
}

fn get(stream: &mut (impl Read + Write)) -> io::Result<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

#[test]
fn the_access_log_names_the_client_and_not_the_proxy() {
    let place = Place::new();
    let (chain, listen) = (write_pair(&place, "web"), free_address());
    let process = place.start(&web(listen, "127.0.0.0/8"));
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        // The first bytes of TLS come in the segment of the header.
        let mut stream = tls::over(behind(listen, &header(version, CLIENT)), &chain);
        let reply = get(&mut stream).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    }
    let path = process.place.path("access.log");
    let lines = eventually("two lines", || {
        let lines = access_log(&path);
        (lines.len() == 2).then_some(lines)
    });
    assert!(lines.iter().all(|line| line["peer"] == CLIENT), "{lines:?}");
}

#[test]
fn who_sends_no_header_in_time_or_may_not_send_one_is_not_served() {
    let place = Place::new();
    write_pair(&place, "web");
    let listen = free_address();
    let process = place.start(&web(listen, "127.0.0.0/8"));
    let ended = |mut stream: TcpStream| matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_));
    assert!(ended(tcp(listen)), "silence");
    let mut without = tcp(listen);
    without.write_all(&[22, 3, 1, 0]).unwrap();
    assert!(ended(without), "TLS at once");
    // The same from a proxy that is no longer trusted.
    process.update(&web(listen, "192.0.2.0/24"));
    let mut untrusted = tcp(listen);
    // The connection may be closed before it is written.
    let _ = untrusted.write_all(&header(ProxyVersion::V2, CLIENT));
    assert!(ended(untrusted), "untrusted");
}

#[test]
fn the_broker_judges_clients_by_the_address_that_is_carried() {
    let listen = free_address();
    let _process = Tidegate::start(&format!(
        r#"
[runtime]
workers = 2
pin = false
[servers.broker]
protocol = "mqtt"
listen = "{listen}"
anonymous = "local"
proxy_protocol = {{ trust = ["127.0.0.1/32"], others = "direct" }}
"#
    ));
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        let mut far = Client::over(behind(listen, &header(version, CLIENT)));
        assert_eq!(far.try_connect("far"), ReasonCode::NotAuthorized);
        for number in 0..4 {
            // Clients of both workers: the connection moves with what came behind the header.
            let near = behind(listen, &header(version, "127.0.0.1:40000"));
            drop(Client::connected(near, &format!("near-{number}")));
        }
    }
}
