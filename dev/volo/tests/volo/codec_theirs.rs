//! Volo's encoder against our decoder, and what we relay of it.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use metainfo::{Backward, METAINFO};
use pilota::thrift::TMessageType;
use proptest::prelude::*;
use tidegate_thrift::codec::{Decoder, HeaderKey, Headers, Limits, Message, MessageKind, encode};
use volo::FastStr;
use volo::context::Context;
use volo_thrift::codec::default::framed::HasFramed;
use volo_thrift::codec::default::thrift::{self, ProtocolApacheCompact};
use volo_thrift::codec::default::ttheader::HasTTHeader;
use volo_thrift::context::{ServerContext, ThriftContext};
use volo_thrift::{BizError, ThriftMessage};

use crate::heads::{self, Head, Payload, heads, payloads, protocols, wire, with_metainfo};

/// Keys of the registry that Volo writes beside those that ours names.
const TIMEOUT_MS: HeaderKey<'static> = HeaderKey::Number(12);
const WITH_HEADER: HeaderKey<'static> = HeaderKey::Number(16);
const MESSAGE_TYPE: HeaderKey<'static> = HeaderKey::Number(22);

/// The one message in `bytes`, read as they come in pieces of `step`.
fn read(bytes: &Bytes, step: usize) -> Message {
    let mut decoder = Decoder::new(Limits::default());
    let mut buffer = BytesMut::new();
    for piece in bytes.chunks(step) {
        buffer.extend_from_slice(piece);
        if let Some(message) = decoder.decode(&mut buffer).unwrap() {
            assert!(buffer.is_empty());
            return message;
        }
    }
    panic!("no message in {bytes:?}");
}

/// All pairs of `headers`; none is there twice.
fn pairs(headers: &Headers) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut pairs = BTreeMap::new();
    for (key, value) in headers {
        let key = match key {
            HeaderKey::Name(name) => text(name),
            HeaderKey::Number(number) => format!("#{number}"),
            HeaderKey::Token => "token".to_owned(),
        };
        assert_eq!(pairs.insert(key, text(value)), None);
    }
    pairs
}

fn expected(head: &Head) -> BTreeMap<String, String> {
    let mut pairs: BTreeMap<String, String> = [
        ("#16", "3"),
        ("#3", &head.caller),
        ("#6", &head.callee),
        ("#9", &head.method),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    pairs.extend(head.timeout_ms.map(|ms| ("#12".to_owned(), ms.to_string())));
    let prefixed = |prefix: &'static str, texts: &BTreeMap<String, String>| {
        let texts = texts.clone().into_iter();
        texts.map(move |(key, value)| (format!("{prefix}{key}"), value))
    };
    pairs.extend(prefixed("RPC_PERSIST_", &head.persistent));
    pairs.extend(prefixed("RPC_TRANSIT_", &head.transient));
    pairs
}

proptest! {
    #[test]
    fn every_key_of_a_call_is_read(
        head in heads(),
        protocol in protocols(),
        payload in payloads(),
        step in 1_usize..64,
    ) {
        let bytes = head.encoded(protocol, payload);
        let message = read(&bytes, step);
        prop_assert_eq!(message.wire, wire(protocol, payload));
        prop_assert_eq!(&*message.envelope.method, &*head.method);
        prop_assert_eq!(message.envelope.sequence_id, head.sequence_id);
        let kind = if head.is_one_way { MessageKind::OneWay } else { MessageKind::Call };
        prop_assert_eq!(message.envelope.kind, kind);
        prop_assert_eq!(&message.body, &heads::body(protocol));
        let headers = message.headers.unwrap();
        prop_assert_eq!(headers.sequence_id, head.sequence_id);
        prop_assert_eq!(pairs(&headers), expected(&head));
        prop_assert_eq!(headers.get(HeaderKey::TO_METHOD), Some(head.method.as_bytes()));
        prop_assert_eq!(headers.get(HeaderKey::TO_SERVICE), Some(head.callee.as_bytes()));
        prop_assert_eq!(headers.get(HeaderKey::FROM_SERVICE), Some(head.caller.as_bytes()));
        prop_assert_eq!(headers.get(WITH_HEADER), Some(&b"3"[..]));
        let timeout = head.timeout_ms.map(|ms| ms.to_string());
        prop_assert_eq!(headers.get(TIMEOUT_MS), timeout.as_deref().map(str::as_bytes));
    }

    /// Volo says "binary" in the head of a compact payload as well; ours says what it is.
    #[test]
    fn a_relayed_call_has_the_bytes_it_came_in(
        head in heads(),
        protocol in protocols(),
        payload in payloads(),
    ) {
        let bytes = head.encoded(protocol, payload);
        let relayed = encode(&read(&bytes, bytes.len())).unwrap();
        let mut expected = bytes.to_vec();
        if matches!(protocol, thrift::Protocol::ApacheCompact) {
            prop_assert_eq!(expected[14], 0);
            expected[14] = 2;
        }
        prop_assert_eq!(&relayed[..], &expected[..]);
    }

    #[test]
    fn every_key_of_an_answer_is_read(
        head in heads(),
        protocol in protocols(),
        payload in payloads(),
        status in 1_i32..,
    ) {
        let mut context = ServerContext::default();
        context.seq_id = Some(head.sequence_id);
        context.msg_type = Some(TMessageType::Reply);
        context.extensions_mut().insert(HasTTHeader);
        if payload == Payload::Framed {
            context.extensions_mut().insert(HasFramed);
        }
        if matches!(protocol, thrift::Protocol::ApacheCompact) {
            context.extensions_mut().insert(ProtocolApacheCompact);
        }
        context.rpc_info_mut().set_method(FastStr::new(&head.method));
        let error = BizError::new(status, FastStr::from_static_str("out of stock"));
        context.stats_mut().set_biz_error(error);
        let message = ThriftMessage::mk_server_resp(&context, Ok(heads::body(protocol)));
        let (bytes, _) = with_metainfo(|| {
            METAINFO.with(|info| {
                let mut info = info.borrow_mut();
                for (key, value) in &head.transient {
                    info.set_backward_transient(FastStr::new(key), FastStr::new(value));
                }
            });
            heads::encode(&mut context, message, protocol, payload)
        });
        let message = read(&bytes, bytes.len());
        prop_assert_eq!(message.wire, wire(protocol, payload));
        prop_assert_eq!(message.envelope.kind, MessageKind::Reply);
        prop_assert_eq!(message.envelope.sequence_id, head.sequence_id);
        let headers = message.headers.unwrap();
        prop_assert_eq!(headers.get(MESSAGE_TYPE), Some(&[2][..]));
        let mut expected: BTreeMap<String, String> = head
            .transient
            .iter()
            .map(|(key, value)| (format!("RPC_BACKWARD_{key}"), value.clone()))
            .collect();
        expected.insert("#22".to_owned(), "\u{2}".to_owned());
        expected.insert("biz-status".to_owned(), status.to_string());
        expected.insert("biz-message".to_owned(), "out of stock".to_owned());
        prop_assert_eq!(pairs(&headers), expected);
    }
}
