#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::broker::crossing::{Audience, ForwardedPublish, SharedName};
use crate::codec::{MessagePropertiesBuilder, PayloadFormat};

fn parts(number: u64, payload: &[u8], qos: QualityOfService) -> MessageParts {
    let properties = MessagePropertiesBuilder {
        payload_format: PayloadFormat::Utf8,
        ..MessagePropertiesBuilder::default()
    };
    MessageParts {
        topic: TopicName::try_from("a/b").unwrap(),
        properties: properties.build(),
        payload: Bytes::copy_from_slice(payload),
        qos,
        retain: number == 2,
        expires_at: Some(Moment::from_millis(number)),
    }
}

fn whole(number: u64, message: MessageParts, audience: Audience) -> ShardMessage {
    ShardMessage {
        number: CrossingNumber(number),
        content: ShardContent::Publish(Box::new(ForwardedPublish {
            message,
            audience,
            retain: None,
            joint: None,
            run: None,
        })),
    }
}

impl From<Unpacked> for ShardMessage {
    fn from(unpacked: Unpacked) -> Self {
        let (number, message) = match unpacked {
            Unpacked::Whole(message) => return message,
            Unpacked::Common(number, _, message) => (number, message),
        };
        let publish = ForwardedPublish {
            message,
            audience: Audience::Matching(Vec::new()),
            retain: None,
            joint: None,
            run: None,
        };
        Self {
            number,
            content: ShardContent::Publish(Box::new(publish)),
        }
    }
}

/// A message and its number: often like one before.
fn message() -> impl Strategy<Value = (u64, MessageParts)> {
    let topic = prop_oneof!["a/b", "[a-z/]{1,9}"];
    let payload = prop_oneof![vec(any::<u8>(), 0..5), Just(vec![7; PACKED_BYTES_MAX])];
    let format = prop_oneof![Just(PayloadFormat::default()), Just(PayloadFormat::Utf8)];
    let expiry = proptest::option::of(any::<u64>().prop_map(Moment::from_millis));
    let number = prop_oneof![0..4_u64, any::<u64>().prop_map(|it| it / 2)];
    (
        number,
        topic,
        format,
        payload,
        0..3_u8,
        any::<bool>(),
        expiry,
    )
        .prop_map(
            |(number, topic, payload_format, payload, qos, retain, expires_at)| {
                let properties = MessagePropertiesBuilder {
                    payload_format,
                    ..MessagePropertiesBuilder::default()
                };
                let parts = MessageParts {
                    topic: TopicName::try_from(topic.as_str()).unwrap(),
                    properties: properties.build(),
                    payload: payload.into(),
                    qos: QualityOfService::from_bits(qos).unwrap(),
                    retain,
                    expires_at,
                };
                (number, parts)
            },
        )
}

fn published(message: ShardMessage) -> ForwardedPublish {
    match message.content {
        ShardContent::Publish(publish) => *publish,
        other => panic!("{other:?}"),
    }
}

fn put(parcel: &mut Parcel, number: u64, payload: &[u8], qos: QualityOfService) {
    let parts = parts(number, payload, qos);
    parcel.pack(CrossingNumber(number), &parts.outline());
}

#[test]
fn what_is_unpacked_is_what_was_put_in_in_order() {
    use QualityOfService::{AtLeastOnce, AtMostOnce};
    let all = || Audience::Matching(Vec::new());
    let shared = SharedName {
        filter: "a/#".into(),
        name: "group".into(),
    };
    let large = vec![7; PACKED_BYTES_MAX + 1];
    let taken = ShardMessage {
        number: CrossingNumber(0),
        content: ShardContent::Taken(CrossingNumber(9)),
    };
    let messages = [
        whole(1, parts(1, b"one", AtLeastOnce), all()),
        whole(2, parts(2, b"", AtMostOnce), all()),
        whole(3, parts(3, &large, AtLeastOnce), all()),
        taken,
        whole(4, parts(4, b"four", AtLeastOnce), Audience::Shared(shared)),
        whole(5, parts(5, b"five", AtLeastOnce), all()),
    ];
    let mut parcel = Parcel::default();
    for message in &messages {
        match &message.content {
            ShardContent::Publish(publish) if [1, 2, 5].contains(&message.number.0) => {
                parcel.pack(message.number, &publish.message.outline());
            }
            _ => parcel.push(message.clone()),
        }
    }
    assert_eq!(parcel.len(), messages.len());
    let unpacked: Vec<_> = parcel.unpack().map(ShardMessage::from).collect();
    assert_eq!(format!("{unpacked:?}"), format!("{messages:?}"));
}

proptest! {
    #[test]
    fn any_parcels_one_behind_the_other_are_all_that_was_put_in(
        parcels in vec(vec(message(), 0..8), 0..6),
    ) {
        let mut all = Parcel::default();
        let mut expected = Vec::new();
        for messages in &parcels {
            let mut parcel = Parcel::default();
            for (number, parts) in messages {
                if parts.payload.is_empty() {
                    let message = whole(*number, parts.clone(), Audience::Matching(Vec::new()));
                    parcel.push(message);
                } else {
                    parcel.pack(CrossingNumber(*number), &parts.outline());
                }
                expected.push((CrossingNumber(*number), parts.clone()));
            }
            prop_assert_eq!(all.append(parcel, usize::MAX), 0);
        }
        prop_assert_eq!(all.len(), expected.len());
        let messages = all.unpack().map(ShardMessage::from);
        let unpacked: Vec<_> = messages.map(|it| (it.number, published(it).message)).collect();
        prop_assert_eq!(unpacked, expected);
    }
}

