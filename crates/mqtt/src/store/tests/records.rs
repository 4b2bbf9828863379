//! A record comes back as it went, or not at all.

use std::rc::Rc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::{Batch, RecordError, decode, encode, sealed};
use crate::broker::durable::{
    MessageNumber, Record, SessionNumber, StoredDelivery, StoredSession, StoredSubscription,
    StoredWill,
};
use crate::broker::retained::Stamp;
use crate::broker::shard::{SHARDS_MAX, ShardId};
use crate::broker::time::Moment;
use crate::broker::{CrossingNumber, Message, MessageParts, Position, RunId, SharedName};
use crate::codec::{
    MessagePropertiesBuilder, PacketIdentifier, PayloadFormat, QualityOfService,
    SubscriptionIdentifier, Text, TopicName,
};

fn quality() -> impl Strategy<Value = QualityOfService> {
    (0..3_u8).prop_map(|bits| QualityOfService::from_bits(bits).unwrap())
}

fn identifier() -> impl Strategy<Value = SubscriptionIdentifier> {
    (1..=268_435_455_u32).prop_map(|number| SubscriptionIdentifier::new(number).unwrap())
}

fn message() -> impl Strategy<Value = Rc<Message>> {
    let properties = (
        any::<bool>(),
        option::of("[a-z/]{1,20}"),
        option::of(vec(any::<u8>(), 0..20)),
        vec(("[a-z]{0,5}", "[a-z]{0,5}"), 0..3),
    );
    let properties = properties.prop_map(|(utf8, text, data, pairs)| {
        let text_of = |text: &str| Text::copy_from(text).unwrap();
        MessagePropertiesBuilder {
            payload_format: match utf8 {
                true => PayloadFormat::Utf8,
                false => PayloadFormat::Unspecified,
            },
            content_type: text.as_deref().map(text_of),
            response_topic: text.map(|text| TopicName::try_from(&*text).unwrap()),
            correlation_data: data.map(Bytes::from),
            user_properties: pairs
                .iter()
                .map(|(name, value)| (text_of(name), text_of(value)))
                .collect(),
        }
        .build()
    });
    let parts = (
        "[a-z/]{1,30}",
        properties,
        vec(any::<u8>(), 0..100),
        quality(),
        any::<bool>(),
        option::of(any::<u64>()),
    );
    parts.prop_map(|(topic, properties, payload, qos, retain, expires_at)| {
        Rc::new(Message::new(MessageParts {
            topic: TopicName::try_from(&*topic).unwrap(),
            properties,
            payload: payload.into(),
            qos,
            retain,
            expires_at: expires_at.map(Moment::from_millis),
        }))
    })
}

fn moment() -> impl Strategy<Value = Option<Moment>> {
    option::of(any::<u64>().prop_map(Moment::from_millis))
}

fn session() -> impl Strategy<Value = Record> {
    let will = (message(), any::<u32>(), option::of(any::<u32>()), moment());
    let will = will.prop_map(|(message, delay_secs, expiry_secs, due)| StoredWill {
        message,
        delay_secs,
        expiry_secs,
        due,
    });
    let session = (
        any::<u64>(),
        ".{0,40}",
        any::<u32>(),
        moment(),
        option::of(will),
    );
    session.prop_map(|(number, client_id, expiry_secs, ends_at, will)| {
        Record::SessionPut(Box::new(StoredSession {
            number: SessionNumber(number),
            client_id: client_id.into(),
            expiry_secs,
            ends_at,
            will,
        }))
    })
}

fn subscription() -> impl Strategy<Value = Record> {
    let fields = (
        any::<u64>(),
        prop_oneof!["[a-z]{1,9}/[+]/#", "[$]share/g/[a-z]{1,9}"],
        quality(),
        any::<bool>(),
        any::<bool>(),
        option::of(identifier()),
    );
    fields.prop_map(
        |(session, filter, qos, no_local, retain_as_published, identifier)| {
            Record::SubscriptionPut(Box::new(StoredSubscription {
                session: SessionNumber(session),
                filter: filter.into(),
                qos,
                no_local,
                retain_as_published,
                identifier,
            }))
        },
    )
}

