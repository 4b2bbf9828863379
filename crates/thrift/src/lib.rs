//! Apache Thrift for Tidegate, without an IDL.
//!
//! [`codec`] turns bytes into messages and back, of which it reads the envelope
//! alone: method, message type, sequence id and headers.

#![forbid(unsafe_code)]

pub mod codec;
