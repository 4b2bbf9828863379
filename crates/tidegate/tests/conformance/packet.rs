//! What a server sends, read strictly: a reserved bit that is set or a byte too many
//! fails the test, whatever it is about.

use crate::property::{Properties, Value};
use crate::request::Version;
use crate::wire::{Fields, Wire};

/// A packet from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    ConnectAck(ConnectAck),
    Publish(Publish),
    PublishAck(Ack),
    PublishReceived(Ack),
    PublishRelease(Ack),
    PublishComplete(Ack),
    SubscribeAck(SubscribeAck),
    UnsubscribeAck(SubscribeAck),
    PingResponse,
    Disconnect(Reason),
    Auth(Reason),
}

/// CONNACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectAck {
    pub(crate) session_present: bool,
    pub(crate) reason: u8,
    pub(crate) properties: Properties,
}

/// PUBLISH, either way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) topic: Vec<u8>,
    /// 0 at QoS 0.
    pub(crate) id: u16,
    pub(crate) properties: Properties,
    pub(crate) payload: Vec<u8>,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) id: u16,
    pub(crate) reason: u8,
    pub(crate) properties: Properties,
}

/// SUBACK or UNSUBACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscribeAck {
    pub(crate) id: u16,
    pub(crate) properties: Properties,
    pub(crate) reasons: Vec<u8>,
}

/// DISCONNECT or AUTH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) reason: u8,
    pub(crate) properties: Properties,
}

impl Packet {
    pub(crate) fn read(first: u8, body: &[u8], version: Version) -> Self {
        let mut fields = Fields(body);
        let v5 = version == Version::V5;
        let packet = match first {
            0x20 => Self::ConnectAck(ConnectAck::read(&mut fields, v5)),
            0x30..=0x3f => Self::Publish(Publish::read(first, &mut fields, v5)),
            0x40 => Self::PublishAck(Ack::read(&mut fields, v5)),
            0x50 => Self::PublishReceived(Ack::read(&mut fields, v5)),
            0x62 => Self::PublishRelease(Ack::read(&mut fields, v5)),
            0x70 => Self::PublishComplete(Ack::read(&mut fields, v5)),
            0x90 => Self::SubscribeAck(SubscribeAck::read(&mut fields, v5)),
            0xb0 => Self::UnsubscribeAck(SubscribeAck::read(&mut fields, v5)),
            0xd0 => Self::PingResponse,
            0xe0 if v5 => Self::Disconnect(Reason::read(&mut fields)),
            0xf0 if v5 => Self::Auth(Reason::read(&mut fields)),
            other => panic!("no server sends a packet that begins with {other:#04x}"),
        };
        assert!(fields.is_empty(), "more bytes than fields: {packet:?}");
        packet
    }
}

impl ConnectAck {
    fn read(fields: &mut Fields<'_>, v5: bool) -> Self {
        let flags = fields.byte();
        assert!(
            flags <= 1,
            "reserved Connect Acknowledge Flags: {flags:#04x}"
        );
        Self {
            session_present: flags == 1,
            reason: fields.byte(),
            properties: if v5 {
                fields.properties()
            } else {
                Properties::default()
            },
        }
    }
}

impl Publish {
    /// One at QoS 0 to be sent.
    pub(crate) fn new(topic: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> Self {
        Self {
            dup: false,
            qos: 0,
            retain: false,
            topic: topic.as_ref().into(),
            id: 0,
            properties: Properties::default(),
            payload: payload.as_ref().into(),
        }
    }

    pub(crate) fn qos(self, qos: u8, id: u16) -> Self {
        Self { qos, id, ..self }
    }

    pub(crate) fn retained(self) -> Self {
        Self {
            retain: true,
            ..self
        }
    }

    pub(crate) fn again(self) -> Self {
        Self { dup: true, ..self }
    }

    pub(crate) fn with(mut self, property: u8, value: impl Into<Value>) -> Self {
        self.properties = self.properties.with(property, value);
        self
    }

    pub(crate) fn bytes(&self, version: Version) -> Vec<u8> {
        let first = 0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain);
        let mut wire = Wire::new().string(&self.topic);
        if self.qos > 0 {
            wire = wire.two(self.id);
        }
        if version == Version::V5 {
            wire = wire.properties(&self.properties);
        }
        wire.raw(&self.payload).frame(first)
    }

    fn read(first: u8, fields: &mut Fields<'_>, v5: bool) -> Self {
        let qos = first >> 1 & 3;
        assert!(qos < 3, "QoS 3");
        let dup = first & 8 != 0;
        let topic = fields.text().into_bytes();
        let id = if qos > 0 { fields.two() } else { 0 };
        assert!(qos == 0 || id > 0, "a Packet Identifier of zero");
        Self {
            dup,
            qos,
            retain: first & 1 != 0,
            topic,
            id,
            properties: if v5 {
                fields.properties()
            } else {
                Properties::default()
            },
            payload: fields.rest(),
        }
    }

    pub(crate) fn payload(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }

    pub(crate) fn topic(&self) -> &str {
        std::str::from_utf8(&self.topic).unwrap()
    }
}

impl Ack {
    fn read(fields: &mut Fields<'_>, v5: bool) -> Self {
        let id = fields.two();
        let rest = match v5 {
            true => Reason::read(fields),
            false => Reason::read(&mut Fields(&[])),
        };
        Self {
            id,
            reason: rest.reason,
            properties: rest.properties,
        }
    }
}

impl Reason {
    /// Both may be left out (sections 3.4.2.1 and 3.14.2.1).
    fn read(fields: &mut Fields<'_>) -> Self {
        let reason = if fields.is_empty() { 0 } else { fields.byte() };
        let properties = match fields.is_empty() {
            true => Properties::default(),
            false => fields.properties(),
        };
        Self { reason, properties }
    }
}

impl SubscribeAck {
    fn read(fields: &mut Fields<'_>, v5: bool) -> Self {
        Self {
            id: fields.two(),
            properties: if v5 {
                fields.properties()
            } else {
                Properties::default()
            },
            reasons: fields.rest(),
        }
    }
}
