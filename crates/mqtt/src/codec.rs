//! Packets from bytes and back: MQTT 5.0 and 3.1.1 (OASIS), client and server.
//!
//! Texts, topics and payloads are slices of the buffer they arrived in. A packet
//! that outlives the buffer for long should be detached from it, so that sixteen
//! bytes in a queue do not hold sixty-four thousand.

mod acknowledge;
mod connect;
mod decode;
mod encode;
mod error;
mod fields;
mod finish;
mod packet;
mod property;
mod publish;
mod reason;
mod subscribe;
mod text;
mod topic;
mod user_property;

pub use acknowledge::{Acknowledgement, ReasonDetail};
pub use connect::{Connect, ConnectAck, ConnectAckProperties, ConnectProperties, Will};
pub use decode::Decoder;
pub use encode::{
    EncodeError, EncodedPublish, Encoder, PACKET_BYTES_LARGEST, PublishBody, PublishOptions,
    PublishPatch, TopicForm, encode_publish_head,
};
pub use error::DecodeError;
pub use finish::{Auth, Disconnect};
pub use packet::{Packet, PacketIdentifier, PacketType, ProtocolVersion, QualityOfService, Role};
pub use property::Property;
pub use publish::{
    Delivery, MessageProperties, MessagePropertiesBuilder, PayloadFormat, Publish,
    SubscriptionIdentifier, TopicAlias,
};
pub use reason::ReasonCode;
pub use subscribe::{
    RetainHandling, Subscribe, SubscribeAck, Subscription, SubscriptionOptions, Unsubscribe,
    UnsubscribeAck,
};
pub use text::{Text, TextError};
pub use topic::{TopicError, TopicFilter, TopicName};
pub use user_property::UserProperties;
