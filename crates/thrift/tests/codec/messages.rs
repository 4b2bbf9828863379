//! Messages of every transport and protocol, there and back.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tidegate_thrift::codec::{
    DecodeError, Decoder, Envelope, HeaderKey, HeadersBuilder, Limits, Message, MessageKind,
    Protocol, Transport, Wire, encode,
};

use crate::values;

pub(crate) const TRANSPORTS: [Transport; 4] = [
    Transport::Unframed,
    Transport::Framed,
    Transport::TtHeader,
    Transport::TtHeaderFramed,
];
pub(crate) const PROTOCOLS: [Protocol; 3] =
    [Protocol::Binary, Protocol::BinaryOld, Protocol::Compact];

fn kinds() -> impl Strategy<Value = MessageKind> {
    prop::sample::select(vec![
        MessageKind::Call,
        MessageKind::Reply,
        MessageKind::Exception,
        MessageKind::OneWay,
    ])
}

fn wires() -> impl Strategy<Value = Wire> {
    let transport = prop::sample::select(&TRANSPORTS[..]);
    let protocol = prop::sample::select(&PROTOCOLS[..]);
    (transport, protocol).prop_map(|(transport, protocol)| Wire {
        transport,
        protocol,
    })
}

prop_compose! {
    pub(crate) fn messages()(
        wire in wires(),
        kind in kinds(),
        method in "[a-zA-Z_:][a-zA-Z0-9_:]{0,40}",
        sequence_id in any::<i32>(),
        number in any::<u16>(),
        value in "[ -~]{0,40}",
        fields in values::structs(),
    ) -> Message {
        let headers = wire.transport.has_headers().then(|| {
            HeadersBuilder::new(!sequence_id)
                .with(HeaderKey::Number(number), &value)
                .and_then(|headers| headers.with(HeaderKey::Name(b"region"), &value))
                .and_then(|headers| headers.with(HeaderKey::Token, "letmein"))
                .unwrap()
                .build()
        });
        let body = match wire.protocol {
            Protocol::Compact => values::compact(&fields),
            _ => values::binary(&fields),
        };
        let envelope = Envelope { method: method.into(), kind, sequence_id };
        Message { wire, envelope, headers, body: body.into() }
    }
}

fn assert_same(read: &Message, sent: &Message) {
    assert_eq!(
        (read.wire, &read.envelope, &read.body),
        (sent.wire, &sent.envelope, &sent.body)
    );
    match (&read.headers, &sent.headers) {
        (Some(read), Some(sent)) => {
            // A written header has padding behind its last key.
            assert!(read.iter().eq(sent.iter()));
            assert_eq!(
                (read.flags, read.sequence_id),
                (sent.flags, sent.sequence_id)
            );
        }
        (None, None) => {}
        (read, sent) => panic!("{read:?} for {sent:?}"),
    }
}

proptest! {
    #[test]
    fn a_message_reads_back_from_its_bytes(message in messages()) {
        let bytes = encode(&message).unwrap();
        let mut buffer = BytesMut::from(&bytes[..]);
        let read = Decoder::new(Limits::default()).decode(&mut buffer);
        assert_same(&read.unwrap().unwrap(), &message);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn a_cut_message_is_waited_for_at_every_length(message in messages()) {
        let bytes = encode(&message).unwrap();
        for end in 0..bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..end]);
            let mut decoder = Decoder::new(Limits::default());
            prop_assert_eq!(decoder.decode(&mut buffer), Ok(None));
            prop_assert_eq!(buffer.len(), end);
        }
    }

    #[test]
    fn messages_that_arrive_byte_by_byte_are_the_same(
        mut first in messages(),
        mut second in messages(),
    ) {
        // A connection keeps its transport, but may mix protocols.
        second.wire.transport = Transport::Unframed;
        first.wire.transport = Transport::Unframed;
        (first.headers, second.headers) = (None, None);
        let mut decoder = Decoder::new(Limits::default());
        let mut buffer = BytesMut::new();
        let mut read = Vec::new();
        for message in [&first, &second] {
            for byte in encode(message).unwrap() {
                buffer.extend_from_slice(&[byte]);
                read.extend(decoder.decode(&mut buffer).unwrap());
            }
        }
        prop_assert_eq!(read, [first, second]);
    }

    #[test]
    fn the_length_of_a_frame_is_known_from_its_first_bytes(message in messages()) {
        let bytes = encode(&message).unwrap();
        let decoder = Decoder::with_transport(Limits::default(), message.wire.transport);
        let expected = (message.wire.transport != Transport::Unframed).then_some(bytes.len());
        prop_assert_eq!(decoder.message_bytes(&bytes[..4]), Ok(expected));
    }
}

