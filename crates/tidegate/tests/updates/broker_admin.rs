//! What operators see of a broker, and do with it, by the real binary.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

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
