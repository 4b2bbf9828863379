//! A message on its way to whoever gets it.
//!
//! What has come in a packet lies in a buffer that many packets share. It is put into memory
//! of its own once a queue here keeps it, and not at all if it only goes to other cores,
//! which make their own of it.

use std::rc::Rc;

use super::{message::Message, parcel::Outline, time::Moment};
use crate::codec::{Publish, QualityOfService, TopicName};

/// A message, or what one is made of.
#[derive(Debug)]
pub(super) enum Draft<'a> {
    /// It is as it came.
    Packet {
        /// What it came in.
        packet: &'a Publish,
        /// Its topic, which the packet may name by an alias.
        topic: TopicName,
        /// When it expires.
        expires_at: Option<Moment>,
    },
    /// Queues can share it.
    Made(Rc<Message>),
}

impl<'a> Draft<'a> {
    /// As published at `now`, to a topic that the packet may name by an alias.
    pub(super) fn of_publish(now: Moment, packet: &'a Publish, topic: TopicName) -> Self {
        let expiry = packet.message_expiry_seconds;
        Self::Packet {
            packet,
            topic,
            expires_at: expiry.map(|secs| now.plus_secs(secs)),
        }
    }

    pub(super) fn topic(&self) -> &TopicName {
        match self {
            Self::Packet { topic, .. } => topic,
            Self::Made(message) => message.topic(),
        }
    }

    pub(super) fn qos(&self) -> QualityOfService {
        match self {
            Self::Packet { packet, .. } => packet.delivery.quality_of_service(),
            Self::Made(message) => message.qos(),
        }
    }

    pub(super) fn is_retained(&self) -> bool {
        match self {
            Self::Packet { packet, .. } => packet.retain,
            Self::Made(message) => message.is_retained(),
        }
    }

    /// The message, made now if it was not before.
    pub(super) fn message(&mut self) -> &Rc<Message> {
        if let Self::Packet {
            packet,
            topic,
            expires_at,
        } = self
        {
            let message = Message::of_publish(packet, topic, *expires_at);
            *self = Self::Made(Rc::new(message));
        }
        match self {
            Self::Made(message) => message,
            Self::Packet { .. } => unreachable!("it has just been made"),
        }
    }

    /// What it says.
    pub(super) fn outline(&self) -> Outline<'_> {
        match self {
            Self::Packet {
                packet,
                topic,
                expires_at,
            } => Outline {
                topic: topic.as_bytes(),
                properties: packet.properties.as_encoded(),
                payload: &packet.payload,
                qos: packet.delivery.quality_of_service(),
                retain: packet.retain,
                expires_at: *expires_at,
            },
            Self::Made(message) => message.parts().outline(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use bytes::Bytes;

    use super::*;
    use crate::codec::{Delivery, MessageProperties};

    #[test]
    fn what_goes_to_other_cores_is_the_same_before_and_after_it_is_made() {
        let packet = Publish {
            delivery: Delivery::AtMostOnce,
            duplicate: false,
            retain: true,
            topic: None,
            topic_alias: None,
            message_expiry_seconds: Some(7),
            subscription_identifiers: Vec::new(),
            properties: MessageProperties::new(),
            payload: Bytes::from_static(b"payload"),
        };
        let now = Moment::from_millis(1_000);
        let topic = TopicName::try_from("a/b").unwrap();
        let mut draft = Draft::of_publish(now, &packet, topic);
        let before = format!("{:?} {:?}", draft.outline(), draft.topic());
        let message = Rc::clone(draft.message());
        assert_eq!(format!("{:?} {:?}", draft.outline(), draft.topic()), before);
        assert_eq!(message.expires_at(), Some(now.plus_secs(7)));
        // It is made once.
        assert!(Rc::ptr_eq(&message, draft.message()));
    }
}
