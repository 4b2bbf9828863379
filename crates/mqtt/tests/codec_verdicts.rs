//! What each committed seed of the fuzz targets is taken for: the packets it holds, or
//! the rule it breaks and the reason that the peer is told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use bytes::BytesMut;
use tidegate_mqtt::codec::DecodeError as E;
use tidegate_mqtt::codec::{
    DecodeError, Decoder, Packet, PacketType, Property, ProtocolVersion, TextError, TopicError,
};

const PACKET_BYTES_MAX: u32 = 16 << 10;

fn decode(mut decoder: Decoder, name: &str) -> Result<Vec<Packet>, DecodeError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut buffer = BytesMut::from(&bytes[..]);
    let mut packets = Vec::new();
    while let Some(packet) = decoder.decode(&mut buffer)? {
        packets.push(packet);
    }
    Ok(packets)
}

fn connected(version: ProtocolVersion) -> Decoder {
    let connect: &[u8] = match version {
        ProtocolVersion::V5 => b"\x10\x0d\0\x04MQTT\x05\x02\0\0\0\0\0",
        ProtocolVersion::V311 => b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0",
    };
    let mut decoder = Decoder::server(PACKET_BYTES_MAX);
    decoder.decode(&mut BytesMut::from(connect)).unwrap();
    decoder
}

#[track_caller]
fn refused(decoder: &Decoder, directory: &str, verdicts: &[(&str, DecodeError, u8)]) {
    for (name, error, reason) in verdicts {
        let verdict = decode(decoder.clone(), &format!("{directory}/{name}"));
        assert_eq!(verdict, Err(*error), "{directory}/{name}");
        assert_eq!(error.reason_code().to_byte(), *reason, "{directory}/{name}");
    }
}

#[track_caller]
fn accepted(decoder: &Decoder, directory: &str, names: &[(&str, usize)]) {
    for (name, count) in names {
        let packets = decode(decoder.clone(), &format!("{directory}/{name}"));
        assert_eq!(packets.unwrap().len(), *count, "{directory}/{name}");
    }
}

#[test]
fn connections_that_begin_wrong_are_refused() {
    let decoder = Decoder::server(PACKET_BYTES_MAX);
    refused(
        &decoder,
        "mqtt_connection",
        &[
            (
                "publish_first",
                E::UnexpectedPacket(PacketType::Publish),
                0x82,
            ),
            (
                "then_connect",
                E::UnexpectedPacket(PacketType::Connect),
                0x82,
            ),
            ("level3", E::ProtocolName, 0x84),
            ("level6", E::ProtocolVersion { level: 6 }, 0x84),
            ("reserved_flag", E::ConnectFlags, 0x81),
            ("will_qos3", E::QualityOfService, 0x81),
            ("data_without_method", E::AuthenticationMethod, 0x82),
            (
                "repeated",
                E::PropertyRepeated(Property::TopicAliasMaximum),
                0x82,
            ),
            ("long_length", E::VariableByteInteger, 0x81),
            ("overlong_length", E::VariableByteInteger, 0x81),
            ("too_large", E::PacketTooLarge { bytes: 268_435_460 }, 0x95),
            ("trailing", E::TrailingBytes(PacketType::Connect), 0x81),
        ],
    );
    accepted(
        &decoder,
        "mqtt_connection",
        &[
            ("plain311", 1),
            ("full311", 1),
            ("plain5", 1),
            ("full5", 1),
            ("password_alone5", 1),
            ("scattered_users", 1),
            ("then_publish", 4),
        ],
    );
}

