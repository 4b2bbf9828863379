//! What this codec writes, two independent ones read, and what they write of it reads
//! back here as the same packet.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../fuzz/src/mqtt.rs"]
#[allow(dead_code, unreachable_pub, reason = "public for the fuzz targets")]
mod mqtt;

#[path = "../../http/tests/codec_support/corpus.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of another codec")]
mod corpus;

use bytes::{Bytes, BytesMut};
use corpus::{Numbers, mutate, seeds};
use tidegate_mqtt::codec::{
    Decoder, Encoder, MessageProperties, MessagePropertiesBuilder, PACKET_BYTES_LARGEST, Packet,
    ProtocolVersion, ReasonCode, Role, Text, TopicName,
};
use tokio_util::codec::{Decoder as _, Encoder as _};

/// Mutated inputs for each directory of seeds.
const MUTATIONS: usize = 3000;

/// Reads a packet and writes it again, or says why not.
type Oracle = fn(&[u8], ProtocolVersion) -> Result<Vec<u8>, String>;

fn rmqtt(bytes: &[u8], version: ProtocolVersion) -> Result<Vec<u8>, String> {
    let mut read = BytesMut::from(bytes);
    let mut written = BytesMut::new();
    match version {
        ProtocolVersion::V5 => {
            let mut codec = rmqtt_codec::v5::Codec::new(0, 0);
            let packet = codec
                .decode(&mut read)
                .map_err(|error| format!("{error:?}"))?;
            let (packet, _) = packet.ok_or("it is not whole")?;
            // A codec of its own: the reading one leaves out what a client did not ask for.
            let mut codec = rmqtt_codec::v5::Codec::new(0, 0);
            codec
                .encode(packet, &mut written)
                .map_err(|error| format!("{error:?}"))?;
        }
        ProtocolVersion::V311 => {
            let mut codec = rmqtt_codec::v3::Codec::new(0);
            let packet = codec
                .decode(&mut read)
                .map_err(|error| format!("{error:?}"))?;
            let (packet, _) = packet.ok_or("it is not whole")?;
            codec
                .encode(packet, &mut written)
                .map_err(|error| format!("{error:?}"))?;
        }
    }
    Ok(written.to_vec())
}

fn mqtt_proto(bytes: &[u8], version: ProtocolVersion) -> Result<Vec<u8>, String> {
    let explain = |error: &dyn std::fmt::Debug| format!("{error:?}");
    match version {
        ProtocolVersion::V5 => {
            let packet = mqtt_proto::v5::Packet::decode(bytes).map_err(|error| explain(&error))?;
            let packet = packet.ok_or("it is not whole")?;
            let written = packet.encode().map_err(|error| explain(&error))?;
            Ok(written.as_ref().to_vec())
        }
        ProtocolVersion::V311 => {
            let packet = mqtt_proto::v3::Packet::decode(bytes).map_err(|error| explain(&error))?;
            let packet = packet.ok_or("it is not whole")?;
            let written = packet.encode().map_err(|error| explain(&error))?;
            Ok(written.as_ref().to_vec())
        }
    }
}

/// Whether the oracle is known to be wrong about a packet.
type Departs = fn(&Packet) -> bool;

/// All packets that the seeds and their mutations hold, with the side that reads them.
fn packets(version: ProtocolVersion, role: Role) -> Vec<Packet> {
    let (directory, decoder) = match (version, role) {
        (ProtocolVersion::V5, Role::Server) => ("mqtt5_server", connected(version)),
        (ProtocolVersion::V311, Role::Server) => ("mqtt311_server", connected(version)),
        (ProtocolVersion::V5, Role::Client) => ("mqtt5_client", Decoder::client(version, 1 << 14)),
        (ProtocolVersion::V311, Role::Client) => {
            ("mqtt311_client", Decoder::client(version, 1 << 14))
        }
    };
    let seeds = seeds(directory);
    let mut numbers = Numbers(0x7469_6465_6761_7465);
    let mutated: Vec<_> = (0..MUTATIONS)
        .map(|_| mutate(&seeds, &mut numbers))
        .collect();
    let inputs = seeds.iter().chain(&mutated);
    inputs
        .flat_map(|input| mqtt::packets(&decoder, &mut std::iter::once(&input[..])).0)
        .collect()
}

fn connects() -> Vec<Packet> {
    let seeds = seeds("mqtt_connection");
    let mut numbers = Numbers(0x6d71_7474);
    let mutated: Vec<_> = (0..MUTATIONS)
        .map(|_| mutate(&seeds, &mut numbers))
        .collect();
    let decoder = Decoder::server(1 << 14);
    let inputs = seeds.iter().chain(&mutated);
    inputs
        .filter_map(|input| {
            let (packets, _) = mqtt::packets(&decoder, &mut std::iter::once(&input[..]));
            packets.into_iter().next()
        })
        .collect()
}

fn connected(version: ProtocolVersion) -> Decoder {
    let connect: &[u8] = match version {
        ProtocolVersion::V5 => b"\x10\x0d\0\x04MQTT\x05\x02\0\0\0\0\0",
        ProtocolVersion::V311 => b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0",
    };
    let mut decoder = Decoder::server(1 << 14);
    decoder.decode(&mut BytesMut::from(connect)).unwrap();
    decoder
}

