//! A client that others wrote, in both versions and at every QoS: what it publishes to
//! itself comes back whole and in order. Over TCP: for TLS it needs a second provider of
//! cryptography, and for WebSocket a crate whose licence we do not take. Clients in other
//! languages show those (dev/interop).

use std::time::Duration;

use ::rumqttc::v5;

use crate::harness::{DEADLINE, Tidegate, free_address};

const MESSAGES: usize = 20;

fn start() -> (Tidegate, std::net::SocketAddr) {
    let listen = free_address();
    let process = Tidegate::start(&format!(
        "[runtime]\nworkers = 2\npin = false\n[servers.broker]\nprotocol = \"mqtt\"\n\
         listen = \"{listen}\"\n"
    ));
    (process, listen)
}

fn words() -> Vec<String> {
    (0..MESSAGES).map(|number| number.to_string()).collect()
}

#[test]
fn it_talks_to_itself_in_version_3_1_1() {
    use ::rumqttc::{Client, Event, MqttOptions, Packet, QoS};

    let (mut process, listen) = start();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let id = format!("v4-{}", qos as u8);
        let mut options = MqttOptions::new(&id, listen.ip().to_string(), listen.port());
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut connection) = Client::new(options, 2 * MESSAGES);
        client.subscribe(&id, qos).unwrap();
        let mut heard = Vec::new();
        while heard.len() < MESSAGES {
            match connection.recv_timeout(DEADLINE).unwrap().unwrap() {
                Event::Incoming(Packet::SubAck(_)) => {
                    for word in words() {
                        client.publish(&id, qos, false, word).unwrap();
                    }
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    assert_eq!(publish.qos, qos);
                    heard.push(String::from_utf8(publish.payload.to_vec()).unwrap());
                }
                _ => {}
            }
        }
        assert_eq!(heard, words());
    }
    process.stop();
}

#[test]
fn it_talks_to_itself_in_version_5() {
    use v5::mqttbytes::QoS;
    use v5::mqttbytes::v5::Packet;
    use v5::{Client, Event, MqttOptions};

    let (mut process, listen) = start();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let id = format!("v5-{}", qos as u8);
        let mut options = MqttOptions::new(&id, listen.ip().to_string(), listen.port());
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut connection) = Client::new(options, 2 * MESSAGES);
        client.subscribe(&id, qos).unwrap();
        let mut heard = Vec::new();
        while heard.len() < MESSAGES {
            match connection.recv_timeout(DEADLINE).unwrap().unwrap() {
                Event::Incoming(Packet::SubAck(_)) => {
                    for word in words() {
                        client.publish(&id, qos, false, word).unwrap();
                    }
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    assert_eq!(publish.qos, qos);
                    heard.push(String::from_utf8(publish.payload.to_vec()).unwrap());
                }
                _ => {}
            }
        }
        assert_eq!(heard, words());
    }
    process.stop();
}