#[test]
fn a_server_refuses_what_a_client_must_not_send() {
    let decoder = connected(ProtocolVersion::V5);
    let null = TopicError::Text(TextError::Null);
    let surrogate = TopicError::Text(TextError::NotUtf8);
    refused(
        &decoder,
        "mqtt5_server",
        &[
            ("no_topic", E::TopicMissing, 0x82),
            ("alias_zero", E::TopicAlias, 0x94),
            (
                "sub_id",
                E::PropertySender(Property::SubscriptionIdentifier),
                0x82,
            ),
            ("qos3", E::QualityOfService, 0x81),
            ("dup0", E::DuplicateFlag, 0x81),
            ("wildcard", E::TopicName(TopicError::WildcardInName), 0x90),
            ("null", E::TopicName(null), 0x81),
            ("surrogate", E::TopicName(surrogate), 0x81),
            (
                "pubrel_flags",
                E::FixedHeaderFlags(PacketType::PublishRelease),
                0x81,
            ),
            ("no_local_shared", E::NoLocalShared, 0x82),
            ("no_filter", E::NoTopicFilter(PacketType::Subscribe), 0x82),
            ("reserved_options", E::SubscriptionOptionsReserved, 0x81),
            ("ping_long", E::TrailingBytes(PacketType::PingRequest), 0x81),
            ("auth_no_method", E::AuthenticationMethod, 0x82),
            ("connack", E::UnexpectedPacket(PacketType::ConnectAck), 0x82),
            ("reserved", E::ReservedPacketType, 0x81),
            ("id_zero", E::PacketIdentifier, 0x82),
        ],
    );
    accepted(
        &decoder,
        "mqtt5_server",
        &[
            ("publish0", 1),
            ("publish1", 1),
            ("publish2", 1),
            ("alias", 1),
            ("scattered", 1),
            ("puback_full", 1),
            ("subscribe", 1),
            ("unsubscribe", 1),
            ("disconnect_full", 1),
            ("auth", 1),
            ("many", 5),
            ("half", 0),
            ("long", 1),
        ],
    );
}

#[test]
fn mqtt_311_has_no_properties_and_no_auth() {
    let decoder = connected(ProtocolVersion::V311);
    let misplaced = E::TopicFilter(TopicError::WildcardPlace);
    refused(
        &decoder,
        "mqtt311_server",
        &[
            ("empty_topic", E::TopicName(TopicError::Empty), 0x90),
            (
                "puback_long",
                E::TrailingBytes(PacketType::PublishAck),
                0x81,
            ),
            ("options", E::SubscriptionOptionsReserved, 0x81),
            (
                "disconnect_long",
                E::TrailingBytes(PacketType::Disconnect),
                0x81,
            ),
            ("auth", E::ReservedPacketType, 0x81),
            ("bad_filter", misplaced, 0x8f),
        ],
    );
    accepted(
        &decoder,
        "mqtt311_server",
        &[
            ("publish0", 1),
            ("publish1", 1),
            ("subscribe", 1),
            ("disconnect", 1),
        ],
    );
}

#[test]
fn a_client_refuses_what_a_server_must_not_send() {
    let decoder = Decoder::client(ProtocolVersion::V5, PACKET_BYTES_MAX);
    refused(
        &decoder,
        "mqtt5_client",
        &[
            ("connack_present_refused", E::ConnectAckFlags, 0x81),
            ("connack_flags", E::ConnectAckFlags, 0x81),
            (
                "suback_none",
                E::NoTopicFilter(PacketType::SubscribeAck),
                0x82,
            ),
            (
                "expiry_from_server",
                E::PropertySender(Property::SessionExpiryInterval),
                0x82,
            ),
            (
                "subscribe",
                E::UnexpectedPacket(PacketType::Subscribe),
                0x82,
            ),
        ],
    );
    accepted(
        &decoder,
        "mqtt5_client",
        &[
            ("connack", 1),
            ("connack_full", 1),
            ("publish", 1),
            ("suback", 1),
            ("disconnect", 1),
        ],
    );
    let plain = Decoder::client(ProtocolVersion::V311, PACKET_BYTES_MAX);
    let disconnect = E::UnexpectedPacket(PacketType::Disconnect);
    refused(
        &plain,
        "mqtt311_client",
        &[
            ("code6", E::ReasonUnknown(6), 0x81),
            ("suback_code", E::ReasonUnknown(0x87), 0x81),
            ("disconnect", disconnect, 0x82),
        ],
    );
    accepted(
        &plain,
        "mqtt311_client",
        &[("connack", 1), ("refused", 1), ("suback", 1)],
    );
}

#[test]
fn properties_that_lie_apart_are_kept_in_their_order() {
    let packets = decode(connected(ProtocolVersion::V5), "mqtt5_server/scattered").unwrap();
    let [Packet::Publish(publish)] = &packets[..] else {
        panic!("{packets:?}");
    };
    assert_eq!(publish.message_expiry_seconds, Some(9));
    assert_eq!(publish.topic_alias.map(|alias| alias.0.get()), Some(1));
    let kept = &publish.properties;
    assert_eq!(kept.as_encoded()[..2], [1, 1]);
    let pairs: Vec<_> = kept.user_properties().collect();
    assert_eq!(pairs, [("k", "v"), ("k", "v")]);
}
