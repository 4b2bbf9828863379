//! Messages on their way to another core, packed.
//!
//! A message is made of several pieces of memory. Given to another core they would be freed
//! there, one by one, which allocators do slowly, and each would have to be fetched from the
//! sender's cache. So a batch is two pieces for all of its messages; the receiver makes new
//! ones, in memory of its own.

use bytes::Bytes;

use crate::broker::time::Moment;
use crate::broker::{
    Audience, CrossingNumber, ForwardedPublish, MessageParts, ShardContent, ShardMessage,
};
use crate::codec::{MessageProperties, QualityOfService, TopicName};

/// Payloads up to here are packed: a larger one is dearer to copy than to free.
const PACKED_BYTES_MAX: usize = 4 * 1024;

/// Messages in the order they were put in.
#[derive(Debug, Default)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    /// Topics, properties and payloads behind each other.
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Entry {
    Packed(Packed),
    Whole(ShardMessage),
}

/// All of a message but the bytes.
#[derive(Debug)]
struct Packed {
    number: CrossingNumber,
    topic_bytes: usize,
    properties_bytes: usize,
    payload_bytes: usize,
    qos: QualityOfService,
    retain: bool,
    expires_at: Option<Moment>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts a message in.
    pub(super) fn push(&mut self, message: ShardMessage) {
        let entry = match &message.content {
            ShardContent::Publish(publish) if is_packable(publish) => {
                Entry::Packed(self.pack(message.number, &publish.message))
            }
            _ => Entry::Whole(message),
        };
        self.entries.push(entry);
    }

    fn pack(&mut self, number: CrossingNumber, message: &MessageParts) -> Packed {
        let topic = message.topic.as_bytes();
        let properties = message.properties.as_encoded();
        let payload = &message.payload;
        self.bytes
            .reserve(topic.len() + properties.len() + payload.len());
        self.bytes.extend_from_slice(topic);
        self.bytes.extend_from_slice(properties);
        self.bytes.extend_from_slice(payload);
        Packed {
            number,
            topic_bytes: topic.len(),
            properties_bytes: properties.len(),
            payload_bytes: payload.len(),
            qos: message.qos,
            retain: message.retain,
            expires_at: message.expires_at,
        }
    }

    /// Takes all messages out.
    pub(super) fn unpack(self) -> impl Iterator<Item = ShardMessage> {
        let Self { entries, bytes } = self;
        let mut at = 0;
        entries.into_iter().map(move |entry| match entry {
            Entry::Whole(message) => message,
            Entry::Packed(packed) => {
                let (message, end) = packed.unpack(&bytes, at);
                at = end;
                message
            }
        })
    }
}

impl Packed {
    /// The message whose bytes begin at `start`, and where they end.
    fn unpack(self, bytes: &[u8], start: usize) -> (ShardMessage, usize) {
        let properties = start + self.topic_bytes;
        let payload = properties + self.properties_bytes;
        let end = payload + self.payload_bytes;
        let piece = |from: usize, to: usize| Bytes::copy_from_slice(&bytes[from..to]);
        let topic =
            TopicName::new(piece(start, properties)).expect("it was one when it was packed");
        let message = MessageParts {
            topic,
            properties: MessageProperties::from_encoded(piece(properties, payload)),
            payload: piece(payload, end),
            qos: self.qos,
            retain: self.retain,
            expires_at: self.expires_at,
        };
        let publish = ForwardedPublish {
            message,
            audience: Audience::Matching(Vec::new()),
            retain: None,
            joint: None,
            run: None,
        };
        let message = ShardMessage {
            number: self.number,
            content: ShardContent::Publish(Box::new(publish)),
        };
        (message, end)
    }
}

/// Whether it is a short one for everybody whose filters match, as most are.
fn is_packable(publish: &ForwardedPublish) -> bool {
    publish.retain.is_none()
        && publish.joint.is_none()
        && publish.run.is_none()
        && publish.message.payload.len() <= PACKED_BYTES_MAX
        && matches!(&publish.audience, Audience::Matching(shared) if shared.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::broker::SharedName;
    use crate::codec::{MessagePropertiesBuilder, PayloadFormat};

    fn message(number: u64, payload: &[u8], audience: Audience) -> ShardMessage {
        let properties = MessagePropertiesBuilder {
            payload_format: PayloadFormat::Utf8,
            ..MessagePropertiesBuilder::default()
        };
        let message = MessageParts {
            topic: TopicName::try_from("a/b").unwrap(),
            properties: properties.build(),
            payload: Bytes::copy_from_slice(payload),
            qos: QualityOfService::AtLeastOnce,
            retain: number == 2,
            expires_at: Some(Moment::from_millis(number)),
        };
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

    #[test]
    fn what_is_unpacked_is_what_was_put_in_in_order() {
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
            message(1, b"one", all()),
            message(2, b"", all()),
            message(3, &large, all()),
            taken,
            message(4, b"four", Audience::Shared(shared)),
            message(5, b"five", all()),
        ];
        let mut batch = Batch::default();
        messages
            .iter()
            .for_each(|message| batch.push(message.clone()));
        assert_eq!(batch.len(), messages.len());
        let unpacked: Vec<_> = batch.unpack().collect();
        assert_eq!(format!("{unpacked:?}"), format!("{messages:?}"));
    }

    #[test]
    fn packed_messages_are_two_pieces_of_memory() {
        let mut batch = Batch::default();
        for number in 0..100 {
            batch.push(message(number, b"short", Audience::Matching(Vec::new())));
        }
        let is_packed = |entry: &Entry| matches!(entry, Entry::Packed(_));
        assert!(batch.entries.iter().all(is_packed));
    }
}
