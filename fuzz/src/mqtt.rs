//! The MQTT codec under arbitrary input. Each function panics when an invariant
//! breaks: no panic in the codec, the same packets and the same error however the
//! input is split, and what was accepted is written so that it reads back the same.

use bytes::{BufMut, BytesMut};
use tidegate_mqtt::codec::{
    DecodeError, Decoder, EncodedPublish, Encoder, PACKET_BYTES_LARGEST, Packet, ProtocolVersion,
    Publish, PublishBody, PublishOptions, PublishPatch, TopicForm, encode_publish_head,
};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its binary and of its directory of seeds.
    pub name: &'static str,
    /// Panics when an invariant does not hold for an input.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "mqtt_connection",
        run: connection,
    },
    Target {
        name: "mqtt5_server",
        run: v5_server,
    },
    Target {
        name: "mqtt5_client",
        run: v5_client,
    },
    Target {
        name: "mqtt311_server",
        run: v311_server,
    },
    Target {
        name: "mqtt311_client",
        run: v311_client,
    },
];

/// Longer input finds nothing that shorter input does not.
const INPUT_BYTES_MAX: usize = 64 << 10;

/// Packets of more bytes are refused.
const PACKET_BYTES_MAX: u32 = 16 << 10;

/// What a server reads from its first byte on.
pub fn connection(data: &[u8]) {
    check(&Decoder::server(PACKET_BYTES_MAX), data);
    check(&Decoder::server(20), data);
}

/// What a server reads after a CONNECT of MQTT 5.0.
pub fn v5_server(data: &[u8]) {
    check(&connected(b"\x10\x0d\0\x04MQTT\x05\x02\0\0\0\0\0"), data);
}

/// What a client of MQTT 5.0 reads.
pub fn v5_client(data: &[u8]) {
    check(
        &Decoder::client(ProtocolVersion::V5, PACKET_BYTES_MAX),
        data,
    );
}

/// What a server reads after a CONNECT of MQTT 3.1.1.
pub fn v311_server(data: &[u8]) {
    check(&connected(b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0"), data);
}

/// What a client of MQTT 3.1.1 reads.
pub fn v311_client(data: &[u8]) {
    check(
        &Decoder::client(ProtocolVersion::V311, PACKET_BYTES_MAX),
        data,
    );
}

fn connected(connect: &[u8]) -> Decoder {
    let mut decoder = Decoder::server(PACKET_BYTES_MAX);
    let packet = decoder.decode(&mut BytesMut::from(connect));
    assert!(matches!(packet, Ok(Some(Packet::Connect(_)))), "{packet:?}");
    decoder
}

fn check(decoder: &Decoder, data: &[u8]) {
    let data = &data[..data.len().min(INPUT_BYTES_MAX)];
    let whole = packets(decoder, &mut std::iter::once(data));
    assert_eq!(
        whole,
        packets(decoder, &mut data.chunks(1)),
        "whole and byte by byte"
    );
    // A place that depends on the input, so that a fuzzer can move it.
    let sum = data.iter().fold(data.len(), |sum, &byte| {
        sum.wrapping_mul(31) + usize::from(byte)
    });
    let (first, second) = data.split_at(sum % (data.len() + 1));
    assert_eq!(
        whole,
        packets(decoder, &mut [first, second].into_iter()),
        "whole and cut at {}",
        first.len()
    );
    let mut decoder = decoder.clone();
    for packet in &whole.0 {
        reads_back(&mut decoder, packet);
    }
}

/// The packets, how many bytes no packet was made of, and why not.
type Outcome = (Vec<Packet>, Result<usize, DecodeError>);

/// Decodes what arrives in these pieces, through a fresh copy of `decoder`.
pub fn packets(decoder: &Decoder, pieces: &mut dyn Iterator<Item = &[u8]>) -> Outcome {
    let mut decoder = decoder.clone();
    let mut buffer = BytesMut::new();
    let mut packets = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => return (packets, Err(error)),
            }
        }
    }
    (packets, Ok(buffer.len()))
}

/// What is decoded, written and read is what it was.
fn reads_back(decoder: &mut Decoder, packet: &Packet) {
    let version = match (packet, decoder.version()) {
        (Packet::Connect(connect), None) => connect.version,
        (_, Some(version)) => version,
        _ => panic!("{packet:?} before CONNECT"),
    };
    let mut written = BytesMut::new();
    Encoder::new(version, PACKET_BYTES_LARGEST)
        .encode(packet, &mut written)
        .unwrap_or_else(|error| panic!("{packet:?} is accepted and not written: {error}"));
    let bytes = written.clone();
    decoder.set_packet_bytes_max(PACKET_BYTES_LARGEST);
    let again = decoder.decode(&mut written);
    assert_eq!(again.as_ref(), Ok(&Some(packet.clone())), "{bytes:?}");
    assert!(
        written.is_empty(),
        "a packet is written with its exact length"
    );
    if let Packet::Publish(publish) = packet {
        patches_like_it_writes(version, publish);
    }
}

/// A shared encoding that is patched is what would have been written for the receiver.
fn patches_like_it_writes(version: ProtocolVersion, publish: &Publish) {
    let topic = publish
        .topic
        .as_ref()
        .map_or(&b"t"[..], |topic| topic.as_bytes());
    let body = PublishBody {
        topic,
        properties: publish.properties.as_encoded(),
        payload_bytes: publish.payload.len(),
    };
    let options = PublishOptions {
        delivery: publish.delivery,
        duplicate: publish.duplicate,
        retain: publish.retain,
        topic_form: match publish.topic_alias {
            Some(alias) => TopicForm::NameAndAlias(alias),
            None => TopicForm::Name,
        },
        message_expiry_seconds: publish.message_expiry_seconds,
        subscription_identifiers: &publish.subscription_identifiers,
    };
    let shape = PublishOptions {
        message_expiry_seconds: publish.message_expiry_seconds.map(|_| 7),
        ..options
    };
    let shared = EncodedPublish::new(version, &body, &shape).expect("it was read as a packet");
    let mut patched = BytesMut::new();
    let patch = PublishPatch {
        packet_identifier: publish.delivery.packet_identifier(),
        topic_alias: publish.topic_alias,
        message_expiry_seconds: publish.message_expiry_seconds,
    };
    shared.write_head(patch, &mut patched);
    let mut own = BytesMut::new();
    encode_publish_head(version, PACKET_BYTES_LARGEST, &body, &options, &mut own)
        .expect("it was read as a packet");
    assert_eq!(patched, own);
    own.put_slice(&publish.payload);
    assert_eq!(own.len(), shared.packet_bytes());
}
