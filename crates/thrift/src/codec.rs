//! Messages from bytes and back: every common transport and protocol of Apache Thrift,
//! client and server.
//!
//! A message is its envelope and a body that is not looked into. Where a body has to be
//! measured (without frames) or put into the other protocol, it is walked by the types
//! it names itself, within [`Limits`]. What is relayed is a slice of the buffer it
//! arrived in.
//!
//! With an [`Idl`], bodies can be looked into: its [`Schema`] puts arguments and results
//! into JSON and back ([`encode_arguments`], [`decode_reply`]).

mod cursor;
mod decode;
mod detect;
mod encode;
mod envelope;
mod error;
mod exception;
mod headers;
mod idl;
mod json;
mod limits;
mod message;
mod schema;
mod transcode;
mod value_type;
mod walk;

pub use decode::{Decoder, Refused};
pub use encode::{EncodeError, encode, encode_head};
pub use error::DecodeError;
pub use exception::{ApplicationException, ExceptionKind};
pub use headers::{HeaderKey, HeaderValue, Headers, HeadersBuilder, HeadersIter};
pub use idl::{IDL_FILE_BYTES_MAX, IDL_FILES_MAX, Idl, IdlError};
pub use json::{
    ArgumentFault, ArgumentsError, JsonOptions, LongIntegers, Replied, ReplyError, ReplyProblem,
    decode_reply, encode_arguments, encode_texts,
};
pub use limits::Limits;
pub use message::{Envelope, Message, MessageKind, Protocol, Transport, Wire};
pub use schema::{Method, Schema};
pub use transcode::transcode;
