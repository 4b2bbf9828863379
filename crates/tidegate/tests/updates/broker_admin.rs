//! What operators see of a broker, and do with it, by the real binary.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tidegate_mqtt::codec::{Packet, ReasonCode};

use crate::admin::{ask, samples};
use crate::harness::{Tidegate, eventually, free_address};
use crate::mqtt_client::Client;

struct Rig {
    process: Tidegate,
    listen: SocketAddr,
    admin: SocketAddr,
}

impl Rig {
    fn start() -> Self {
        Self::with("")
    }

    fn with(keys: &str) -> Self {
        let (listen, admin) = (free_address(), free_address());
        let process = Tidegate::start(&format!(
            r#"
[runtime]
workers = 2
pin = false
[admin]
listen = "{admin}"
{keys}
[servers.broker]
protocol = "mqtt"
listen = "{listen}"
limits = {{ subscriptions = 2 }}
"#
        ));
        Self {
            process,
            listen,
            admin,
        }
    }

    fn client(&self, id: &str) -> Client {
        Client::connect(self.listen, id)
    }

    fn metrics(&self) -> BTreeMap<String, f64> {
        samples(&ask(self.admin, "GET", "/metrics", "").body)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.arg("mqtt").args(arguments);
        command.args(["--admin", &self.admin.to_string()]);
        command
    }

    /// Runs `tidegate mqtt` with this input.
    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may not read it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What it prints.
    fn mqtt(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, "");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn mqtt_json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        serde_json::from_str(&self.mqtt(&arguments)).unwrap()
    }

    fn status(&self) -> Value {
        ask(self.admin, "GET", "/status", "").json()
    }
}

#[test]
fn metrics_tell_what_a_broker_holds_passed_and_refused() {
    let mut rig = Rig::start();
    let mut receiver = rig.client("receiver");
    receiver.subscribe("a/#");
    receiver.subscribe("b/#");
    // One more than may be.
    receiver.subscribe("c/#");
    let mut sender = rig.client("sender");
    sender.publish("a/1", "12345");
    let metrics = rig.metrics();
    let of = |name: &str, labels: &str| {
        let key = format!("tidegate_mqtt_{name}{{server=\"broker\"{labels}}}");
        metrics
            .get(&key)
            .copied()
            .unwrap_or_else(|| panic!("there is no {key}"))
    };
    assert_eq!(of("connections", ""), 2.0);
    assert_eq!(of("sessions", ""), 2.0);
    assert_eq!(of("subscriptions", ""), 2.0);
    assert_eq!(of("payload_bytes_received_total", ""), 5.0);
    assert_eq!(of("publishes_received_total", ",qos=\"1\""), 1.0);
    assert_eq!(of("publishes_received_total", ",qos=\"0\""), 0.0);
    assert_eq!(of("limit_hits_total", ",limit=\"subscriptions\""), 1.0);
    assert_eq!(of("connects_total", ""), 2.0);
    assert_eq!(of("authentication_failures_total", ""), 0.0);
    drop((receiver, sender));
    rig.process.stop();
}