#[test]
fn both_seeds_of_a_header_are_told_from_each_other() {
    // The payload of the one begins with the length of a name, that of the other of a frame.
    for transport in [Transport::TtHeader, Transport::TtHeaderFramed] {
        let message = Message {
            wire: Wire {
                transport,
                protocol: Protocol::BinaryOld,
            },
            envelope: Envelope {
                method: "ping".into(),
                kind: MessageKind::Call,
                sequence_id: 1,
            },
            headers: None,
            body: Bytes::from_static(b"\0"),
        };
        let mut buffer = BytesMut::from(&encode(&message).unwrap()[..]);
        let read = Decoder::new(Limits::default()).decode(&mut buffer);
        assert_eq!(read.unwrap().unwrap().wire, message.wire);
    }
}

#[test]
fn a_documented_header_is_read_key_by_key() {
    // Written by hand from the description of the format.
    let variable =
        b"\0\0\x10\0\x02\0\x06\0\x05store\0\x09\0\x03get\x01\0\x01\0\x03env\0\x04test\0\0\0";
    let variable = &variable[..variable.len() / 4 * 4];
    let payload = b"\x80\x01\0\x01\0\0\0\x03get\0\0\0\x05\0";
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&(10 + variable.len() as u32 + payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(b"\x10\0\0\x02\0\0\0\x05");
    bytes.extend_from_slice(&(variable.len() as u16 / 4).to_be_bytes());
    bytes.extend_from_slice(variable);
    bytes.extend_from_slice(payload);
    let message = Decoder::new(Limits::default()).decode(&mut bytes);
    let headers = message.unwrap().unwrap().headers.unwrap();
    assert_eq!((headers.flags, headers.sequence_id), (2, 5));
    assert_eq!(headers.get(HeaderKey::TO_SERVICE), Some(&b"store"[..]));
    assert_eq!(headers.get(HeaderKey::TO_METHOD), Some(&b"get"[..]));
    assert_eq!(headers.get(HeaderKey::Name(b"env")), Some(&b"test"[..]));
    assert_eq!(headers.get(HeaderKey::Token), None);
}

#[test]
fn a_payload_says_itself_what_it_is() {
    // The header says binary, as Volo's does of every payload.
    let bytes = b"\0\0\0\x17\x10\0\0\0\0\0\0\x07\0\x01\0\0\0\0\x82\x21\x07\x04ping\0";
    let mut buffer = BytesMut::from(&bytes[..]);
    let read = Decoder::new(Limits::default()).decode(&mut buffer);
    let message = read.unwrap().unwrap();
    assert_eq!(message.wire.protocol, Protocol::Compact);
    let relayed = encode(&message).unwrap();
    assert_eq!((relayed[14], &relayed[15..]), (2, &bytes[15..]));
    // One that is not spoken here is refused.
    let mut other = bytes.to_vec();
    other[14] = 4;
    let read = Decoder::new(Limits::default()).decode(&mut BytesMut::from(&other[..]));
    assert_eq!(read, Err(DecodeError::HeaderProtocol(4)));
}

#[test]
fn a_connection_keeps_its_transport() {
    let framed = b"\0\0\0\x11\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x07\0";
    let mut buffer = BytesMut::from(&framed[..]);
    let mut decoder = Decoder::with_transport(Limits::default(), Transport::TtHeader);
    assert_eq!(decoder.decode(&mut buffer), Err(DecodeError::HeaderMagic));
}

#[test]
fn a_name_is_told_from_its_service() {
    let envelope = |method: &'static str| Envelope {
        method: method.into(),
        kind: MessageKind::Call,
        sequence_id: 9,
    };
    let multiplexed = envelope("store:get");
    assert_eq!(multiplexed.service(), Some("store"));
    assert_eq!(multiplexed.method_name(), "get");
    assert_eq!(envelope("get").service(), None);
    let answer = multiplexed.answer(MessageKind::Reply);
    assert_eq!((&*answer.method, answer.sequence_id), ("get", 9));
}
