//! Our encoder against Volo's decoder.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use tidegate_thrift::codec::{Envelope, HeaderKey, HeadersBuilder, Message, MessageKind, encode};
use volo::FastStr;
use volo::context::Context;
use volo_thrift::ThriftMessage;
use volo_thrift::codec::default::thrift;
use volo_thrift::context::{ClientContext, ServerContext};

use crate::heads::{
    Head, Payload, body, brought_back, carried, decode, heads, payloads, protocols, wire,
    with_metainfo,
};

const TIMEOUT_MS: HeaderKey<'static> = HeaderKey::Number(12);

/// The call with `head`, and more in its head that Volo has no use for: a token, at a place
/// of the property's choosing, a number and a name it does not know.
fn call(head: &Head, protocol: thrift::Protocol, payload: Payload, token_at: usize) -> Message {
    let names = |prefix: &str, texts: &BTreeMap<String, String>| {
        let pair =
            |(key, value): (&String, &String)| (Key::Name(format!("{prefix}{key}")), value.clone());
        texts.iter().map(pair).collect::<Vec<_>>()
    };
    let mut pairs = names("RPC_PERSIST_", &head.persistent);
    pairs.push((Key::Number(3), head.caller.clone()));
    pairs.push((Key::Number(6), head.callee.clone()));
    pairs.push((Key::Number(9), head.method.clone()));
    pairs.push((Key::Number(4711), "of no meaning".to_owned()));
    pairs.extend(names("RPC_TRANSIT_", &head.transient));
    pairs.push((Key::Name("unknown".to_owned()), String::new()));
    let timeout = head.timeout_ms.map(|ms| (Key::Timeout, ms.to_string()));
    pairs.extend(timeout);
    pairs.insert(
        token_at % (pairs.len() + 1),
        (Key::Token, "letmein".to_owned()),
    );
    let mut headers = HeadersBuilder::new(head.sequence_id);
    for (key, value) in &pairs {
        headers = headers.with(key.as_key(), value).unwrap();
    }
    Message {
        wire: wire(protocol, payload),
        envelope: Envelope {
            method: head.method.clone().into(),
            kind: if head.is_one_way {
                MessageKind::OneWay
            } else {
                MessageKind::Call
            },
            sequence_id: head.sequence_id,
        },
        headers: Some(headers.build()),
        body: body(protocol),
    }
}

enum Key {
    Name(String),
    Number(u16),
    Timeout,
    Token,
}

impl Key {
    fn as_key(&self) -> HeaderKey<'_> {
        match self {
            Self::Name(name) => HeaderKey::Name(name.as_bytes()),
            Self::Number(number) => HeaderKey::Number(*number),
            Self::Timeout => TIMEOUT_MS,
            Self::Token => HeaderKey::Token,
        }
    }
}

proptest! {
    #[test]
    fn every_key_of_a_call_is_read(
        head in heads(),
        protocol in protocols(),
        payload in payloads(),
        token_at in any::<usize>(),
    ) {
        let bytes = encode(&call(&head, protocol, payload, token_at)).unwrap();
        let mut context = ServerContext::default();
        let (message, info): (ThriftMessage<Bytes>, _) =
            with_metainfo(|| decode(&mut context, &bytes, payload));
        prop_assert_eq!(message.data.unwrap(), body(protocol));
        prop_assert_eq!(message.meta.msg_type, head.message_type());
        let about = context.rpc_info();
        prop_assert_eq!(about.method().as_str(), &*head.method);
        prop_assert_eq!(about.caller().service_name_ref(), &*head.caller);
        prop_assert_eq!(about.callee().service_name_ref(), &*head.callee);
        let timeout = about.config().rpc_timeout().map(|it| it.as_millis());
        prop_assert_eq!(timeout, head.timeout_ms.map(u128::from));
        prop_assert_eq!(context.seq_id, Some(head.sequence_id));
        prop_assert_eq!(carried(&info), [head.persistent, head.transient]);
    }

    #[test]
    fn every_key_of_an_answer_is_read(
        head in heads(),
        protocol in protocols(),
        payload in payloads(),
        status in 1_i32..,
    ) {
        let mut headers = HeadersBuilder::new(head.sequence_id);
        for (key, value) in &head.transient {
            let key = format!("RPC_BACKWARD_{key}");
            headers = headers.with(HeaderKey::Name(key.as_bytes()), value).unwrap();
        }
        let headers = headers
            .with(HeaderKey::Name(b"biz-status"), status.to_string())
            .and_then(|it| it.with(HeaderKey::Name(b"biz-message"), "out of stock"))
            .unwrap();
        let answer = Message {
            wire: wire(protocol, payload),
            envelope: Envelope {
                method: head.method.clone().into(),
                kind: MessageKind::Reply,
                sequence_id: head.sequence_id,
            },
            headers: Some(headers.build()),
            body: body(protocol),
        };
        let bytes = encode(&answer).unwrap();
        let mut context: ClientContext = head.context();
        let (message, info): (ThriftMessage<Bytes>, _) =
            with_metainfo(|| decode(&mut context, &bytes, payload));
        prop_assert_eq!(message.data.unwrap(), body(protocol));
        prop_assert_eq!(brought_back(&info), head.transient);
        let error = context.common_stats.biz_error().clone().unwrap();
        prop_assert_eq!(error.status_code, status);
        prop_assert_eq!(error.status_message, FastStr::from_static_str("out of stock"));
    }
}