#[test]
fn many_messages_are_a_large_parcel_and_so_are_many_bytes() {
    use QualityOfService::AtMostOnce;
    let mut parcel = Parcel::default();
    for number in 1..LARGE_MESSAGES as u64 {
        put(&mut parcel, number, b"short", AtMostOnce);
    }
    assert!(!parcel.is_large());
    put(&mut parcel, 0, b"short", AtMostOnce);
    assert!(parcel.is_large());

    let payload = [7; PACKED_BYTES_MAX];
    drop(parcel.take());
    for number in 0..(LARGE_BYTES / PACKED_BYTES_MAX) as u64 {
        assert!(!parcel.is_large());
        put(&mut parcel, number, &payload, AtMostOnce);
    }
    assert!(parcel.is_large());

    drop(parcel.take());
    let message = parts(1, &[7; LARGE_BYTES], AtMostOnce);
    parcel.push(whole(1, message, Audience::Retained));
    assert!(parcel.is_large());
}

#[test]
fn each_message_has_its_own_topic_and_those_in_a_row_share_it() {
    let topics = ["a/b", "a/b", "a/c", "a", "a", "a/b"];
    let mut parcel = Parcel::default();
    for (number, topic) in (0..).zip(topics) {
        let mut message = parts(number, b"short", QualityOfService::AtMostOnce);
        message.topic = TopicName::try_from(topic).unwrap();
        parcel.pack(CrossingNumber(number), &message.outline());
    }
    let unpacked = parcel.unpack().map(|unpacked| match unpacked {
        Unpacked::Common(_, _, message) => message.topic,
        Unpacked::Whole(message) => panic!("{message:?}"),
    });
    let unpacked: Vec<_> = unpacked.collect();
    assert!(unpacked.iter().map(TopicName::as_str).eq(topics));
    let place = |at: usize| unpacked[at].as_bytes().as_ptr();
    assert_eq!((place(0), place(3)), (place(1), place(4)));
}

#[test]
fn packed_messages_are_one_piece_of_memory() {
    let mut parcel = Parcel::default();
    for number in 0..100 {
        put(&mut parcel, number, b"short", QualityOfService::AtMostOnce);
    }
    assert_eq!(parcel.whole.capacity(), 0);
    // The next one holds no memory, and then need not grow to that size step by step.
    let taken = parcel.take();
    assert!(parcel.is_empty() && parcel.records.capacity() == 0);
    put(&mut parcel, 0, b"short", QualityOfService::AtMostOnce);
    assert!(parcel.records.capacity() >= taken.records.len());
}

#[test]
fn what_is_as_with_the_message_before_takes_no_room() {
    let outline = Outline {
        topic: b"a/long/topic/of/many/levels",
        properties: b"",
        payload: b"short",
        qos: QualityOfService::AtMostOnce,
        retain: false,
        expires_at: None,
    };
    let mut parcel = Parcel::default();
    parcel.pack(CrossingNumber(1), &outline);
    let first = parcel.records.len();
    for number in 2..12 {
        parcel.pack(CrossingNumber(number), &outline);
    }
    let each = 3 + outline.payload.len();
    assert_eq!(parcel.records.len(), first + 10 * each);
}

#[test]
fn one_full_parcel_does_not_make_the_next_ones_large() {
    let mut parcel = Parcel::default();
    let payload = [7; PACKED_BYTES_MAX];
    for number in 0..1_024 {
        put(&mut parcel, number, &payload, QualityOfService::AtMostOnce);
    }
    drop(parcel.take());
    put(&mut parcel, 0, b"short", QualityOfService::AtMostOnce);
    assert!(parcel.records.capacity() <= 2 * ROOM_BYTES_MAX);
}

#[test]
fn a_full_backlog_loses_what_may_be_lost_and_nothing_else() {
    use QualityOfService::{AtLeastOnce, AtMostOnce};
    let mut backlog = Parcel::default();
    let mut first = Parcel::default();
    put(&mut first, 1, b"one", AtMostOnce);
    put(&mut first, 2, b"two", AtLeastOnce);
    assert_eq!(backlog.append(first, 3), 0);
    let mut second = Parcel::default();
    put(&mut second, 3, b"three", AtMostOnce);
    put(&mut second, 4, b"four", AtMostOnce);
    put(&mut second, 5, b"five", AtLeastOnce);
    second.push(whole(
        6,
        parts(6, b"six", AtMostOnce),
        Audience::Matching(Vec::new()),
    ));
    second.push(ShardMessage {
        number: CrossingNumber(0),
        content: ShardContent::Taken(CrossingNumber(9)),
    });
    assert_eq!(backlog.append(second, 3), 2);
    let payloads: Vec<_> = (backlog.clone().unpack())
        .filter_map(|unpacked| match unpacked {
            Unpacked::Common(_, _, message) => Some(message.payload),
            Unpacked::Whole(_) => None,
        })
        .collect();
    assert_eq!(payloads, ["one", "two", "three", "five"]);
    assert_eq!(backlog.numbers(), [1, 2, 3, 5, 0]);
}
