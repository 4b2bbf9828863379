//! Somebody else, asked over HTTP, who may connect.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_mqtt::codec::{ProtocolVersion, ReasonCode};

use super::{Login, MqttClient, settings};
use crate::harness::{DEADLINE, Tidegate, free_address, thread};

/// Answers questions as the user's name asks for.
struct Judge {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Judge {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        // Ends with the process of the test; nothing tells a listener to stop.
        thread("judge", move || {
            for stream in listener.incoming() {
                let noted = Arc::clone(&noted);
                thread("judgement", move || judge(stream.unwrap(), &noted));
            }
        });
        Self { address, asked }
    }

    fn broker(&self, listen: SocketAddr) -> Tidegate {
        let address = self.address;
        Tidegate::start(&settings(
            listen,
            &format!(
                "hook = {{ url = \"http://{address}/who\", timeout = \"2s\", concurrency = 2 }}\n\
                 [[servers.broker.access]]\n\
                 subscribe = \"of/{{user}}\"\n"
            ),
        ))
    }
}

fn judge(mut stream: TcpStream, noted: &Mutex<Vec<Value>>) {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let (mut request, mut bytes) = (Vec::new(), [0; 4096]);
    let question: Value = loop {
        let count = stream.read(&mut bytes).unwrap();
        assert_ne!(count, 0, "the question is whole");
        request.extend_from_slice(&bytes[..count]);
        let text = String::from_utf8(request.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && let Ok(question) = serde_json::from_str(body)
        {
            assert!(head.starts_with("POST /who HTTP/1.1\r\n"), "{head}");
            break question;
        }
    };
    let answer = match question["user"].as_str() {
        Some("ann") => r#"{"allow":true}"#,
        Some("alias") => r#"{"allow":true,"user":"bob"}"#,
        Some("brief") => r#"{"allow":true,"expires_in_seconds":1}"#,
        Some("broken") => r#"{"allow":"yes"}"#,
        Some("silent") => {
            // Until the other side gives up.
            let _ = stream.read(&mut bytes);
            return;
        }
        _ => r#"{"allow":false}"#,
    };
    noted.lock().unwrap().push(question);
    let length = answer.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all((head + answer).as_bytes()).unwrap();
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
