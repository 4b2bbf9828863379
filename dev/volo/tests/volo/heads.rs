//! Heads as Volo's clients write them, and what is in them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use metainfo::{Backward, Forward, METAINFO, MetaInfo};
use pilota::thrift::TMessageType;
use proptest::collection::btree_map;
use proptest::prelude::*;
use tidegate_thrift::codec::{self, Transport, Wire};
use volo::FastStr;
use volo::context::{Role, RpcInfo};
use volo_thrift::codec::default::framed::MakeFramedCodec;
use volo_thrift::codec::default::thrift::{MakeThriftCodec, Protocol};
use volo_thrift::codec::default::ttheader::MakeTTHeaderCodec;
use volo_thrift::codec::default::{MakeZeroCopyCodec, ZeroCopyDecoder, ZeroCopyEncoder};
use volo_thrift::context::{ClientContext, ThriftContext};
use volo_thrift::{EntryMessage, LinkedBytes, ThriftMessage};

/// Whether the payload has a length of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    Bare,
    Framed,
}

/// What Volo writes into the head of a call.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) sequence_id: i32,
    pub(crate) caller: String,
    pub(crate) callee: String,
    pub(crate) method: String,
    /// Given on from call to call.
    pub(crate) persistent: BTreeMap<String, String>,
    /// For the one that is called alone.
    pub(crate) transient: BTreeMap<String, String>,
    pub(crate) timeout_ms: Option<u16>,
    pub(crate) is_one_way: bool,
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[A-Za-z0-9_-]{1,12}", "\\PC{0,20}", 0..4)
}

prop_compose! {
    pub(crate) fn heads()(
        sequence_id in any::<i32>(),
        (caller, callee, method) in ("\\PC{0,20}", "\\PC{0,20}", "[a-zA-Z_][a-zA-Z0-9_.]{0,30}"),
        (persistent, transient) in (texts(), texts()),
        timeout_ms in any::<Option<u16>>(),
        is_one_way in any::<bool>(),
    ) -> Head {
        Head { sequence_id, caller, callee, method, persistent, transient, timeout_ms, is_one_way }
    }
}

pub(crate) fn protocols() -> impl Strategy<Value = Protocol> {
    prop::sample::select(vec![Protocol::Binary, Protocol::ApacheCompact])
}

pub(crate) fn payloads() -> impl Strategy<Value = Payload> {
    prop::sample::select(vec![Payload::Bare, Payload::Framed])
}

/// How we call what Volo calls so.
pub(crate) const fn wire(protocol: Protocol, payload: Payload) -> Wire {
    Wire {
        transport: match payload {
            Payload::Bare => Transport::TtHeader,
            Payload::Framed => Transport::TtHeaderFramed,
        },
        protocol: match protocol {
            Protocol::Binary => codec::Protocol::Binary,
            _ => codec::Protocol::Compact,
        },
    }
}

/// A struct with one i32 of five.
pub(crate) fn body(protocol: Protocol) -> Bytes {
    Bytes::from_static(match protocol {
        Protocol::Binary => b"\x08\0\x01\0\0\0\x05\0",
        _ => b"\x15\x0a\0",
    })
}

/// Runs `work` where Volo looks for what calls carry along.
pub(crate) fn with_metainfo<T>(work: impl FnOnce() -> T) -> (T, MetaInfo) {
    let cell = RefCell::new(MetaInfo::new());
    METAINFO.sync_scope(cell, || {
        let done = work();
        (done, METAINFO.with(RefCell::take))
    })
}

/// What `message` is in Volo's bytes.
pub(crate) fn encode<Cx: ThriftContext>(
    context: &mut Cx,
    message: ThriftMessage<Bytes>,
    protocol: Protocol,
    payload: Payload,
) -> Bytes {
    let thrift = MakeThriftCodec::new().with_protocol(protocol);
    match payload {
        Payload::Bare => written(&MakeTTHeaderCodec::new(thrift), context, message),
        Payload::Framed => {
            let framed = MakeTTHeaderCodec::new(MakeFramedCodec::new(thrift));
            written(&framed, context, message)
        }
    }
}

