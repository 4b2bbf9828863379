//! HTTP/1.1: the codec without I/O.

pub mod codec;
