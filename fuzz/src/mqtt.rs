//! The MQTT codec under arbitrary input. Each function panics when an invariant breaks: no
//! panic in the codec, the same packets however the input is split, and what was accepted is
//! written so that it reads back the same.

use bytes::BytesMut;
use tidegate_mqtt::codec::{DecodeError, Decoder, Encoder, Packet, ProtocolVersion};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its binary and of its directory of seeds.
    pub name: &'static str,
    /// Panics when an invariant does not hold for an input.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 2] = [
    Target {
        name: "mqtt_from_client",
        run: from_client,
    },
    Target {
        name: "mqtt_from_server",
        run: from_server,
    },
];

/// Longer input finds nothing that shorter input does not.
const INPUT_BYTES_MAX: usize = 64 << 10;

/// The largest packets taken; small ones, so that the limit is met too.
const PACKET_BYTES_MAX: [u32; 2] = [1 << 20, 64];

/// All packets of one client's connection, CONNECT first.
pub fn from_client(data: &[u8]) {
    for limit in PACKET_BYTES_MAX {
        connection(data, &Decoder::server(limit));
    }
}

/// All packets of a server to its client; the first byte says the version, odd for 5.0.
pub fn from_server(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let version = match first % 2 {
        0 => ProtocolVersion::V311,
        _ => ProtocolVersion::V5,
    };
    for limit in PACKET_BYTES_MAX {
        connection(data, &Decoder::client(version, limit));
    }
}

fn connection(data: &[u8], decoder: &Decoder) {
    let data = &data[..data.len().min(INPUT_BYTES_MAX)];
    let whole = packets(data, data.len().max(1), decoder);
    for step in [1, 7] {
        assert_eq!(packets(data, step, decoder), whole, "split by {step}");
    }
}

/// The packets of `data`, which arrives `step` bytes at a time, and how they end.
fn packets(data: &[u8], step: usize, decoder: &Decoder) -> (Vec<Packet>, Option<DecodeError>) {
    let mut decoder = decoder.clone();
    let mut buffer = BytesMut::new();
    let mut packets = Vec::new();
    for piece in data.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            let before = decoder.clone();
            match decoder.decode(&mut buffer) {
                Ok(None) => break,
                Ok(Some(packet)) => {
                    reads_back(&packet, before, &decoder);
                    packets.push(packet);
                }
                Err(error) => return (packets, Some(error)),
            }
        }
    }
    (packets, None)
}

/// What a decoder took must be something an encoder can say, and in the same words.
fn reads_back(packet: &Packet, mut before: Decoder, after: &Decoder) {
    let version = after.version().expect("a packet has a version");
    let mut written = BytesMut::new();
    let encoder = Encoder::new(version, 1 << 28);
    let encoded = encoder.encode(packet, &mut written);
    assert_eq!(encoded, Ok(()), "{packet:?}");
    // Lengths and properties may be longer in the shortest form than in the peer's.
    before.set_packet_bytes_max(1 << 28);
    let again = before.decode(&mut written);
    assert_eq!(again.as_ref(), Ok(&Some(packet.clone())));
    assert!(written.is_empty(), "{} bytes too many", written.len());
}
