//! What the codec costs for a small message: read from a client, written for a subscriber.
//!
//! `cargo bench -p tidegate-mqtt --bench codec` prints nanoseconds for each message.

use std::hint::black_box;
use std::time::Instant;

use bytes::{BufMut, BytesMut};
use tidegate_mqtt::codec::{
    Decoder, EncodedPublish, Encoder, PACKET_BYTES_LARGEST, Packet, ProtocolVersion, PublishBody,
    PublishOptions, PublishPatch, TopicForm, encode_publish_head,
};

/// One read's worth of messages.
const MESSAGES: usize = 2_000;
const ROUNDS: usize = 2_000;

fn main() {
    for version in [ProtocolVersion::V311, ProtocolVersion::V5] {
        let (decoder, packet) = connected(version);
        let input = packet.repeat(MESSAGES);
        let read = per_message(|| {
            let mut decoder = decoder.clone();
            let mut buffer = BytesMut::from(&input[..]);
            while let Ok(Some(packet)) = decoder.decode(&mut buffer) {
                black_box(packet);
            }
        });
        println!("{version:?} decode, 16 B, QoS 0: {read:.1} ns");
        bench_encode(version, decoder, &packet);
    }
}

fn bench_encode(version: ProtocolVersion, mut decoder: Decoder, packet: &[u8]) {
    let decoded = decoder.decode(&mut BytesMut::from(packet));
    let Ok(Some(Packet::Publish(publish))) = decoded else {
        panic!("the bench has a PUBLISH");
    };
    let topic = publish.topic.as_ref().expect("it has a topic").as_bytes();
    let body = PublishBody {
        topic,
        properties: publish.properties.as_encoded(),
        payload_bytes: publish.payload.len(),
    };
    let options = PublishOptions {
        delivery: publish.delivery,
        duplicate: false,
        retain: false,
        topic_form: TopicForm::Name,
        message_expiry_seconds: None,
        subscription_identifiers: &[],
    };
    let mut out = BytesMut::with_capacity(1 << 20);
    let own = per_message(|| {
        out.clear();
        for _ in 0..MESSAGES {
            let written =
                encode_publish_head(version, PACKET_BYTES_LARGEST, &body, &options, &mut out);
            black_box(&written);
            out.put_slice(&publish.payload);
        }
    });
    let shared = EncodedPublish::new(version, &body, &options).expect("it fits");
    let patched = per_message(|| {
        out.clear();
        for _ in 0..MESSAGES {
            shared.write_head(PublishPatch::default(), &mut out);
            out.put_slice(&publish.payload);
        }
        black_box(&out);
    });
    println!("{version:?} encode: {own:.1} ns; from a shared head: {patched:.1} ns");
}

/// The decoder of a server after CONNECT, and a PUBLISH for it.
fn connected(version: ProtocolVersion) -> (Decoder, Vec<u8>) {
    let (connect, publish): (&[u8], &[u8]) = match version {
        ProtocolVersion::V311 => (
            b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0",
            b"\x30\x1e\0\x0csensors/1234sixteen bytes ok",
        ),
        ProtocolVersion::V5 => (
            b"\x10\x0d\0\x04MQTT\x05\x02\0\0\0\0\0",
            b"\x30\x1f\0\x0csensors/1234\0sixteen bytes ok",
        ),
    };
    let mut decoder = Decoder::server(PACKET_BYTES_LARGEST);
    let first = decoder.decode(&mut BytesMut::from(connect));
    assert!(matches!(first, Ok(Some(Packet::Connect(_)))));
    let mut out = BytesMut::new();
    let packet = decoder.decode(&mut BytesMut::from(publish));
    let Ok(Some(packet)) = packet else {
        panic!("the bench has a whole PUBLISH: {packet:?}");
    };
    Encoder::new(version, PACKET_BYTES_LARGEST)
        .encode(&packet, &mut out)
        .expect("what was read can be written");
    assert_eq!(out, publish);
    (decoder, publish.to_vec())
}

/// The best of many rounds, in nanoseconds.
fn per_message(mut round: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_nanos() as f64 / MESSAGES as f64);
    }
    best
}
