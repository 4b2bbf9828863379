//! Somebody else, asked over HTTP, who may connect.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_mqtt::codec::{ProtocolVersion, ReasonCode};

use super::{Login, MqttClient, settings};
use crate::harness::{DEADLINE, Tidegate, eventually, free_address, thread};

/// Answers questions as the user's name asks for, over connections that stay open.
struct Judge {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Value>>>,
    /// Accepted so far.
    connections: Arc<AtomicUsize>,
}

impl Judge {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        // Ends with the process of the test; nothing tells a listener to stop.
        thread("judge", move || {
            for stream in listener.incoming() {
                accepted.fetch_add(1, Ordering::Relaxed);
                let noted = Arc::clone(&noted);
                thread("judgement", move || judge(stream.unwrap(), &noted));
            }
        });
        Self {
            address,
            asked,
            connections,
        }
    }

    fn broker(&self, listen: SocketAddr) -> Tidegate {
        self.broker_with(listen, "")
    }

    fn broker_with(&self, listen: SocketAddr, keys: &str) -> Tidegate {
        let address = self.address;
        Tidegate::start(&settings(
            listen,
            &format!(
                "hook = {{ url = \"http://{address}/who\", timeout = \"2s\", concurrency = 2{keys} }}\n\
                 [[servers.broker.access]]\n\
                 subscribe = \"of/{{user}}\"\n"
            ),
        ))
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// The next question; none at the end of the connection.
fn question(stream: &mut TcpStream) -> Option<Value> {
    let (mut request, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut bytes).unwrap_or(0);
        if count == 0 {
            assert!(request.is_empty(), "the question is whole");
            return None;
        }
        request.extend_from_slice(&bytes[..count]);
        let text = String::from_utf8(request.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(question) = serde_json::from_str(body)
        {
            assert!(head.starts_with("POST /who HTTP/1.1\r\n"), "{head}");
            return Some(question);
        }
    }
}

fn judge(mut stream: TcpStream, noted: &Mutex<Vec<Value>>) {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut answered = 0;
    while let Some(question) = question(&mut stream) {
        let answer = match question["user"].as_str() {
            // Hangs up on who asks again.
            Some("gone") if answered > 0 => return,
            Some("ann" | "gone" | "last") => r#"{"allow":true}"#,
            Some("alias") => r#"{"allow":true,"user":"bob"}"#,
            Some("brief") => r#"{"allow":true,"expires_in_seconds":1}"#,
            Some("broken") => r#"{"allow":"yes"}"#,
            Some("silent") => {
                // Until the other side gives up.
                let _ = stream.read(&mut [0]);
                return;
            }
            _ => r#"{"allow":false}"#,
        };
        let is_last = question["user"] == "last";
        noted.lock().unwrap().push(question);
        let length = answer.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((head + answer).as_bytes()).unwrap();
        answered += 1;
        if is_last {
            return;
        }
    }
}

#[test]
fn the_hook_decides_who_comes_in_and_as_whom() {
    let (judge, listen) = (Judge::start(), free_address());
    let mut process = judge.broker(listen);
    for version in [ProtocolVersion::V5, ProtocolVersion::V311] {
        let login = |user| Login::user(user, "secret").in_version(version);
        let mut ann = MqttClient::connect(listen, login("ann"));
        assert_eq!(ann.subscribe("of/ann"), ReasonCode::Success);
        let mut alias = MqttClient::connect(listen, login("alias"));
        assert_eq!(alias.subscribe("of/bob"), ReasonCode::Success);
        let (_, refused) = MqttClient::try_connect(listen, login("eve"));
        assert_eq!(refused, ReasonCode::NotAuthorized);
    }
    let (_, refused) = MqttClient::try_connect(listen, Login::anonymous("nobody"));
    assert_eq!(refused, ReasonCode::NotAuthorized);
    let mut brief = MqttClient::connect(listen, Login::user("brief", "secret"));
    assert_eq!(brief.sent_away(), ReasonCode::NotAuthorized);
    let asked = judge.asked.lock().unwrap();
    assert_eq!(
        asked[0],
        serde_json::json!({
            "server": "broker",
            "client_id": "ann",
            "user": "ann",
            "password": "secret",
            "address": "127.0.0.1",
        })
    );
    process.stop();
}

#[test]
fn a_hook_that_does_not_answer_lets_nobody_in_and_holds_nobody_for_ever() {
    let (judge, listen) = (Judge::start(), free_address());
    let mut process = judge.broker(listen);
    let refused = ReasonCode::ServerUnavailable;
    let (_, broken) = MqttClient::try_connect(listen, Login::user("broken", "x"));
    assert_eq!(broken, refused);
    let begun = Instant::now();
    // More than may ask at a time: the last ones wait for their turn in vain.
    let mut waiting: Vec<_> = (0..5)
        .map(|number| {
            let id = format!("client-{number}");
            let login = Login {
                id: &id,
                ..Login::user("silent", "x")
            };
            MqttClient::begin(super::tcp(listen), login)
        })
        .collect();
    for client in &mut waiting {
        assert_eq!(client.connect_ack().reason, refused);
    }
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let mut ann = MqttClient::connect(listen, Login::user("ann", "x"));
    assert_eq!(ann.subscribe("of/ann"), ReasonCode::Success);
    process.stop();
}

#[test]
fn connections_to_the_hook_are_kept_and_one_that_has_ended_costs_nobody_the_answer() {
    let (judge, listen) = (Judge::start(), free_address());
    let mut process = judge.broker(listen);
    let come = |user: &str, id: &str| {
        let login = Login {
            id,
            ..Login::user(user, "x")
        };
        MqttClient::connect(listen, login)
    };
    for number in 0..20 {
        come("ann", &format!("client-{number}"));
    }
    assert_eq!(judge.connections(), 2, "one for each worker");
    // The judge ends them: once before a question, and once when it has come.
    for user in ["last", "gone"] {
        for number in 0..20 {
            come(user, &format!("client-{number}"));
        }
    }
    assert!(judge.connections() > 2);
    process.stop();
}

#[test]
fn a_connection_to_the_hook_is_not_kept_for_longer_than_it_may() {
    let (judge, listen) = (Judge::start(), free_address());
    let mut process = judge.broker_with(listen, ", idle_timeout = \"50ms\"");
    let mut ann = MqttClient::connect(listen, Login::user("ann", "x"));
    assert_eq!(ann.subscribe("of/ann"), ReasonCode::Success);
    let before = process.descriptors();
    eventually("it is closed", || {
        (process.descriptors() < before).then_some(())
    });
    process.stop();
}