fn delivery() -> impl Strategy<Value = Record> {
    let fields = (
        any::<[u64; 3]>(),
        quality(),
        any::<bool>(),
        vec(identifier(), 0..4),
        option::of(("[a-z]{1,9}", "[a-z]{1,9}")),
    );
    fields.prop_map(
        |([session, at, message], qos, retain, identifiers, shared)| {
            Record::QueuePut(StoredDelivery {
                session: SessionNumber(session),
                position: Position(at),
                message: MessageNumber(message),
                qos,
                retain,
                identifiers,
                shared: shared.map(|(filter, name)| SharedName {
                    filter: filter.into(),
                    name: name.into(),
                }),
            })
        },
    )
}

/// Any record that puts something.
fn record() -> impl Strategy<Value = Record> {
    let received = |(session, id): (u64, u16)| {
        let id = PacketIdentifier::new(id.max(1)).unwrap();
        Record::ReceivedPut(SessionNumber(session), id)
    };
    prop_oneof![
        session(),
        subscription(),
        delivery(),
        (any::<u64>(), message()).prop_map(|(at, it)| Record::MessagePut(MessageNumber(at), it)),
        any::<(u64, u64)>()
            .prop_map(|(session, at)| Record::QueueReleased(SessionNumber(session), Position(at))),
        any::<(u64, u64)>()
            .prop_map(|(session, at)| Record::QueueSent(SessionNumber(session), Position(at))),
        any::<(u64, u16)>().prop_map(received),
        (any::<(u64, u8)>(), message())
            .prop_map(|((at, shard), it)| Record::RetainedPut(Stamp { at, shard }, it)),
        (0..SHARDS_MAX, any::<(u64, u64)>()).prop_map(|(from, (run, number))| {
            Record::TakenPut(ShardId(from), RunId(run), CrossingNumber(number))
        }),
    ]
}

fn encoded(record: &Record) -> (Bytes, Bytes) {
    let (key, value) = encode(ShardId(5), record).expect("it puts something");
    (key.into(), value.into())
}

/// What a record says, without the state that a message has beside its parts.
fn said(record: &Record) -> String {
    match record {
        Record::MessagePut(number, message) => format!("{number:?} {:?}", message.parts()),
        Record::RetainedPut(stamp, message) => format!("{stamp:?} {:?}", message.parts()),
        other => format!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_went(record in record()) {
        let (key, value) = encoded(&record);
        let (shard, back) = decode(key, value).unwrap();
        prop_assert_eq!(shard, ShardId(5));
        prop_assert_eq!(said(&back), said(&record));
    }

    #[test]
    fn a_record_that_lost_a_bit_is_none(
        record in record(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let (key, value) = encoded(&record);
        let at = at.index(key.len() + value.len());
        let mut bytes = [&key[..], &value].concat();
        bytes[at] ^= 1_u8 << bit;
        let mut key_read = Bytes::from(bytes);
        let value_read = key_read.split_off(key.len());
        prop_assert_eq!(decode(key_read, value_read).unwrap_err(), RecordError::Checksum);
    }

    #[test]
    fn any_bytes_with_a_good_checksum_are_read_without_panic(
        table in 0..9_u8,
        key in vec(any::<u8>(), 0..30),
        value in vec(any::<u8>(), 0..100),
    ) {
        let key = [&[0, table][..], &key].concat();
        let fields = [&[encode::FORMAT][..], &value].concat();
        let value = sealed(&key, fields);
        let _ = decode(key.into(), value.into());
    }

    #[test]
    fn a_record_under_another_key_is_none(one in record(), other in record()) {
        let (key, value) = encoded(&one);
        let (other_key, _) = encoded(&other);
        prop_assume!(key != other_key);
        prop_assert!(decode(other_key, value).is_err());
    }
}

#[test]
fn topics_too_long_for_a_key_are_told_apart() {
    let long = "t".repeat(65_534);
    let keys = ["a", "b"].map(|last| {
        let batch = Batch::of(
            ShardId(0),
            &[Record::RetainedDrop(format!("{long}{last}").into())],
        );
        let key = batch.slice(&batch.changes()[0].key).to_vec();
        assert!(key.len() <= usize::from(u16::MAX));
        key
    });
    assert_ne!(keys[0], keys[1]);
}
