//! Which calls a route is for.

use tidegate_thrift::codec::{HeaderKey, Message};

/// The calls a route is for: those for which all that is said here holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallMatch {
    /// The service: in front of the method's name, or in the header.
    pub service: Option<Box<str>>,
    /// The method's name without the service's.
    pub method: NameMatch,
    /// What the header has to have. A call without a header has nothing.
    pub headers: Vec<HeaderMatch>,
}

/// What a method is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NameMatch {
    /// Anything.
    #[default]
    Any,
    /// This.
    Exactly(Box<str>),
    /// Something that begins so.
    Prefix(Box<str>),
}

/// A value that a header has to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderMatch {
    /// Under a text.
    Named {
        /// The text.
        key: Box<str>,
        /// The value.
        value: Box<str>,
    },
    /// Under a number.
    Numbered {
        /// The number.
        key: u16,
        /// The value.
        value: Box<str>,
    },
}

impl CallMatch {
    /// Whether the route is for this call.
    pub fn is_for(&self, call: &Message) -> bool {
        self.is_for_service(call)
            && self.method.is_for(call.envelope.method_name())
            && self.headers.iter().all(|header| header.is_in(call))
    }

    fn is_for_service(&self, call: &Message) -> bool {
        let Some(wanted) = &self.service else {
            return true;
        };
        match call.envelope.service() {
            Some(service) => service == &**wanted,
            None => header(call, HeaderKey::TO_SERVICE) == Some(wanted.as_bytes()),
        }
    }
}

impl NameMatch {
    fn is_for(&self, method: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(name) => **name == *method,
            Self::Prefix(prefix) => method.starts_with(&**prefix),
        }
    }
}

impl HeaderMatch {
    fn is_in(&self, call: &Message) -> bool {
        let (key, value) = match self {
            Self::Named { key, value } => (HeaderKey::Name(key.as_bytes()), value),
            Self::Numbered { key, value } => (HeaderKey::Number(*key), value),
        };
        header(call, key) == Some(value.as_bytes())
    }
}

fn header<'c>(call: &'c Message, key: HeaderKey<'_>) -> Option<&'c [u8]> {
    call.headers.as_ref()?.get(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tidegate_thrift::codec::{
        Envelope, Headers, HeadersBuilder, MessageKind, Protocol, Transport, Wire,
    };

    use super::*;

    fn call(method: &str, headers: Option<Headers>) -> Message {
        Message {
            wire: Wire {
                transport: Transport::TtHeader,
                protocol: Protocol::Binary,
            },
            envelope: Envelope {
                method: method.into(),
                kind: MessageKind::Call,
                sequence_id: 1,
            },
            headers,
            body: b"\0"[..].into(),
        }
    }

    fn headers() -> Option<Headers> {
        let builder = HeadersBuilder::new(1)
            .with(HeaderKey::TO_SERVICE, "store")
            .and_then(|it| it.with(HeaderKey::Name(b"region"), "north"));
        Some(builder.unwrap().build())
    }

    #[test]
    fn a_service_is_told_by_the_name_or_else_by_the_header() {
        let store = CallMatch {
            service: Some("store".into()),
            ..CallMatch::default()
        };
        assert!(store.is_for(&call("store:get", None)));
        assert!(store.is_for(&call("get", headers())));
        assert!(!store.is_for(&call("users:get", headers())));
        assert!(!store.is_for(&call("get", None)));
        assert!(!store.is_for(&call("storeget", None)));
    }

    #[test]
    fn a_method_is_told_without_its_service() {
        let route = |method| CallMatch {
            method,
            ..CallMatch::default()
        };
        let exactly = route(NameMatch::Exactly("get".into()));
        let prefix = route(NameMatch::Prefix("get".into()));
        for (method, is_exactly, is_prefix) in [
            ("get", true, true),
            ("store:get", true, true),
            ("store:getAll", false, true),
            ("get:put", false, false),
        ] {
            let call = call(method, None);
            assert_eq!(exactly.is_for(&call), is_exactly, "{method}");
            assert_eq!(prefix.is_for(&call), is_prefix, "{method}");
        }
    }

    #[test]
    fn every_header_that_is_named_has_to_be_there() {
        let region = |value: &str| HeaderMatch::Named {
            key: "region".into(),
            value: value.into(),
        };
        let service = HeaderMatch::Numbered {
            key: 6,
            value: "store".into(),
        };
        let route = |headers| CallMatch {
            headers,
            ..CallMatch::default()
        };
        let both = route(vec![region("north"), service.clone()]);
        assert!(both.is_for(&call("get", headers())));
        assert!(!both.is_for(&call("get", None)));
        assert!(!route(vec![region("south"), service]).is_for(&call("get", headers())));
    }
}
