//! Limits of a broker as the file says, with the reason that a client is told and the count
//! that an operator sees.

use std::net::SocketAddr;

use tidegate_mqtt::codec::ReasonCode;

use crate::admin::{ask, samples};
use crate::harness::{Tidegate, eventually, free_address};
use crate::mqtt_sessions::Wire;

struct Rig {
    process: Tidegate,
    listen: SocketAddr,
    admin: SocketAddr,
}

impl Rig {
    fn start(limits: &str) -> Self {
        let (listen, admin) = (free_address(), free_address());
        let process = Tidegate::start(&format!(
            "[runtime]\nworkers = 1\npin = false\n[admin]\nlisten = \"{admin}\"\n\
             [servers.broker]\nprotocol = \"mqtt\"\nlisten = \"{listen}\"\n\
             [servers.broker.limits]\n{limits}\n"
        ));
        Self {
            process,
            listen,
            admin,
        }
    }

    fn client(&self, id: &str) -> Wire {
        Wire::connect(self.listen, id).unwrap().0
    }

    fn hits(&self, limit: &str) -> f64 {
        let metrics = samples(&ask(self.admin, "GET", "/metrics", "").body);
        let labels = format!("{{server=\"broker\",limit=\"{limit}\"}}");
        metrics[&format!("tidegate_mqtt_limit_hits_total{labels}")]
    }
}

#[test]
fn filters_and_topics_are_as_deep_as_the_file_says() {
    let mut rig = Rig::start("filter_levels = 2\ntopic_levels = 3");
    let mut client = rig.client("client");
    assert_eq!(client.subscribe("a/b"), ReasonCode::GrantedQos2);
    assert_eq!(client.subscribe("a/b/c"), ReasonCode::QuotaExceeded);
    let published = client.publish("x/y/z", "", false);
    assert_eq!(published, ReasonCode::NoMatchingSubscribers);
    let published = client.publish("w/x/y/z", "", false);
    assert_eq!(published, ReasonCode::TopicNameInvalid);
    assert_eq!(rig.hits("levels"), 2.0);
    drop(client);
    rig.process.stop();
}

#[test]
fn who_publishes_too_fast_is_refused_or_sent_away_as_the_file_says() {
    // So slow that none is added while the test runs.
    let mut rig = Rig::start("publish_rate = { per_second = 1, burst = 3 }");
    let mut client = rig.client("client");
    let mut answers = Vec::new();
    eventually("a refusal", || {
        answers.push(client.publish("a", "", false));
        (answers.last() == Some(&ReasonCode::QuotaExceeded)).then_some(())
    });
    let taken = ReasonCode::NoMatchingSubscribers;
    assert_eq!(answers[..3], [taken; 3], "{answers:?}");
    assert!(rig.hits("publish_rate") >= 1.0);
    drop(client);
    rig.process.stop();

    let mut rig = Rig::start("publish_rate = { per_second = 1, burst = 1, over = \"disconnect\" }");
    let mut client = rig.client("client");
    let ended = eventually("an end", || client.try_publish("a", "").err());
    assert_eq!(ended.to_string(), "MessageRateTooHigh");
    rig.process.stop();
}

#[test]
fn who_comes_too_fast_is_told_so() {
    let mut rig = Rig::start("connect_rate = { per_second = 1, burst = 2 }");
    eventually("a refusal", || {
        let (_wire, answer) = Wire::ask(rig.listen, "client").unwrap();
        let refused = answer.err()?;
        assert_eq!(refused, ReasonCode::ConnectionRateExceeded);
        Some(())
    });
    assert!(rig.hits("connect_rate") >= 1.0);
    rig.process.stop();
}

#[test]
fn who_sends_too_large_a_packet_is_sent_away_and_counted() {
    let mut rig = Rig::start("packet_bytes = \"1KiB\"");
    let mut client = rig.client("client");
    let ended = client.try_publish("a", &"x".repeat(2_000)).unwrap_err();
    assert_eq!(ended.to_string(), "PacketTooLarge");
    assert_eq!(rig.hits("packet_bytes"), 1.0);
    rig.process.stop();
}
