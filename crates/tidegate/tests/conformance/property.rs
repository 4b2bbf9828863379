//! Properties of MQTT 5.0 (section 2.2.2), to send and as received.

use crate::wire::{Fields, Wire};

pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
pub(crate) const CONTENT_TYPE: u8 = 0x03;
pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
pub(crate) const CORRELATION_DATA: u8 = 0x09;
pub(crate) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
pub(crate) const SESSION_EXPIRY: u8 = 0x11;
pub(crate) const ASSIGNED_CLIENT_IDENTIFIER: u8 = 0x12;
pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(crate) const AUTHENTICATION_METHOD: u8 = 0x15;
pub(crate) const AUTHENTICATION_DATA: u8 = 0x16;
pub(crate) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
pub(crate) const WILL_DELAY: u8 = 0x18;
pub(crate) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
pub(crate) const RESPONSE_INFORMATION: u8 = 0x1a;
pub(crate) const REASON_STRING: u8 = 0x1f;
pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(crate) const TOPIC_ALIAS: u8 = 0x23;
pub(crate) const MAXIMUM_QOS: u8 = 0x24;
pub(crate) const RETAIN_AVAILABLE: u8 = 0x25;
pub(crate) const USER_PROPERTY: u8 = 0x26;
pub(crate) const MAXIMUM_PACKET_SIZE: u8 = 0x27;

/// What a property says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u32),
    /// A string or binary data.
    Bytes(Vec<u8>),
    Pair(String, String),
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<(&str, &str)> for Value {
    fn from((name, value): (&str, &str)) -> Self {
        Self::Pair(name.into(), value.into())
    }
}

/// The properties of one packet, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties(Vec<(u8, Value)>);

impl Properties {
    pub(crate) fn with(mut self, property: u8, value: impl Into<Value>) -> Self {
        self.0.push((property, value.into()));
        self
    }

    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut fields = Fields(bytes);
        let mut properties = Self::default();
        while !fields.is_empty() {
            let property = fields.byte();
            let value = match property {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => fields.byte().into(),
                0x13 | 0x21..=0x23 => fields.two().into(),
                0x02 | 0x11 | 0x18 | 0x27 => fields.four(),
                0x0b => fields.variable(),
                0x09 | 0x16 => {
                    properties.0.push((property, Value::Bytes(fields.data())));
                    continue;
                }
                0x03 | 0x08 | 0x12 | 0x15 | 0x1a | 0x1c | 0x1f => {
                    let text = fields.text();
                    properties.0.push((property, text.as_str().into()));
                    continue;
                }
                0x26 => {
                    let (name, value) = (fields.text(), fields.text());
                    properties.0.push((property, Value::Pair(name, value)));
                    continue;
                }
                other => panic!("no property has the identifier {other:#04x}"),
            };
            properties.0.push((property, Value::Number(value)));
        }
        properties
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let write = |wire: Wire, (property, value): &(u8, Value)| {
            let wire = wire.byte(*property);
            match value {
                Value::Bytes(bytes) => wire.string(bytes),
                Value::Pair(name, value) => wire.string(name).string(value),
                Value::Number(number) => match property {
                    0x0b => wire.variable(*number),
                    0x02 | 0x11 | 0x18 | 0x27 => wire.four(*number),
                    0x13 | 0x21..=0x23 => wire.two((*number).try_into().unwrap()),
                    _ => wire.byte((*number).try_into().unwrap()),
                },
            }
        };
        self.0.iter().fold(Wire::new(), write).0
    }

    fn all(&self, property: u8) -> impl Iterator<Item = &Value> {
        let is_it = move |entry: &&(u8, Value)| entry.0 == property;
        self.0.iter().filter(is_it).map(|(_, value)| value)
    }

    pub(crate) fn has(&self, property: u8) -> bool {
        self.all(property).next().is_some()
    }

    pub(crate) fn number(&self, property: u8) -> Option<u32> {
        self.numbers(property).first().copied()
    }

    pub(crate) fn numbers(&self, property: u8) -> Vec<u32> {
        let number = |value: &Value| match value {
            Value::Number(number) => *number,
            other => panic!("{other:?} is no number"),
        };
        self.all(property).map(number).collect()
    }

    pub(crate) fn data(&self, property: u8) -> Option<&[u8]> {
        self.all(property).next().map(|value| match value {
            Value::Bytes(bytes) => bytes.as_slice(),
            other => panic!("{other:?} is neither string nor data"),
        })
    }

    pub(crate) fn text(&self, property: u8) -> Option<&str> {
        let text = |bytes| std::str::from_utf8(bytes).expect("a string that is not UTF-8");
        self.data(property).map(text)
    }

    /// The User Properties, in their order.
    pub(crate) fn pairs(&self) -> Vec<(&str, &str)> {
        fn pair(value: &Value) -> (&str, &str) {
            match value {
                Value::Pair(name, value) => (name, value),
                other => panic!("{other:?} is no pair"),
            }
        }
        self.all(USER_PROPERTY).map(pair).collect()
    }
}
