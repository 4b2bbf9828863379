//! Rules on topics, and new rules while clients are connected.

use tidegate_mqtt::codec::{ProtocolVersion, QualityOfService, ReasonCode};

use super::{Login, MqttClient, settings};
use crate::harness::{Tidegate, free_address};

const Q0: QualityOfService = QualityOfService::AtMostOnce;
const Q1: QualityOfService = QualityOfService::AtLeastOnce;
const Q2: QualityOfService = QualityOfService::ExactlyOnce;

const RULES: &str = r##"
[[servers.broker.access]]
client_id = "sensor-*"
publish = ["sensors/{client_id}/#"]
subscribe = ["commands/{client_id}", "all"]
[[servers.broker.access]]
client_id = "desk"
effect = "deny"
subscribe = ["sensors/secret/#"]
[[servers.broker.access]]
client_id = "desk"
publish = ["#"]
subscribe = ["#"]
"##;

#[test]
fn a_client_may_what_the_rules_say_and_hears_what_it_may_not() {
    let listen = free_address();
    let mut process = Tidegate::start(&settings(listen, RULES));
    let mut desk = MqttClient::connect(listen, Login::anonymous("desk"));
    assert_eq!(desk.subscribe("sensors/#"), ReasonCode::NotAuthorized);
    assert_eq!(desk.subscribe("sensors/sensor-1/+"), ReasonCode::Success);
    for version in [ProtocolVersion::V5, ProtocolVersion::V311] {
        let login = Login::anonymous("sensor-1").in_version(version);
        let mut sensor = MqttClient::connect(listen, login);
        assert_eq!(sensor.subscribe("commands/sensor-1"), ReasonCode::Success);
        assert_eq!(sensor.subscribe("$share/all/all"), ReasonCode::Success);
        let (refused, denied) = match version {
            ProtocolVersion::V5 => (ReasonCode::NotAuthorized, ReasonCode::NotAuthorized),
            // It has one way to refuse a subscription and none to refuse a message.
            ProtocolVersion::V311 => (ReasonCode::UnspecifiedError, ReasonCode::Success),
        };
        assert_eq!(sensor.subscribe("commands/+"), refused);
        assert_eq!(sensor.subscribe("#"), refused);
        assert_eq!(sensor.publish("sensors/sensor-2/heat", "no", Q1), denied);
        assert_eq!(sensor.publish("sensors/sensor-2/heat", "no", Q2), denied);
        sensor.publish("sensors/sensor-1/heat/a/b", "too deep for the desk", Q1);
        sensor.publish("all", "no", Q0);
        sensor.publish("sensors/sensor-1/heat", "yes", Q0);
        assert_eq!(desk.message(), "yes");
    }
    let mut stranger = MqttClient::connect(listen, Login::anonymous("stranger"));
    assert_eq!(stranger.subscribe("all"), ReasonCode::NotAuthorized);
    process.stop();
}

#[test]
fn new_rules_hold_at_once_for_clients_that_stay() {
    let before = r#"
[[servers.broker.access]]
publish = "news/#"
subscribe = ["news/#", "other"]
"#;
    let after = r#"
[[servers.broker.access]]
client_id = "writer"
publish = ["news/#", "other"]
[[servers.broker.access]]
subscribe = ["other"]
"#;
    let listen = free_address();
    let mut process = Tidegate::start(&settings(listen, before));
    let mut writer = MqttClient::connect(listen, Login::anonymous("writer"));
    let mut readers: Vec<_> = (0..6)
        .map(|number| MqttClient::connect(listen, Login::anonymous(&format!("reader-{number}"))))
        .collect();
    for reader in &mut readers {
        assert_eq!(reader.subscribe("news/today"), ReasonCode::Success);
        assert_eq!(reader.subscribe("other"), ReasonCode::Success);
    }
    assert_eq!(writer.publish("other", "", Q1), ReasonCode::NotAuthorized);

    // Nobody connects after this: it is the update that puts the rules in force.
    process.update(&settings(listen, after));
    for reader in &mut readers {
        let answer = reader.publish("news/today", "mine", Q1);
        assert_eq!(answer, ReasonCode::NotAuthorized);
        assert_eq!(reader.subscribe("news/today"), ReasonCode::NotAuthorized);
    }
    writer.publish("news/today", "not for readers any more", Q1);
    writer.publish("other", "for readers", Q1);
    for reader in &mut readers {
        assert_eq!(reader.message(), "for readers");
    }
    process.stop();
}