fn written<Cx: ThriftContext>(
    codec: &impl MakeZeroCopyCodec,
    context: &mut Cx,
    message: ThriftMessage<Bytes>,
) -> Bytes {
    let (mut encoder, _) = codec.make_codec();
    let (_, memory) = encoder.size(context, &message).unwrap();
    let mut written = LinkedBytes::with_capacity(memory);
    encoder.encode(context, &mut written, message).unwrap();
    written.concat().freeze()
}

/// What Volo reads in `bytes`. It is told whether the payload is framed: where it guesses, as
/// its servers do, it takes some sequence ids of bare compact messages for frames.
pub(crate) fn decode<Cx: ThriftContext, M: EntryMessage>(
    context: &mut Cx,
    bytes: &Bytes,
    payload: Payload,
) -> ThriftMessage<M> {
    let thrift = MakeThriftCodec::new();
    match payload {
        Payload::Bare => read(&MakeTTHeaderCodec::new(thrift), context, bytes),
        Payload::Framed => {
            let framed = MakeTTHeaderCodec::new(MakeFramedCodec::new(thrift));
            read(&framed, context, bytes)
        }
    }
}

fn read<Cx: ThriftContext, M: EntryMessage>(
    codec: &impl MakeZeroCopyCodec,
    context: &mut Cx,
    bytes: &Bytes,
) -> ThriftMessage<M> {
    let (_, mut decoder) = codec.make_codec();
    let mut bytes = bytes.clone();
    decoder.decode(context, &mut bytes).unwrap().unwrap()
}

impl Head {
    pub(crate) fn message_type(&self) -> TMessageType {
        match self.is_one_way {
            true => TMessageType::OneWay,
            false => TMessageType::Call,
        }
    }

    pub(crate) fn context(&self) -> ClientContext {
        let mut info: RpcInfo<volo_thrift::context::Config> = RpcInfo::with_role(Role::Client);
        let name = |text: &str| FastStr::new(text);
        info.caller_mut().set_service_name(name(&self.caller));
        info.callee_mut().set_service_name(name(&self.callee));
        info.set_method(name(&self.method));
        let timeout = self.timeout_ms.map(u64::from).map(Duration::from_millis);
        info.config_mut().set_rpc_timeout(timeout);
        ClientContext::new(self.sequence_id, info, self.message_type())
    }

    /// The call in Volo's bytes.
    pub(crate) fn encoded(&self, protocol: Protocol, payload: Payload) -> Bytes {
        let mut context = self.context();
        let message = ThriftMessage::mk_client_msg(&context, body(protocol));
        let (bytes, _) = with_metainfo(|| {
            METAINFO.with(|info| {
                let mut info = info.borrow_mut();
                for (key, value) in &self.persistent {
                    info.set_persistent(FastStr::new(key), FastStr::new(value));
                }
                for (key, value) in &self.transient {
                    info.set_transient(FastStr::new(key), FastStr::new(value));
                }
            });
            encode(&mut context, message, protocol, payload)
        });
        bytes
    }
}

fn sorted<'a>(
    texts: Option<impl IntoIterator<Item = (&'a FastStr, &'a FastStr)>>,
) -> BTreeMap<String, String> {
    let texts = texts.into_iter().flatten();
    texts
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}

/// What a server of Volo's took from a head: for calls it makes itself, and for itself.
pub(crate) fn carried(info: &MetaInfo) -> [BTreeMap<String, String>; 2] {
    [
        sorted(info.get_all_persistents()),
        sorted(info.get_all_upstreams()),
    ]
}

/// What a client of Volo's took from the head of an answer.
pub(crate) fn brought_back(info: &MetaInfo) -> BTreeMap<String, String> {
    sorted(info.get_all_backward_downstreams())
}