#[test]
fn status_tells_of_a_broker_and_of_each_worker() {
    let rig = Rig::start();
    let clients: Vec<_> = (0..8).map(|it| rig.client(&format!("c{it}"))).collect();
    let status = eventually("both workers have sessions", || {
        let broker = rig.status()["brokers"]["broker"].clone();
        let workers = broker["workers"].as_array()?.len();
        (broker["connections"] == 8 && workers == 2).then_some(broker)
    });
    let by_worker: u64 = status["workers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["sessions"].as_u64().unwrap())
        .sum();
    assert_eq!(by_worker, 8);
    drop(clients);
    eventually("their end shows", || {
        (rig.status()["brokers"]["broker"]["connections"] == 0).then_some(())
    });
}

#[test]
fn lists_are_shown_as_tables_and_as_json() {
    let rig = Rig::start();
    let mut clients: Vec<_> = (0..5).map(|it| rig.client(&format!("c{it}"))).collect();
    clients[3].subscribe("a/+");
    let shown = rig.mqtt(&["clients"]);
    assert!(shown.starts_with("CLIENT"), "{shown}");
    for number in 0..5 {
        assert!(shown.contains(&format!("\nc{number} ")), "{shown}");
    }
    let sessions = rig.mqtt_json(&["sessions", "--limit", "2"]);
    assert_eq!(sessions["entries"].as_array().unwrap().len(), 2);
    let next = sessions["next"].as_str().unwrap();
    let rest = rig.mqtt_json(&["sessions", "--from", next]);
    assert_eq!(rest["entries"].as_array().unwrap().len(), 3);
    assert_eq!(rest["next"], Value::Null);
    let of = rig.mqtt_json(&["subscriptions", "--client", "c3", "--server", "broker"]);
    let entry = serde_json::json!({ "client": "c3", "filter": "a/+", "qos": 0 });
    assert_eq!(of["entries"], serde_json::json!([entry]));
    let all = rig.mqtt(&["subscriptions"]);
    assert_eq!(all, "CLIENT  QOS  FILTER\nc3      0    a/+\n");
}

#[test]
fn a_kicked_client_is_told_why_and_a_stranger_is_an_error() {
    let rig = Rig::start();
    let mut client = rig.client("a client");
    assert_eq!(rig.mqtt(&["kick", "a client"]), "sent away\n");
    match client.receive() {
        Some(Packet::Disconnect(last)) => {
            assert_eq!(last.reason, ReasonCode::AdministrativeAction);
        }
        other => panic!("DISCONNECT is awaited, not {other:?}"),
    }
    assert_eq!(client.receive(), None);
    let output = rig.run(&["kick", "a client"], "");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("nobody is called a client"), "{error}");
}

#[test]
fn messages_are_published_retained_and_seen_passing() {
    let rig = Rig::start();
    let mut client = rig.client("client");
    client.subscribe("news/#");
    let publish = ["publish", "news/today", "--retain", "--qos", "1"];
    let output = rig.run(&publish, "from standard input");
    assert!(output.status.success(), "{output:?}");
    match client.receive() {
        Some(Packet::Publish(publish)) => assert_eq!(publish.payload, "from standard input"),
        other => panic!("PUBLISH is awaited, not {other:?}"),
    }
    let retained = rig.mqtt_json(&["retained", "news/#"]);
    let entry = serde_json::json!({ "topic": "news/today", "payload_bytes": 19 });
    assert_eq!(retained["entries"], serde_json::json!([entry]));

    // The retained one shows that it watches.
    let mut watching = rig.command(&["subscribe", "news/#", "--count", "3", "--json"]);
    let mut watching = watching.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let seen = next();
    assert_eq!(
        (&seen["payload"], &seen["retain"]),
        (&"from standard input".into(), &true.into())
    );
    rig.client("sender").publish("news/other", "passes");
    let seen = next();
    assert_eq!(
        (&seen["topic"], &seen["payload"], &seen["qos"]),
        (&"news/other".into(), &"passes".into(), &1.into())
    );
    rig.mqtt(&["publish", "news/more", "argument"]);
    assert_eq!(next()["payload"], "argument");
    assert!(watching.wait().unwrap().success(), "it ends after three");

    let refused = rig.run(&["publish", "$SYS/mine", "x"], "");
    assert_eq!(refused.status.code(), Some(1));
    let refused = rig.run(&["publish", "a/#", "x"], "");
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_server_that_is_no_broker_and_a_token_that_is_wrong_are_refused() {
    let rig = Rig::with("token = \"a-secret-of-operators\"");
    let reply = ask(rig.admin, "POST", "/mqtt/kick?client=x", "");
    assert_eq!(reply.status, 401);
    let token = "Authorization: Bearer a-secret-of-operators\r\n";
    let reply = ask(rig.admin, "GET", "/mqtt/clients?server=web", token);
    assert_eq!(reply.status, 404);
    assert!(reply.body.contains("there are: broker"), "{}", reply.body);
    let reply = ask(rig.admin, "GET", "/mqtt/clients?from=nowhere", token);
    assert_eq!(reply.status, 400);
    assert_eq!(ask(rig.admin, "GET", "/mqtt/kick", token).status, 405);
    assert_eq!(ask(rig.admin, "GET", "/mqtt/clients", token).status, 200);
}

#[test]
fn a_process_that_stops_ends_what_is_watched() {
    let mut rig = Rig::start();
    rig.mqtt(&["publish", "kept", "x", "--retain"]);
    let mut watching = rig.command(&["subscribe", "#"]);
    let watching = watching.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watching = watching.spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "kept x");
    rig.process.stop();
    assert!(lines.next().is_none());
    assert_eq!(watching.wait().unwrap().code(), Some(1));
}