/// A packet with what may be said in several ways said in one.
fn canonical(mut packet: Packet) -> Packet {
    match &mut packet {
        Packet::Publish(publish) => publish.properties = in_order(&publish.properties),
        Packet::Connect(connect) => {
            if let Some(will) = &mut connect.will {
                will.properties = in_order(&will.properties);
                will.delay_seconds = will.delay_seconds.filter(|delay| *delay != 0);
            }
            let properties = &mut connect.properties;
            properties.session_expiry_seconds =
                properties.session_expiry_seconds.filter(|it| *it != 0);
            properties.topic_alias_maximum = properties.topic_alias_maximum.filter(|it| *it != 0);
            properties.request_response_information =
                properties.request_response_information.filter(|it| *it);
            properties.request_problem_information =
                properties.request_problem_information.filter(|it| !*it);
            properties.receive_maximum =
                properties.receive_maximum.filter(|it| it.get() != u16::MAX);
        }
        Packet::ConnectAck(ack) => {
            // What is said by saying nothing.
            let properties = &mut ack.properties;
            for available in [
                &mut properties.retain_available,
                &mut properties.wildcard_subscription_available,
                &mut properties.subscription_identifiers_available,
                &mut properties.shared_subscription_available,
            ] {
                *available = available.filter(|it| !*it);
            }
            properties.topic_alias_maximum = properties.topic_alias_maximum.filter(|it| *it != 0);
            properties.receive_maximum =
                properties.receive_maximum.filter(|it| it.get() != u16::MAX);
        }
        _ => {}
    }
    packet
}

/// The same properties in the order of their numbers.
fn in_order(properties: &MessageProperties) -> MessageProperties {
    let text = |text: &str| Text::copy_from(text).unwrap();
    let pairs = properties.user_properties();
    MessagePropertiesBuilder {
        payload_format: properties.payload_format(),
        content_type: properties.content_type().map(text),
        response_topic: properties
            .response_topic()
            .map(|topic| TopicName::try_from(topic).unwrap()),
        correlation_data: properties.correlation_data().map(Bytes::copy_from_slice),
        user_properties: pairs
            .map(|(name, value)| (text(name), text(value)))
            .collect(),
    }
    .build()
}

/// Passes each packet through the oracle; how many came back the same.
fn compare(
    name: &str,
    oracle: Oracle,
    packets: &[Packet],
    decoder: impl Fn(&Packet) -> (Decoder, ProtocolVersion),
    differs: Departs,
) -> usize {
    let mut same = 0;
    for packet in packets.iter().filter(|packet| !differs(packet)) {
        let (mut decoder, version) = decoder(packet);
        let mut bytes = BytesMut::new();
        Encoder::new(version, PACKET_BYTES_LARGEST)
            .encode(packet, &mut bytes)
            .unwrap();
        let theirs = oracle(&bytes, version)
            .unwrap_or_else(|error| panic!("{name} refuses {packet:?}: {error}"));
        let again = decoder.decode(&mut BytesMut::from(&theirs[..]));
        let again = again.map(|packet| packet.map(canonical));
        let expected = canonical(packet.clone());
        assert_eq!(again, Ok(Some(expected)), "through {name}: {theirs:?}");
        same += 1;
    }
    same
}

/// Where mqtt-proto 0.4.0 departs from the standard: it takes one subscription identifier
/// at most (section 3.3.2.3.8 has no limit), and writes a failure in SUBACK of MQTT 3.1.1
/// as 3 instead of 0x80.
fn mqtt_proto_departs(packet: &Packet) -> bool {
    match packet {
        Packet::Publish(publish) => publish.subscription_identifiers.len() > 1,
        Packet::SubscribeAck(ack) => ack.reasons.contains(&ReasonCode::UnspecifiedError),
        _ => false,
    }
}

#[test]
fn packets_pass_unchanged_through_two_other_codecs() {
    let oracles: [(&str, Oracle, Departs); 2] = [
        ("rmqtt-codec", rmqtt, |_| false),
        ("mqtt-proto", mqtt_proto, mqtt_proto_departs),
    ];
    for (name, oracle, differs) in oracles {
        for version in [ProtocolVersion::V5, ProtocolVersion::V311] {
            for role in [Role::Server, Role::Client] {
                let packets = packets(version, role);
                let decoder = |_: &Packet| match role {
                    Role::Server => (connected(version), version),
                    Role::Client => (Decoder::client(version, 1 << 14), version),
                };
                let same = compare(name, oracle, &packets, decoder, differs);
                assert!(same > 200, "{name} {version:?} {role:?}: only {same}");
            }
        }
        let decoder = |packet: &Packet| match packet {
            Packet::Connect(connect) => (Decoder::server(1 << 14), connect.version),
            other => panic!("{other:?} is no CONNECT"),
        };
        let same = compare(name, oracle, &connects(), decoder, differs);
        assert!(same > 200, "{name}: only {same}");
    }
}
