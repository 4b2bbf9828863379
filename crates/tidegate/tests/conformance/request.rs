//! What a client sends: right by default, wrong where a test wants it so.

use crate::property::{Properties, Value};
use crate::wire::Wire;

/// The protocol level of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V311 = 4,
    V5 = 5,
}

/// CONNECT; clean start and no session left behind unless said otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) protocol: &'static str,
    pub(crate) level: u8,
    /// Changes bits of the Connect Flags, for CONNECTs that contradict themselves.
    pub(crate) flags_flipped: u8,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) properties: Properties,
    pub(crate) id: Vec<u8>,
    pub(crate) will: Option<Will>,
    pub(crate) user: Option<Vec<u8>>,
    pub(crate) password: Option<Vec<u8>>,
}

/// A will (section 3.1.2.5).
#[derive(Clone, Debug)]
pub(crate) struct Will {
    topic: Vec<u8>,
    payload: Vec<u8>,
    qos: u8,
    retain: bool,
    properties: Properties,
}

impl Will {
    pub(crate) fn new(topic: impl AsRef<[u8]>, payload: &str) -> Self {
        Self {
            topic: topic.as_ref().into(),
            payload: payload.into(),
            qos: 0,
            retain: false,
            properties: Properties::default(),
        }
    }

    pub(crate) fn qos(self, qos: u8) -> Self {
        Self { qos, ..self }
    }

    pub(crate) fn retained(self) -> Self {
        Self {
            retain: true,
            ..self
        }
    }

    pub(crate) fn with(mut self, property: u8, value: impl Into<Value>) -> Self {
        self.properties = self.properties.with(property, value);
        self
    }
}

impl Connect {
    pub(crate) fn new(id: impl AsRef<[u8]>) -> Self {
        Self {
            version: Version::V5,
            protocol: "MQTT",
            level: 5,
            flags_flipped: 0,
            clean: true,
            keep_alive: 60,
            properties: Properties::default(),
            id: id.as_ref().into(),
            will: None,
            user: None,
            password: None,
        }
    }

    pub(crate) fn v311(id: impl AsRef<[u8]>) -> Self {
        Self {
            version: Version::V311,
            level: 4,
            ..Self::new(id)
        }
    }

    /// Clean Start or Clean Session 0.
    pub(crate) fn resume(self) -> Self {
        Self {
            clean: false,
            ..self
        }
    }

    /// Outlives its connection.
    pub(crate) fn lasting(self) -> Self {
        self.with(crate::property::SESSION_EXPIRY, 600)
    }

    pub(crate) fn keep_alive(self, keep_alive: u16) -> Self {
        Self { keep_alive, ..self }
    }

    pub(crate) fn will(self, will: Will) -> Self {
        Self {
            will: Some(will),
            ..self
        }
    }

    pub(crate) fn user(self, user: impl AsRef<[u8]>) -> Self {
        Self {
            user: Some(user.as_ref().into()),
            ..self
        }
    }

    pub(crate) fn password(self, password: impl AsRef<[u8]>) -> Self {
        Self {
            password: Some(password.as_ref().into()),
            ..self
        }
    }

    pub(crate) fn flip(self, flags_flipped: u8) -> Self {
        Self {
            flags_flipped,
            ..self
        }
    }

    pub(crate) fn with(mut self, property: u8, value: impl Into<Value>) -> Self {
        self.properties = self.properties.with(property, value);
        self
    }

    fn flags(&self) -> u8 {
        let will = self
            .will
            .as_ref()
            .map_or(0, |will| 0x04 | will.qos << 3 | u8::from(will.retain) << 5);
        let clean = u8::from(self.clean) << 1;
        let user = u8::from(self.user.is_some()) << 7;
        let password = u8::from(self.password.is_some()) << 6;
        (will | clean | user | password) ^ self.flags_flipped
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let v5 = self.version == Version::V5;
        let properties = |wire: Wire, properties| match v5 {
            true => wire.properties(properties),
            false => wire,
        };
        let mut wire = Wire::new()
            .string(self.protocol)
            .byte(self.level)
            .byte(self.flags())
            .two(self.keep_alive);
        wire = properties(wire, &self.properties).string(&self.id);
        if let Some(will) = &self.will {
            wire = properties(wire, &will.properties)
                .string(&will.topic)
                .string(&will.payload);
        }
        for field in [&self.user, &self.password].into_iter().flatten() {
            wire = wire.string(field);
        }
        wire.frame(0x10)
    }
}

/// SUBSCRIBE, or with [`unsubscribe`](Subscribe::unsubscribe) UNSUBSCRIBE.
#[derive(Clone, Debug)]
pub(crate) struct Subscribe {
    id: u16,
    properties: Properties,
    filters: Vec<(Vec<u8>, u8)>,
}

impl Subscribe {
    pub(crate) fn new(id: u16) -> Self {
        Self {
            id,
            properties: Properties::default(),
            filters: Vec::new(),
        }
    }

    /// The options are the byte on the wire: QoS, No Local 4, Retain As Published 8,
    /// Retain Handling 0x10 and 0x20.
    pub(crate) fn to(mut self, filter: impl AsRef<[u8]>, options: u8) -> Self {
        self.filters.push((filter.as_ref().into(), options));
        self
    }

    pub(crate) fn with(mut self, property: u8, value: impl Into<Value>) -> Self {
        self.properties = self.properties.with(property, value);
        self
    }

    fn head(&self, version: Version) -> Wire {
        let wire = Wire::new().two(self.id);
        match version {
            Version::V5 => wire.properties(&self.properties),
            Version::V311 => wire,
        }
    }

    pub(crate) fn bytes(&self, version: Version) -> Vec<u8> {
        let write =
            |wire: Wire, (filter, options): &(Vec<u8>, u8)| wire.string(filter).byte(*options);
        let head = self.head(version);
        self.filters.iter().fold(head, write).frame(0x82)
    }

    pub(crate) fn unsubscribe(&self, version: Version) -> Vec<u8> {
        let write = |wire: Wire, (filter, _): &(Vec<u8>, u8)| wire.string(filter);
        let head = self.head(version);
        self.filters.iter().fold(head, write).frame(0xa2)
    }
}
